// Growing bytes that keep their memory: what the loops write answers into. Confined to one thread.
#pragma once

#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

namespace slipway {

class HttpByteBuffer {
 public:
  HttpByteBuffer() = default;
  HttpByteBuffer(const HttpByteBuffer&) = delete;
  HttpByteBuffer& operator=(const HttpByteBuffer&) = delete;
  ~HttpByteBuffer() { std::free(data_); }

  const char* data() const { return data_; }
  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  std::string_view view() const { return {data_, size_}; }
  void clear() { size_ = 0; }

  // Where `extra` more bytes may be written; Advance says how many were.
  char* Reserve(size_t extra) {
    if (capacity_ - size_ < extra) Grow(size_ + extra);
    return data_ + size_;
  }
  void Advance(size_t n) { size_ += n; }
  void Append(std::string_view text) {
    if (text.empty()) return;
    std::memcpy(Reserve(text.size()), text.data(), text.size());
    size_ += text.size();
  }
  // Gives memory beyond `bytes` back. REQUIRES: empty().
  void ShrinkTo(size_t bytes) {
    if (capacity_ <= bytes) return;
    std::free(data_);
    data_ = nullptr;
    capacity_ = 0;
  }

 private:
  void Grow(size_t needed) {
    size_t capacity = capacity_ < 4096 ? 4096 : capacity_;
    while (capacity < needed) capacity *= 2;
    void* moved = std::realloc(data_, capacity);
    if (moved == nullptr) throw std::bad_alloc();
    data_ = static_cast<char*>(moved);
    capacity_ = capacity;
  }

  char* data_ = nullptr;
  size_t size_ = 0, capacity_ = 0;
};

}  // namespace slipway
