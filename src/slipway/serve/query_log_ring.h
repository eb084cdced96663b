// A ring of byte records between one writer and one reader, without locks: the writer copies into
// it, the reader takes records out in order.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace slipway {

// One thread reserves and commits, one other looks and pops.
class QueryLogRing {
 public:
  // The capacity is rounded up to a power of two, at least 64 KiB. Memory is touched as it is
  // used, and an empty ring begins again at its start: a quiet node stays small.
  explicit QueryLogRing(size_t capacity);

  // Where `bytes` may be written, 8-byte aligned; nullptr: no room. Visible to the reader with
  // Commit.
  char* Reserve(size_t bytes);
  void Commit();
  size_t used() const;
  size_t capacity() const { return mask_ + 1; }

  // The oldest record; data() == nullptr: none. Valid until Pop.
  std::string_view Front();
  void Pop();

 private:
  const size_t mask_;
  std::unique_ptr<char[]> bytes_;
  alignas(64) std::atomic<uint64_t> tail_{0};  // written up to here
  uint64_t reserved_ = 0;                      // the writer's own: tail after Commit
  uint64_t seen_head_ = 0;
  alignas(64) std::atomic<uint64_t> head_{0};  // read up to here
  uint64_t front_ = 0;                         // the reader's own: head after Pop
};

}  // namespace slipway
