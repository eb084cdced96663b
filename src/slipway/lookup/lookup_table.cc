#include "slipway/lookup/lookup_table.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "slipway/base/file.h"
#include "slipway/lookup/table_format.h"

namespace slipway {
namespace {

// A read-only mapping of a whole file.
class Mapping {
 public:
  Mapping() = default;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    if (data_ != nullptr) ::munmap(data_, size_);
  }

  Status Map(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return FileError("open", path, errno);
    const Status status = MapFd(fd, path);
    ::close(fd);
    return status;
  }

  const char* data() const { return static_cast<const char*>(data_); }
  size_t size() const { return size_; }

 private:
  Status MapFd(int fd, const std::string& path) {
    struct stat info{};
    if (::fstat(fd, &info) != 0) return FileError("read", path, errno);
    if (!S_ISREG(info.st_mode)) return InvalidArgument("'" + path + "' is not a file");
    if (static_cast<size_t>(info.st_size) < sizeof(TableHeader))
      return Corruption("it is shorter than a table's header");
    size_ = static_cast<size_t>(info.st_size);
    void* const data = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED) return FileError("map", path, errno);
    data_ = data;
    return {};
  }

  void* data_ = nullptr;
  size_t size_ = 0;
};

// A column as Find and Read use it.
struct MappedColumn {
  Type type = Type::kString;
  const uint64_t* validity = nullptr;
  const char* values = nullptr;
  const char* text = nullptr;
  uint64_t text_bytes = 0;

  template <typename T>
  T value(uint64_t row) const {
    return reinterpret_cast<const T*>(values)[row];
  }
  bool valid(uint64_t row) const {
    return validity == nullptr || (validity[row >> 6] >> (row & 63) & 1) != 0;
  }
  // False when the offsets of a hostile file lead out of the text.
  bool TextAt(uint64_t row, std::string_view* out) const {
    const uint64_t begin = value<uint32_t>(row), end = value<uint32_t>(row + 1);
    if (begin > end || end > text_bytes) return false;
    *out = std::string_view(text + begin, end - begin);
    return true;
  }
};

class MappedTable : public LookupTable {
 public:
  Status Open(const std::string& path) {
    RETURN_IF_ERROR(mapping_.Map(path));
    TableHeader header;
    std::memcpy(&header, mapping_.data(), sizeof header);
    if (std::string_view(header.magic, sizeof header.magic) != kTableMagic)
      return Corruption("it is no lookup table");
    if (header.format > kTableFormat) {
      return InvalidArgument(
          fmt::format("made by a newer Slipway: format {}, this one reads up to {}", header.format,
                      kTableFormat),
          "upgrade to a Slipway that is at least as new as the one that made the table");
    }
    RETURN_IF_ERROR(CheckHeader(header));
    TableHead head;
    head.rows = header.rows;
    head.slots = header.slots;
    const std::string_view text(mapping_.data() + sizeof header, header.head_bytes);
    if (Status status = TableHeadFromText(text, &head); !status.ok()) {
      return Corruption(status.error().message).Within("its columns");
    }
    LayOut(header.head_bytes, &head);
    if (head.file_bytes != mapping_.size()) {
      return Corruption(
          fmt::format("{} bytes, where its columns need {}", mapping_.size(), head.file_bytes));
    }
    Take(head);
    return {};
  }

  const Schema& schema() const override { return schema_; }
  std::span<const int> keys() const override { return keys_; }
  int64_t rows() const override { return static_cast<int64_t>(rows_); }
  int64_t file_bytes() const override { return static_cast<int64_t>(mapping_.size()); }

  Match Find(std::span<const ColumnView> values, int at) const override {
    const uint64_t hash = Hash(values, at);
    const TableSlot tag = hash & kSlotTag;
    // A table that is all slots taken is no reason to walk for ever.
    for (uint64_t probe = 0; probe <= mask_; ++probe) {
      const TableSlot slot = slots_[(hash + probe) & mask_];
      if (slot == 0) return {};
      if ((slot & kSlotTag) != tag) continue;
      const uint64_t row = (slot & kSlotRow) - 1;
      if (row < rows_ && Equal(values, at, row))
        return {static_cast<int64_t>(row), (slot & kSlotSeveral) != 0};
    }
    return {};
  }

  void Read(int64_t row, int column, int to_row, Column* out) const override {
    const MappedColumn& from = columns_[static_cast<size_t>(column)];
    const uint64_t at = static_cast<uint64_t>(row);
    if (!from.valid(at) || !Copy(from, at, to_row, out)) {
      out->SetNull(to_row);
    } else {
      out->SetValid(to_row);
    }
  }

