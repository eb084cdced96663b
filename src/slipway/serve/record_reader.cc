#include "slipway/serve/record_reader.h"

#include <algorithm>
#include <cstring>

#include "slipway/base/text.h"

namespace slipway {
namespace {

// Keys beyond this place in a record are always found by their name.
constexpr size_t kMostRemembered = 8192;

bool NeedsEscape(std::string_view name) {
  return std::any_of(name.begin(), name.end(), [](char c) {
    return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20;
  });
}

int Hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// nullopt: a '%' without two hexadecimal digits, or what it makes is not UTF-8.
std::optional<std::string_view> DecodeQueryText(std::string_view text, TextArena* arena) {
  if (text.find_first_of("%+") == std::string_view::npos) {
    if (!IsValidUtf8(text)) return std::nullopt;
    return text;
  }
  char* const room = arena->Room(text.size());
  char* to = room;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i] == '+' ? ' ' : text[i];
    if (c == '%') {
      const int high = i + 2 < text.size() ? Hex(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? Hex(text[i + 2]) : -1;
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    *to++ = c;
  }
  const std::string_view decoded = arena->Keep(static_cast<size_t>(to - room));
  if (!IsValidUtf8(decoded)) return std::nullopt;
  return decoded;
}

}  // namespace

RecordLayout::RecordLayout(std::vector<Field> columns) {
  columns_.reserve(columns.size());  // the index points into it
  for (Field& field : columns) {
    const int at = static_cast<int>(columns_.size());
    Place& place = columns_.emplace_back();
    place.field = std::move(field);
    place.quoted = "\"" + place.field.name + "\"" + std::string(8, '\0');
    const auto [found, added] = index_.try_emplace(place.field.name, at);
    if (added) continue;
    int last = found->second;
    while (columns_[static_cast<size_t>(last)].next >= 0)
      last = columns_[static_cast<size_t>(last)].next;
    columns_[static_cast<size_t>(last)].next = at;
  }
  for (const Place& place : columns_) {
    Likely& likely = likely_.emplace_back();
    likely.plain_double = place.field.type == Type::kDouble && place.next < 0;
    if (NeedsEscape(place.field.name)) continue;
    likely.quoted = place.quoted.data();
    likely.size = static_cast<uint32_t>(place.quoted.size() - 8);
  }
}

int RecordLayout::Find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? -1 : found->second;
}

RecordRows::RecordRows(const RecordLayout& layout, int capacity)
    : capacity_(capacity), words_(static_cast<size_t>((capacity + 63) / 64)) {
  const size_t columns = static_cast<size_t>(layout.size());
  std::vector<size_t> offsets;
  for (int i = 0; i < layout.size(); ++i) {
    Place& place = places_.emplace_back();
    place.width = kTypeWidths[static_cast<size_t>(layout.field(i).type)];
    offsets.push_back(cell_bytes_);
    cell_bytes_ += (place.width * static_cast<size_t>(capacity) + 15) / 16 * 16;
  }
  cells_ = std::make_unique<uint64_t[]>(cell_bytes_ / 8);
  validity_.resize(columns * words_);
  for (size_t i = 0; i < columns; ++i) {
    places_[i].cells = reinterpret_cast<char*>(cells_.get()) + offsets[i];
    views_.push_back(
        {layout.field(static_cast<int>(i)).type, places_[i].cells, validity_.data() + i * words_});
  }
}

void RecordRows::Begin(int row) {
  if ((row & 63) != 0) return;
  if (capacity_ == 1) {
    std::memset(cells_.get(), 0, cell_bytes_);
    std::fill(validity_.begin(), validity_.end(), uint64_t{0});
    return;
  }
  const size_t rows = static_cast<size_t>(std::min(64, capacity_ - row));
  for (size_t i = 0; i < places_.size(); ++i) {
    validity_[i * words_ + static_cast<size_t>(row >> 6)] = 0;
    std::memset(Cell(static_cast<int>(i), row), 0, rows * places_[i].width);
  }
}

std::string_view ValueOfType(Type type) {
  switch (type) {
    case Type::kBoolean:
      return "true or false";
    case Type::kInt64:
      return "a whole number";
    case Type::kDouble:
      return "a number";
    case Type::kString:
      return "a text";
    case Type::kDate:
      return "a date such as 2026-01-31";
    case Type::kTimestamp:
      return "a time such as 2026-01-31T13:45:00Z";
  }
  return "";
}

CellState ParseRecordCell(Type type, std::string_view text, void* cell) {
  switch (type) {
    case Type::kBoolean:
      return ParseBooleanCell(text, static_cast<uint8_t*>(cell));
    case Type::kInt64:
      return ParseInt64Cell(text, static_cast<int64_t*>(cell));
    case Type::kDouble:
      return ParseDoubleCell(text, static_cast<double*>(cell));
    case Type::kDate:
      return ParseDateCell(text, static_cast<int32_t*>(cell));
    case Type::kTimestamp:
      return ParseTimestampCell(text, static_cast<int64_t*>(cell));
    case Type::kString:
      *static_cast<std::string_view*>(cell) = text;
      return text.empty() ? CellState::kMissing : CellState::kValue;
  }
  return CellState::kBad;
}

