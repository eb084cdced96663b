#include "slipway/features/text_index.h"

#include <cstring>

#include "slipway/base/hash.h"

namespace slipway {
namespace {

constexpr size_t kShortBytes = 16;

// A text of at most kShortBytes as two words; with its size they tell it from every other.
struct TwoWords {
  uint64_t first = 0, last = 0;
  bool operator==(const TwoWords&) const = default;
};

TwoWords WordsOf(std::string_view text) {
  TwoWords words;
  const size_t size = text.size();
  if (size >= 8) {
    std::memcpy(&words.first, text.data(), 8);
    std::memcpy(&words.last, text.data() + size - 8, 8);
  } else if (size >= 4) {
    std::memcpy(&words.first, text.data(), 4);
    std::memcpy(&words.last, text.data() + size - 4, 4);
  } else if (size > 0) {
    const auto byte = [&](size_t i) { return uint64_t{static_cast<unsigned char>(text[i])}; };
    words.first = byte(0) | byte(size / 2) << 8 | byte(size - 1) << 16;
  }
  return words;
}

// Categories are short as a rule, and a library call for each cell would cost more than the search.
uint64_t HashOf(std::string_view text) {
  if (text.size() > kShortBytes) return Xxh3(text);
  const TwoWords words = WordsOf(text);
  uint64_t hash = (words.first + text.size()) * 0x9E3779B97F4A7C15u;
  hash = (hash ^ hash >> 32 ^ words.last) * 0xD6E8FEB86659FD93u;
  hash = (hash ^ hash >> 29) * 0xBF58476D1CE4E5B9u;
  return hash ^ hash >> 32;
}

bool Same(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  return a.size() > kShortBytes ? a == b : WordsOf(a) == WordsOf(b);
}

}  // namespace

int TextIndex::Find(std::string_view text) const {
  if (slots_.empty()) return -1;
  const uint64_t hash = HashOf(text);
  const uint32_t tag = static_cast<uint32_t>(hash >> 32);
  const size_t mask = slots_.size() - 1;
  for (size_t at = hash & mask;; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (slot.index < 0) return -1;
    if (slot.tag == tag && Same(texts_[static_cast<size_t>(slot.index)], text)) return slot.index;
  }
}

int TextIndex::Insert(std::string_view text) {
  if (int found = Find(text); found >= 0) return found;
  texts_.emplace_back(text);
  bytes_ += text.size();
  const int index = size() - 1;
  if (texts_.size() * 2 > slots_.size()) {
    Grow();
    return index;
  }
  const uint64_t hash = HashOf(text);
  const size_t mask = slots_.size() - 1;
  size_t at = hash & mask;
  while (slots_[at].index >= 0) at = (at + 1) & mask;
  slots_[at] = {static_cast<uint32_t>(hash >> 32), index};
  return index;
}

void TextIndex::Grow() {
  const size_t size = slots_.empty() ? 16 : slots_.size() * 2;
  slots_.assign(size, {});
  for (size_t i = 0; i < texts_.size(); ++i) {
    const uint64_t hash = HashOf(texts_[i]);
    size_t at = hash & (size - 1);
    while (slots_[at].index >= 0) at = (at + 1) & (size - 1);
    slots_[at] = {static_cast<uint32_t>(hash >> 32), static_cast<int32_t>(i)};
  }
}

void DistinctCounter::Add(uint64_t hash) {
  if (full()) return;
  if (hash == 0) {
    if (!zero_) ++distinct_;
    zero_ = true;
    return;
  }
  if (static_cast<size_t>(distinct_) * 2 >= slots_.size()) Grow();
  const size_t mask = slots_.size() - 1;
  size_t at = hash & mask;
  while (slots_[at] != 0) {
    if (slots_[at] == hash) return;
    at = (at + 1) & mask;
  }
  slots_[at] = hash;
  ++distinct_;
}

void DistinctCounter::Grow() {
  std::vector<uint64_t> old(slots_.empty() ? 64 : slots_.size() * 2, 0);
  old.swap(slots_);
  const size_t mask = slots_.size() - 1;
  for (uint64_t hash : old) {
    if (hash == 0) continue;
    size_t at = hash & mask;
    while (slots_[at] != 0) at = (at + 1) & mask;
    slots_[at] = hash;
  }
}

}  // namespace slipway
