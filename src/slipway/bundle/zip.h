// Internal to bundle and package: zip files of plain entries (PKWARE APPNOTE 6.3: stored or
// deflated, no ZIP64, no encryption), over zlib alone; in memory, or as files that are streamed.
// Foreign bytes: bounded; entries lie apart, and what the directory at the end says of them must be
// so.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "slipway/base/result.h"

namespace slipway {

// The same entries give the same bytes (with the same zlib): no times, owners or modes of this
// machine.
Result<std::string> MakeZip(const std::vector<std::pair<std::string, std::string_view>>& entries);

// Takes an entry's bytes piece by piece.
using ZipSink = std::function<Status(std::string_view bytes)>;

// Writes a zip file entry by entry with bounded memory: the file appears under its name, durable
// and whole, when Finish returns; without it nothing stays. More than 4 GiB is an error. The same
// bytes come as from MakeZip. Confined to one thread.
class ZipFileWriter {
 public:
  static Result<std::unique_ptr<ZipFileWriter>> Create(const std::string& path);
  virtual ~ZipFileWriter() = default;
  // Begin, any number of Writes, then End; or Cancel, which forgets what was written since Begin.
  virtual Status Begin(const std::string& name, bool deflate) = 0;
  virtual Status Write(std::string_view bytes) = 0;
  // `packed`: the bytes that the entry takes in the file.
  virtual Status End(size_t* packed) = 0;
  virtual Status Cancel() = 0;
  virtual Status Finish() = 0;
};

// Where a ZipReader reads: bytes in memory, or a file that it owns. A file is read, not mapped:
// one that is cut meanwhile is an error, not a SIGBUS. Movable.
class ZipInput {
 public:
  explicit ZipInput(std::string_view bytes) : bytes_(bytes), size_(bytes.size()) {}
  static Result<ZipInput> OpenFile(const std::string& path);
  ZipInput(ZipInput&& other) noexcept;
  ZipInput& operator=(ZipInput&& other) noexcept;
  ~ZipInput();
  size_t size() const { return size_; }
  // REQUIRES: offset + size <= size(). The view is of the memory, or of *buffer.
  Result<std::string_view> At(size_t offset, size_t size, std::string* buffer) const;

 private:
  std::string_view bytes_;
  size_t size_ = 0;
  int fd_ = -1;
};

// Walks over the entries in the order of their bytes. Confined to one thread.
class ZipReader {
 public:
  static Result<ZipReader> Open(std::string_view bytes);  // which must outlive it
  static Result<ZipReader> OpenFile(const std::string& path);
  static Result<ZipReader> Open(ZipInput input);

  size_t entries() const { return entries_.size(); }
  size_t file_bytes() const { return input_.size(); }
  // Whether every byte outside the entries' contents is as Slipway's writers put it: no gaps, no
  // comments, no extra fields, nothing before, between or behind.
  Status CheckExact() const;

  // Goes to the next entry, which must be a plain file in no folder; false at the end.
  Result<bool> Next(std::string* name);
  // Of the entry that Next went to: as the directory says, checked by Read and Extract.
  size_t size() const { return entries_[next_ - 1].size; }
  size_t packed() const { return entries_[next_ - 1].packed; }
  // The entry's bytes, at most `limit`.
  Result<std::string> Read(size_t limit) const;
  // The same in pieces of at most 256 KiB. When it fails, the sink may have seen some of them.
  Status Extract(size_t limit, const ZipSink& sink) const;

 private:
  struct Entry {
    std::string name;
    uint32_t flags = 0, method = 0, mode = 0, crc = 0;
    size_t size = 0;     // once inflated
    size_t packed = 0;   // as it lies in the file
    size_t content = 0;  // where that begins
    size_t offset = 0;   // of its local header
  };
  explicit ZipReader(ZipInput input) : input_(std::move(input)) {}
  static Result<Entry> ReadDirectoryEntry(std::string_view* directory);
  Status FindDirectory();
  Status Locate(Entry* entry, size_t end) const;
  Status ExtractStored(const Entry& entry, const ZipSink& sink) const;
  Status ExtractDeflated(const Entry& entry, const ZipSink& sink) const;

  ZipInput input_;
  size_t directory_at_ = 0, directory_bytes_ = 0, count_ = 0;
  std::vector<Entry> entries_;  // by offset
  size_t next_ = 0;
};

}  // namespace slipway