RecordReader::RecordReader(const RecordLayout* layout, std::string_view noun)
    : layout_(layout), noun_(noun), seen_(static_cast<size_t>(layout->size())) {
  for (int i = 0; i < layout->size(); ++i) order_.push_back(i);
}

void RecordReader::Start() { std::memset(seen_.data(), 0, seen_.size()); }

bool RecordReader::See(int column, std::optional<Error>* bad) {
  uint8_t& seen = seen_[static_cast<size_t>(column)];
  if (seen == 0) {
    seen = 1;
    return true;
  }
  if (!bad->has_value())
    *bad = InvalidArgument(noun_ + " '" + layout_->field(column).name + "' stands twice");
  return false;
}

void RecordReader::Text(std::string_view text, bool nested, int column, RecordRows* rows, int row,
                        std::optional<Error>* bad) {
  for (; column >= 0; column = layout_->Next(column)) {
    const Type type = layout_->field(column).type;
    const CellState state = nested && type != Type::kString
                                ? CellState::kBad
                                : ParseRecordCell(type, text, rows->Cell(column, row));
    if (state == CellState::kValue) rows->SetValid(column, row);
    if (state != CellState::kBad || bad->has_value()) continue;
    *bad = InvalidArgument(noun_ + " '" + layout_->field(column).name + "': '" +
                               std::string(text.substr(0, 100)) + "' is not " +
                               std::string(ValueOfType(type)),
                           nested ? "send a plain value" : "send a value of that type, or null");
  }
}

bool RecordReader::Value(RequestScanner* scanner, int column, RecordRows* rows, int row,
                         std::optional<Error>* bad) {
  std::string_view text;
  const JsonToken token = scanner->Peek();
  switch (token) {
    case JsonToken::kNumber: {
      ScannedNumber number;
      if (!scanner->Number(&number)) return false;
      if (number.exact && layout_->likely(column).plain_double) {
        *static_cast<double*>(rows->Cell(column, row)) = number.value;
        rows->SetValid(column, row);
        return true;
      }
      if (number.finite) Text(number.text, false, column, rows, row, bad);
      return true;
    }
    case JsonToken::kString:
      if (!scanner->String(&text)) return false;
      Text(text, false, column, rows, row, bad);
      return true;
    case JsonToken::kTrue:
    case JsonToken::kFalse:
      if (!scanner->Word()) return false;
      Text(token == JsonToken::kTrue ? "true" : "false", false, column, rows, row, bad);
      return true;
    case JsonToken::kNull:
    case JsonToken::kNotFinite:
      return scanner->Word();
    case JsonToken::kObject:
    case JsonToken::kArray:
      if (!scanner->Skip(&text)) return false;
      Text(text, true, column, rows, row, bad);
      return true;
    case JsonToken::kNone:
      break;
  }
  return scanner->Fail("a value is missing");
}

bool RecordReader::Read(RequestScanner* scanner, RecordRows* rows, int row,
                        std::optional<Error>* bad) {
  Start();
  if (!scanner->Enter()) return false;
  for (size_t place = 0;; ++place) {
    const int likely = place < order_.size() ? order_[place] : -1;
    bool found = false;
    std::string_view quoted;
    if (likely >= 0) quoted = {layout_->likely(likely).quoted, layout_->likely(likely).size};
    if (!scanner->NextKeyLike(quoted, &found)) return scanner->ok();
    int column = likely;
    if (!found) {
      std::string_view key;
      if (!scanner->FinishKey(&key)) return false;
      column = layout_->Find(key);
      if (place < order_.size()) {
        order_[place] = column;
      } else if (place < kMostRemembered) {
        order_.resize(place + 1, -1);
        order_[place] = column;
      }
    }
    if (column < 0 || !See(column, bad)) {
      std::string_view raw;
      if (!scanner->Skip(&raw)) return false;
    } else if (!Value(scanner, column, rows, row, bad)) {
      return false;
    }
  }
}

void RecordReader::ReadQuery(std::string_view query, TextArena* arena, RecordRows* rows, int row,
                             std::optional<Error>* bad) {
  Start();
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.empty()) continue;
    const size_t equals = std::min(pair.find('='), pair.size());
    const auto name = DecodeQueryText(pair.substr(0, equals), arena);
    const auto text = DecodeQueryText(pair.substr(std::min(equals + 1, pair.size())), arena);
    if (!name || !text) {
      if (!bad->has_value())
        *bad = InvalidArgument("the query has '" + std::string(pair.substr(0, 100)) +
                                   "', which is not percent-encoded UTF-8",
                               "write a percent sign as %25");
      continue;
    }
    const int column = layout_->Find(*name);
    if (column >= 0 && See(column, bad)) Text(*text, false, column, rows, row, bad);
  }
}

}  // namespace slipway
