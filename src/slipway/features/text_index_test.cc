#include "slipway/features/text_index.h"

#include <map>
#include <string>

#include <gtest/gtest.h>

namespace slipway {
namespace {

// Texts of every length up to 40 and, of each, those that differ in one byte: the short ones are
// compared by words.
TEST(TextIndexTest, TellsTextsOfAllLengthsApart) {
  TextIndex index;
  std::map<std::string, int> expected;
  const auto insert = [&](const std::string& text) {
    const auto [at, is_new] = expected.try_emplace(text, static_cast<int>(expected.size()));
    EXPECT_EQ(index.Find(text), is_new ? -1 : at->second) << text;
    EXPECT_EQ(index.Insert(text), at->second) << text;
  };
  for (size_t length = 0; length <= 40; ++length) {
    const std::string text(length, 'a');
    insert(text);
    for (size_t i = 0; i < length; ++i) {
      for (const char c : {'\0', 'b', '\xFF'}) {
        std::string other = text;
        other[i] = c;
        insert(other);
      }
    }
  }
  EXPECT_EQ(index.size(), static_cast<int>(expected.size()));
  for (const auto& [text, number] : expected) {
    EXPECT_EQ(index.Find(text), number);
    EXPECT_EQ(index.text(number), text);
    EXPECT_EQ(index.Insert(text), number);
  }
  EXPECT_EQ(index.Find("aaaaaaaaaaaaaac"), -1);
  EXPECT_EQ(index.Find(std::string(41, 'a')), -1);
}

TEST(TextIndexTest, FindsNothingInAnEmptyOne) {
  const TextIndex index;
  EXPECT_EQ(index.Find(""), -1);
  EXPECT_EQ(index.Find("a"), -1);
}

}  // namespace
}  // namespace slipway