 private:
  Status CheckHeader(const TableHeader& header) const {
    if (header.format < 1) return Corruption("format 0 does not exist");
    if (header.file_bytes != mapping_.size())
      return Corruption(fmt::format("{} bytes instead of {}", mapping_.size(), header.file_bytes));
    if (header.rows > kMaxTableRows || header.slots != TableSlots(header.rows))
      return Corruption(fmt::format("{} rows in {} slots", header.rows, header.slots));
    if (header.head_bytes > kMaxTableHeadBytes ||
        header.head_bytes > mapping_.size() - sizeof header)
      return Corruption(fmt::format("{} bytes of columns", header.head_bytes));
    if (header.zero[0] != 0 || header.zero[1] != 0 || header.zero[2] != 0)
      return Corruption("its header has bytes that must be 0");
    return {};
  }

  void Take(const TableHead& head) {
    const char* const data = mapping_.data();
    rows_ = head.rows;
    mask_ = head.slots - 1;
    slots_ = reinterpret_cast<const TableSlot*>(data + head.index_at);
    for (const TableColumn& column : head.columns) {
      schema_.fields.push_back(column.field);
      MappedColumn& mapped = columns_.emplace_back();
      mapped.type = column.field.type;
      if (column.nulls)
        mapped.validity = reinterpret_cast<const uint64_t*>(data + column.validity_at);
      mapped.values = data + column.values_at;
      mapped.text = data + column.text_at;
      mapped.text_bytes = column.text_bytes;
    }
    keys_ = head.keys;
    for (const int key : keys_) key_columns_.push_back(columns_[static_cast<size_t>(key)]);
  }

  uint64_t Hash(std::span<const ColumnView> values, int at) const {
    uint64_t hash = 0;
    for (size_t i = 0; i < key_columns_.size(); ++i) {
      switch (key_columns_[i].type) {
        case Type::kBoolean:
          hash = HashTableBits(values[i].booleans()[at], hash);
          break;
        case Type::kInt64:
        case Type::kTimestamp:
          hash = HashTableBits(static_cast<uint64_t>(values[i].ints()[at]), hash);
          break;
        case Type::kDouble:
          hash = HashTableBits(TableDoubleBits(values[i].doubles()[at]), hash);
          break;
        case Type::kDate:
          hash = HashTableBits(static_cast<uint64_t>(int64_t{values[i].dates()[at]}), hash);
          break;
        case Type::kString:
          hash = HashTableText(values[i].strings()[at], hash);
          break;
      }
    }
    return hash;
  }

  bool Equal(std::span<const ColumnView> values, int at, uint64_t row) const {
    for (size_t i = 0; i < key_columns_.size(); ++i) {
      if (!EqualCell(key_columns_[i], values[i], at, row)) return false;
    }
    return true;
  }

  static bool EqualCell(const MappedColumn& key, const ColumnView& value, int at, uint64_t row) {
    switch (key.type) {
      case Type::kBoolean:
        return key.value<uint8_t>(row) == value.booleans()[at];
      case Type::kInt64:
      case Type::kTimestamp:
        return key.value<int64_t>(row) == value.ints()[at];
      case Type::kDouble:
        return key.value<double>(row) == value.doubles()[at];
      case Type::kDate:
        return key.value<int32_t>(row) == value.dates()[at];
      case Type::kString: {
        std::string_view text;
        return key.TextAt(row, &text) && text == value.strings()[at];
      }
    }
    return false;
  }

  static bool Copy(const MappedColumn& from, uint64_t row, int to_row, Column* out) {
    switch (from.type) {
      case Type::kBoolean:
        out->booleans()[to_row] = from.value<uint8_t>(row) != 0 ? 1 : 0;
        return true;
      case Type::kInt64:
      case Type::kTimestamp:
        out->ints()[to_row] = from.value<int64_t>(row);
        return true;
      case Type::kDouble:
        out->doubles()[to_row] = from.value<double>(row);
        return true;
      case Type::kDate:
        out->dates()[to_row] = from.value<int32_t>(row);
        return true;
      case Type::kString:
        return from.TextAt(row, &out->strings()[to_row]);
    }
    return false;
  }

  Mapping mapping_;
  Schema schema_;
  std::vector<int> keys_;
  std::vector<MappedColumn> columns_, key_columns_;
  uint64_t rows_ = 0, mask_ = 0;
  const TableSlot* slots_ = nullptr;
};

}  // namespace

Result<std::shared_ptr<const LookupTable>> LookupTable::Open(const std::string& path) {
  auto table = std::make_shared<MappedTable>();
  if (Status status = table->Open(path); !status.ok())
    return status.error().Within(fmt::format("lookup table '{}'", BaseName(path)));
  return std::shared_ptr<const LookupTable>(std::move(table));
}

}  // namespace slipway
