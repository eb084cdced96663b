// A temporary file of rows of doubles: what the trainer keeps of a table once it is encoded, so
// that memory does not grow with the rows. The file has no name (it is unlinked at once): nothing
// is left after a crash. Append: one thread. Read: thread-safe once Flush() returned ok.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "slipway/base/result.h"

namespace slipway {

class RowFile {
 public:
  // `width` doubles a row, in folder `dir`.
  static Result<RowFile> Make(const std::string& dir, int width);
  RowFile() = default;  // no file: no rows
  RowFile(RowFile&& other) noexcept;
  RowFile& operator=(RowFile&& other) noexcept;
  ~RowFile();

  int width() const { return width_; }
  int64_t rows() const { return rows_; }
  // Whole rows.
  Status Append(std::span<const double> values);
  Status Flush();
  // Writes rows in place or past the end; for several threads, each with rows of its own. rows() is
  // then Resize's.
  Status WriteAt(int64_t first_row, std::span<const double> values);
  void Resize(int64_t rows) { rows_ = rows; }
  // REQUIRES: rows [first, first + count) were written.
  Status Read(int64_t first, int64_t count, double* out) const;

 private:
  RowFile(int fd, int width, std::string dir) : fd_(fd), width_(width), dir_(std::move(dir)) {}
  int fd_ = -1;
  int width_ = 0;
  int64_t rows_ = 0, flushed_ = 0;
  std::string dir_;
  std::vector<double> buffer_;
};

// Reads all rows in order in blocks of at most `block` rows: consume(first row, rows, values).
template <typename F>
Status ForEachBlock(const RowFile& file, int64_t block, const F& consume) {
  std::vector<double> values(static_cast<size_t>(std::min(block, file.rows()) * file.width()));
  for (int64_t first = 0; first < file.rows(); first += block) {
    const int64_t count = std::min(block, file.rows() - first);
    RETURN_IF_ERROR(file.Read(first, count, values.data()));
    RETURN_IF_ERROR(consume(first, count, static_cast<const double*>(values.data())));
  }
  return {};
}

}  // namespace slipway
