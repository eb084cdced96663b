#include "slipway/base/visible_text.h"

#include <gtest/gtest.h>

namespace slipway {
namespace {

TEST(VisibleText, ShowsWhatATerminalWouldObey) {
  EXPECT_EQ(VisibleText("a\x1b[31mb\x7f"), "a\\x1b[31mb\\x7f");
  EXPECT_EQ(VisibleText("a\nb\tc\r"), "a\\nb\\tc\\r");
  EXPECT_EQ(VisibleText("a\nb\tc\r", true), "a\nb\tc\\r");
  EXPECT_EQ(VisibleText("\xc2\x9b"
                        "1m \xc3\xa9 \xc2\xa0 \xc2"),
            "\\u009b1m \xc3\xa9 \xc2\xa0 \xc2");
  EXPECT_EQ(VisibleText(std::string_view("\0", 1)), "\\x00");
  EXPECT_TRUE(HasControls("a\nb"));
  EXPECT_TRUE(HasControls("\xc2\x9b"));
  EXPECT_FALSE(HasControls("till 7, d\xc3\xa9p\xc3\xb4t"));
}

}  // namespace
}  // namespace slipway
