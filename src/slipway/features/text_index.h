// Texts numbered 0, 1, 2, ... in the order of their insertion, with a flat hash table to find them:
// the categories of a column, while counting and while encoding. Owns the texts. Reading is
// thread-safe, inserting is not.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace slipway {

class TextIndex {
 public:
  // The text's number, or -1.
  int Find(std::string_view text) const;
  // The text's number, a new one when it was not there.
  int Insert(std::string_view text);
  int size() const { return static_cast<int>(texts_.size()); }
  const std::string& text(int i) const { return texts_[static_cast<size_t>(i)]; }
  const std::vector<std::string>& texts() const { return texts_; }
  // Bytes of all texts.
  size_t bytes() const { return bytes_; }

 private:
  struct Slot {
    uint32_t tag = 0;  // upper half of the hash: a different one needs no look at the text
    int32_t index = -1;
  };
  void Grow();

  std::vector<Slot> slots_;  // a power of two, at most half full; empty at first
  std::vector<std::string> texts_;
  size_t bytes_ = 0;
};

// How many different 64-bit hashes were seen, exactly up to a limit; then it stops looking.
// Confined to one thread.
class DistinctCounter {
 public:
  explicit DistinctCounter(int64_t limit) : limit_(limit) {}
  void Add(uint64_t hash);
  int64_t distinct() const { return distinct_; }
  bool full() const { return distinct_ >= limit_; }

 private:
  void Grow();

  int64_t limit_;
  int64_t distinct_ = 0;
  bool zero_ = false;            // 0 marks an empty slot
  std::vector<uint64_t> slots_;  // a power of two, at most half full
};

}  // namespace slipway
