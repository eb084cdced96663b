#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/lookup/lookup_table.h"
#include "slipway/lookup/table_format.h"

namespace slipway {
namespace {

// A column as it grows: what its segments will hold.
struct GrowingColumn {
  std::string values, text;
  std::vector<uint64_t> validity;

  template <typename T>
  void Push(T value) {
    values.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  template <typename T>
  T value(uint64_t row) const {
    T out;
    std::memcpy(&out, values.data() + row * sizeof out, sizeof out);
    return out;
  }
  std::string_view TextAt(uint64_t row) const {
    const uint32_t begin = value<uint32_t>(row);
    return std::string_view(text).substr(begin, value<uint32_t>(row + 1) - begin);
  }
};

// A missing value, for our purposes: a null, or NaN.
bool Missing(const ColumnView& column, int row) {
  if (!column.valid(row)) return true;
  return column.type == Type::kDouble && std::isnan(column.doubles()[row]);
}

// Writes pieces to a temporary file, which Finish gives its name.
class PieceFile {
 public:
  explicit PieceFile(const std::string& path) : path_(path) {
    static std::atomic<int> counter{0};
    temporary_ = fmt::format("{}.tmp{}.t{}", path, ::getpid(), counter++);
  }
  PieceFile(const PieceFile&) = delete;
  PieceFile& operator=(const PieceFile&) = delete;
  ~PieceFile() {
    if (fd_ >= 0) ::close(fd_);
    if (!finished_) ::unlink(temporary_.c_str());
  }

  Status Open() {
    fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd_ < 0) return FileError("create", temporary_, errno);
    return {};
  }

  // At `at`, which is not before the end; zeros lie between.
  Status WriteAt(uint64_t at, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(at));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return FileError("write", path_, errno);
      bytes.remove_prefix(static_cast<size_t>(n));
      at += static_cast<uint64_t>(n);
    }
    return {};
  }

  Status Finish(uint64_t bytes) {
    if (::ftruncate(fd_, static_cast<off_t>(bytes)) != 0) return FileError("write", path_, errno);
    if (::fsync(fd_) != 0) return FileError("fsync", path_, errno);
    if (::close(std::exchange(fd_, -1)) != 0) return FileError("close", path_, errno);
    RETURN_IF_ERROR(RenameDurably(temporary_, path_));
    finished_ = true;
    return {};
  }

 private:
  std::string path_, temporary_;
  int fd_ = -1;
  bool finished_ = false;
};

