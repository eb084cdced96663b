#include "slipway/base/utf8.h"

#include <gtest/gtest.h>

#include "slipway/base/text.h"

namespace slipway {
namespace {

TEST(Utf8, EveryLengthAtItsBorders) {
  const std::pair<uint32_t, std::string> kExpected[] = {{0x00, std::string(1, '\0')},
                                                        {0x7F, "\x7F"},
                                                        {0x80, "\xC2\x80"},
                                                        {0x7FF, "\xDF\xBF"},
                                                        {0x800, "\xE0\xA0\x80"},
                                                        {0xFFFF, "\xEF\xBF\xBF"},
                                                        {0x10000, "\xF0\x90\x80\x80"},
                                                        {0x10FFFF, "\xF4\x8F\xBF\xBF"}};
  for (const auto& [code, bytes] : kExpected) {
    std::string out = "a";
    AppendUtf8(code, &out);
    EXPECT_EQ(out, "a" + bytes) << code;
    EXPECT_TRUE(IsValidUtf8(out));
  }
}

}  // namespace
}  // namespace slipway
