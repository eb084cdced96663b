// The bytes of a file or of standard input, decompressed: plain, gzip or zstd, told apart by their
// first bytes whatever the file is called. Multi-member gzip and multi-frame zstd are read through
// to the end. Memory: one buffer of 256 KiB for compressed input. Errors name the path. Confined to
// one thread, except progress() and compressed_bytes().
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "slipway/base/result.h"

namespace slipway {

class ByteSource {
 public:
  // "-" is standard input (never closed; one source at a time).
  static Result<std::unique_ptr<ByteSource>> Open(const std::string& path);
  ~ByteSource();
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  // Fills `buffer`, blocking; fewer than `size` bytes only at the end. Truncated or corrupt
  // compressed data is kCorruption.
  Result<size_t> Read(char* buffer, size_t size);

  // The next up to `size` bytes without consuming them; fewer only when the input ends there. Valid
  // until the next call. Read() gives the same bytes again: so standard input can be looked at,
  // then read.
  Result<std::string_view> Peek(size_t size);

  // The path, or "standard input".
  const std::string& name() const { return name_; }
  // Compressed (as stored) bytes read so far and in all; size is -1 for pipes.
  int64_t compressed_bytes() const { return read_bytes_.load(std::memory_order_relaxed); }
  int64_t compressed_size() const { return size_; }
  // compressed_bytes / compressed_size, or -1.
  double progress() const;

 private:
  class Inflater;
  class GzipInflater;
  class ZstdInflater;

  ByteSource(int fd, std::string name, int64_t size);
  Status Detect();
  Result<size_t> ReadRaw(char* buffer, size_t size);
  Status FillInput();
  Result<size_t> ReadDecoded(char* buffer, size_t size);

  int fd_;
  std::string name_;
  int64_t size_;
  std::atomic<int64_t> read_bytes_{0};
  std::unique_ptr<Inflater> inflater_;  // nullptr: plain
  std::unique_ptr<char[]> input_;       // raw bytes not yet decoded: [input_begin_, input_end_)
  size_t input_begin_ = 0;
  size_t input_end_ = 0;
  bool input_done_ = false;
  std::string peeked_;  // decoded bytes that Peek took: [peeked_begin_, size)
  size_t peeked_begin_ = 0;
};

}  // namespace slipway