template <typename T>
std::string_view BytesOf(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

class TableWriter : public LookupTableWriter {
 public:
  TableWriter(Schema schema, std::vector<int> keys, int64_t max_bytes)
      : schema_(std::move(schema)),
        max_bytes_(static_cast<uint64_t>(std::max<int64_t>(max_bytes, 0))) {
    columns_.resize(schema_.fields.size());
    for (size_t i = 0; i < columns_.size(); ++i) {
      head_.columns.emplace_back().field = schema_.fields[i];
      if (schema_.fields[i].type == Type::kString) columns_[i].Push(uint32_t{0});
    }
    for (const int key : keys) head_.columns[static_cast<size_t>(key)].key = true;
    head_.keys = std::move(keys);
  }

  Status Add(const Batch& batch) override {
    if (batch.schema == nullptr || *batch.schema != schema_ ||
        batch.columns.size() != columns_.size())
      return InvalidArgument("the rows have other columns than the lookup table");
    const uint64_t rows = static_cast<uint64_t>(batch.rows);
    if (head_.rows + rows > kMaxTableRows)
      return InvalidArgument(fmt::format("a lookup table holds at most {} rows",
                                         FormatCount(static_cast<int64_t>(kMaxTableRows))));
    RETURN_IF_ERROR(CheckKeys(batch));
    for (size_t i = 0; i < columns_.size(); ++i) RETURN_IF_ERROR(AddColumn(batch, i));
    head_.rows += rows;
    return CheckBytes();
  }

  Status Finish(const std::string& path) override {
    head_.slots = TableSlots(head_.rows);
    for (size_t i = 0; i < columns_.size(); ++i)
      head_.columns[i].text_bytes = columns_[i].text.size();
    const std::string text = TableHeadToText(head_);
    if (text.size() > kMaxTableHeadBytes) return InvalidArgument("the columns' names are too long");
    LayOut(text.size(), &head_);
    TableHeader header = {};
    std::memcpy(header.magic, kTableMagic.data(), sizeof header.magic);
    header.format = kTableFormat;
    header.head_bytes = static_cast<uint32_t>(text.size());
    header.file_bytes = head_.file_bytes;
    header.rows = head_.rows;
    header.slots = head_.slots;
    PieceFile file(path);
    RETURN_IF_ERROR(file.Open());
    RETURN_IF_ERROR(
        file.WriteAt(0, std::string_view(reinterpret_cast<const char*>(&header), sizeof header)));
    RETURN_IF_ERROR(file.WriteAt(sizeof header, text));
    RETURN_IF_ERROR(file.WriteAt(head_.index_at, BytesOf(Index())));
    for (size_t i = 0; i < columns_.size(); ++i) {
      const TableColumn& place = head_.columns[i];
      if (place.nulls)
        RETURN_IF_ERROR(file.WriteAt(place.validity_at, BytesOf(columns_[i].validity)));
      RETURN_IF_ERROR(file.WriteAt(place.values_at, columns_[i].values));
      RETURN_IF_ERROR(file.WriteAt(place.text_at, columns_[i].text));
    }
    return file.Finish(head_.file_bytes);
  }

 private:
  Status CheckKeys(const Batch& batch) const {
    for (const int key : head_.keys) {
      const ColumnView& column = batch.columns[static_cast<size_t>(key)];
      for (int row = 0; row < batch.rows && column.data != nullptr; ++row) {
        if (!Missing(column, row)) continue;
        const int64_t number =
            (batch.first_row >= 0 ? batch.first_row : static_cast<int64_t>(head_.rows)) + row + 1;
        return InvalidArgument(
            fmt::format("row {} has no value in the key column '{}'", FormatCount(number),
                        schema_.fields[static_cast<size_t>(key)].name),
            "drop the rows without a key, or use another key");
      }
    }
    return {};
  }

  Status AddColumn(const Batch& batch, size_t at) {
    const ColumnView& from = batch.columns[at];
    if (from.data == nullptr)
      return InvalidArgument(
          fmt::format("the rows come without the column '{}'", schema_.fields[at].name));
    GrowingColumn& to = columns_[at];
    to.validity.resize((head_.rows + static_cast<uint64_t>(batch.rows) + 63) / 64);
    for (int row = 0; row < batch.rows; ++row) {
      // A null's value is 0: the same rows give the same bytes.
      if (Missing(from, row)) {
        head_.columns[at].nulls = true;
        if (from.type == Type::kString) {
          to.Push(static_cast<uint32_t>(to.text.size()));
        } else {
          to.values.append(TableValueBytes(from.type), '\0');
        }
        continue;
      }
      const uint64_t number = head_.rows + static_cast<uint64_t>(row);
      to.validity[number >> 6] |= uint64_t{1} << (number & 63);
      RETURN_IF_ERROR(AddCell(from, row, &to));
    }
    return {};
  }

  Status AddCell(const ColumnView& from, int row, GrowingColumn* to) const {
    switch (from.type) {
      case Type::kBoolean:
        to->Push(static_cast<uint8_t>(from.booleans()[row] != 0 ? 1 : 0));
        break;
      case Type::kInt64:
      case Type::kTimestamp:
        to->Push(from.ints()[row]);
        break;
      case Type::kDouble:
        to->Push(from.doubles()[row]);
        break;
      case Type::kDate:
        to->Push(from.dates()[row]);
        break;
      case Type::kString: {
        const std::string_view text = from.strings()[row];
        if (to->text.size() + text.size() > std::min(max_bytes_, kMaxTableTextBytes))
          return TooMany();
        to->text += text;
        to->Push(static_cast<uint32_t>(to->text.size()));
        break;
      }
    }
    return {};
  }

  Error TooMany() const {
    return InvalidArgument(
        fmt::format("the lookup table is larger than {}",
                    FormatBytes(static_cast<int64_t>(std::min(max_bytes_, kMaxTableTextBytes)))),
        "take fewer rows, or only the columns that are looked up");
  }

  Status CheckBytes() const {
    uint64_t bytes = TableSlots(head_.rows) * sizeof(TableSlot);
    for (const GrowingColumn& column : columns_)
      bytes += column.values.size() + column.text.size() + column.validity.size() * 8;
    if (bytes > max_bytes_) return TooMany();
    return {};
  }

  uint64_t Hash(uint64_t row) const {
    uint64_t hash = 0;
    for (const int key : head_.keys) {
      const GrowingColumn& column = columns_[static_cast<size_t>(key)];
      switch (schema_.fields[static_cast<size_t>(key)].type) {
        case Type::kBoolean:
          hash = HashTableBits(column.value<uint8_t>(row), hash);
          break;
        case Type::kInt64:
        case Type::kTimestamp:
          hash = HashTableBits(column.value<uint64_t>(row), hash);
          break;
        case Type::kDouble:
          hash = HashTableBits(TableDoubleBits(column.value<double>(row)), hash);
          break;
        case Type::kDate:
          hash = HashTableBits(static_cast<uint64_t>(int64_t{column.value<int32_t>(row)}), hash);
          break;
        case Type::kString:
          hash = HashTableText(column.TextAt(row), hash);
          break;
      }
    }
    return hash;
  }

  bool SameKey(uint64_t a, uint64_t b) const {
    for (const int key : head_.keys) {
      const GrowingColumn& column = columns_[static_cast<size_t>(key)];
      const Type type = schema_.fields[static_cast<size_t>(key)].type;
      const uint64_t bytes = TableValueBytes(type);
      bool same = false;
      if (type == Type::kString) {
        same = column.TextAt(a) == column.TextAt(b);
      } else if (type == Type::kDouble) {
        same = column.value<double>(a) == column.value<double>(b);
      } else {
        same = std::memcmp(column.values.data() + a * bytes, column.values.data() + b * bytes,
                           bytes) == 0;
      }
      if (!same) return false;
    }
    return true;
  }

  // Of equal keys, the first row stands in the index, marked as one of several.
  std::vector<TableSlot> Index() const {
    std::vector<TableSlot> slots(head_.slots);
    const uint64_t mask = head_.slots - 1;
    for (uint64_t row = 0; row < head_.rows; ++row) {
      const uint64_t hash = Hash(row);
      for (uint64_t at = hash & mask;; at = (at + 1) & mask) {
        TableSlot& slot = slots[at];
        if (slot == 0) {
          slot = (hash & kSlotTag) | (row + 1);
          break;
        }
        if ((slot & kSlotTag) == (hash & kSlotTag) && SameKey((slot & kSlotRow) - 1, row)) {
          slot |= kSlotSeveral;
          break;
        }
      }
    }
    return slots;
  }

  Schema schema_;
  uint64_t max_bytes_;
  TableHead head_;
  std::vector<GrowingColumn> columns_;
};

}  // namespace

Result<std::unique_ptr<LookupTableWriter>> LookupTableWriter::Make(
    const Schema& schema, const std::vector<std::string>& keys, int64_t max_bytes) {
  if (keys.empty())
    return InvalidArgument("a lookup table needs a key", "name at least one key column");
  std::vector<int> indices;
  for (const std::string& key : keys) {
    const int index = schema.Find(key);
    if (index < 0) return NoSuchColumn(key, schema, "the lookup table");
    if (std::find(indices.begin(), indices.end(), index) != indices.end())
      return InvalidArgument(fmt::format("the key column '{}' stands twice", key));
    indices.push_back(index);
  }
  return std::unique_ptr<LookupTableWriter>(
      std::make_unique<TableWriter>(schema, std::move(indices), max_bytes));
}

}  // namespace slipway
