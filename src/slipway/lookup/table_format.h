// Internal to lookup: the layout of a table file (docs/package-format.md), which follows from its
// head. Little-endian. Plain values and pure functions.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/table/schema.h"

namespace slipway {

static_assert(std::endian::native == std::endian::little, "table files are read as they lie");

inline constexpr std::string_view kTableMagic = "SlipwayT";
inline constexpr uint32_t kTableFormat = 1;
inline constexpr uint64_t kTableAlignment = 64;
inline constexpr uint64_t kMaxTableRows = (uint64_t{1} << 31) - 2;
inline constexpr uint64_t kMaxTableHeadBytes = uint64_t{16} << 20;
inline constexpr uint64_t kMaxTableTextBytes = 0xFFFFFFFF;  // of one column

// The first 64 bytes. `head`: JSON of the columns, which follows at once.
struct TableHeader {
  char magic[8];
  uint32_t format;
  uint32_t head_bytes;
  uint64_t file_bytes, rows, slots;
  uint64_t zero[3];
};
static_assert(sizeof(TableHeader) == kTableAlignment);

// One slot of the index: 0 when free, else the upper half of the key's hash over `several` (1 bit)
// and row + 1 (31 bits). Slot hash & (slots - 1) first, then the ones behind it.
using TableSlot = uint64_t;
inline constexpr TableSlot kSlotSeveral = TableSlot{1} << 31;
inline constexpr TableSlot kSlotRow = kSlotSeveral - 1;
inline constexpr TableSlot kSlotTag = ~TableSlot{0} << 32;

struct TableColumn {
  Field field;
  bool key = false;    // listed in TableHead::keys
  bool nulls = false;  // has a validity bitmap
  uint64_t text_bytes = 0;
  // Where its segments begin; 0: it has none.
  uint64_t validity_at = 0, values_at = 0, text_at = 0;
};

struct TableHead {
  uint64_t rows = 0, slots = 0;
  std::vector<TableColumn> columns;
  std::vector<int> keys;
  uint64_t index_at = 0, file_bytes = 0;
};

// Bytes of one value; strings: of one offset.
uint64_t TableValueBytes(Type type);
// The least power of two that leaves a third of the slots free.
uint64_t TableSlots(uint64_t rows);
// Sets where everything lies; `head_bytes`: of the JSON.
void LayOut(uint64_t head_bytes, TableHead* head);
std::string TableHeadToText(const TableHead& head);
// The columns and keys. Strict.
Status TableHeadFromText(std::string_view text, TableHead* head);

// The hash of a key: of each value's bytes in turn, seeded with the one before.
uint64_t HashTableText(std::string_view text, uint64_t seed);
uint64_t HashTableBits(uint64_t bits, uint64_t seed);
// A double as the bits that stand for its value: one zero.
inline uint64_t TableDoubleBits(double value) {
  return std::bit_cast<uint64_t>(value == 0 ? 0.0 : value);
}

}  // namespace slipway
