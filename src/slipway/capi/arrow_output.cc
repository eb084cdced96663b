#include "slipway/capi/arrow_output.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace slipway {
namespace {

const char* FormatOf(Type type) {
  switch (type) {
    case Type::kBoolean:
      return "b";
    case Type::kInt64:
      return "l";
    case Type::kDouble:
      return "g";
    case Type::kString:
      return "u";
    case Type::kDate:
      return "tdD";
    case Type::kTimestamp:
      return "tsu:UTC";
  }
  return "n";
}

size_t WidthOf(Type type) { return type == Type::kDate ? sizeof(int32_t) : sizeof(int64_t); }

// What an exported struct owns; each child has its own, so that a consumer may move children out.
struct SchemaHold {
  std::string name;
  std::vector<ArrowSchema> children;
  std::vector<ArrowSchema*> pointers;
};

struct ArrayHold {
  std::vector<uint64_t> validity, values;
  std::vector<int32_t> offsets;
  std::string text;
  std::vector<const void*> buffers;
  std::vector<ArrowArray> children;
  std::vector<ArrowArray*> pointers;
};

template <typename Struct, typename Hold>
void Release(Struct* released) {
  if (released == nullptr || released->release == nullptr) return;
  for (int64_t i = 0; i < released->n_children; ++i) {
    Struct* child = released->children[i];
    if (child->release != nullptr) child->release(child);
  }
  delete static_cast<Hold*>(released->private_data);
  released->release = nullptr;
}

void ReleaseSchema(ArrowSchema* schema) { Release<ArrowSchema, SchemaHold>(schema); }
void ReleaseArray(ArrowArray* array) { Release<ArrowArray, ArrayHold>(array); }

template <typename Struct>
void PointToChildren(std::vector<Struct>* children, std::vector<Struct*>* pointers, Struct* out) {
  for (Struct& child : *children) pointers->push_back(&child);
  out->n_children = static_cast<int64_t>(children->size());
  out->children = pointers->data();
}

void MakeSchema(const char* format, std::string name, ArrowSchema* out) {
  auto hold = std::make_unique<SchemaHold>();
  hold->name = std::move(name);
  *out = ArrowSchema{};
  out->format = format;
  out->name = hold->name.c_str();
  out->flags = ARROW_FLAG_NULLABLE;
  out->release = ReleaseSchema;
  out->private_data = hold.release();
}

int64_t CountNulls(const std::vector<uint64_t>& validity, int64_t rows) {
  int64_t valid = 0;
  for (const uint64_t word : validity) valid += std::popcount(word);
  return rows - valid;
}

}  // namespace

void ExportSchema(const Schema& schema, ArrowSchema* out) {
  MakeSchema("+s", "", out);
  out->flags = 0;
  SchemaHold* hold = static_cast<SchemaHold*>(out->private_data);
  hold->children.resize(schema.fields.size());
  for (size_t i = 0; i < schema.fields.size(); ++i)
    MakeSchema(FormatOf(schema.fields[i].type), schema.fields[i].name, &hold->children[i]);
  PointToChildren(&hold->children, &hold->pointers, out);
}

// Texts wait batch by batch until all lengths are known.
struct ArrowOutput::Buffers {
  std::vector<uint64_t> validity, values;
  std::vector<std::string> batch_text;
  std::vector<int32_t> lengths;
};

ArrowOutput::ArrowOutput(const Schema& schema, int64_t rows) : schema_(schema), rows_(rows) {
  const size_t count = static_cast<size_t>(rows);
  for (const Field& field : schema_.fields) {
    auto buffers = std::make_unique<Buffers>();
    buffers->validity.resize((count + 63) / 64);
    if (field.type == Type::kString) {
      buffers->batch_text.resize((count + kBatchRows - 1) / kBatchRows);
      buffers->lengths.resize(count);
    } else if (field.type == Type::kBoolean) {
      buffers->values.resize((count + 63) / 64);
    } else {
      buffers->values.resize((count * WidthOf(field.type) + 7) / 8);
    }
    columns_.push_back(std::move(buffers));
  }
}

ArrowOutput::~ArrowOutput() = default;

void ArrowOutput::Write(int64_t begin, int rows, std::span<const ColumnView> columns) {
  for (size_t i = 0; i < columns_.size(); ++i) {
    const ColumnView& from = columns[i];
    Buffers& to = *columns_[i];
    for (int row = 0; row < rows; ++row) {
      const size_t at = static_cast<size_t>(begin + row);
      if (from.valid(row)) to.validity[at >> 6] |= uint64_t{1} << (at & 63);
    }
    if (from.type == Type::kString) {
      std::string& text = to.batch_text[static_cast<size_t>(begin / kBatchRows)];
      for (int row = 0; row < rows; ++row) {
        if (!from.valid(row)) continue;
        const std::string_view cell = from.strings()[row];
        text += cell;
        to.lengths[static_cast<size_t>(begin + row)] = static_cast<int32_t>(cell.size());
      }
    } else if (from.type == Type::kBoolean) {
      for (int row = 0; row < rows; ++row) {
        const size_t at = static_cast<size_t>(begin + row);
        if (from.valid(row) && from.booleans()[row] != 0)
          to.values[at >> 6] |= uint64_t{1} << (at & 63);
      }
    } else {
      const size_t width = WidthOf(from.type);
      std::memcpy(reinterpret_cast<char*>(to.values.data()) + static_cast<size_t>(begin) * width,
                  from.data, static_cast<size_t>(rows) * width);
    }
  }
}

Status ArrowOutput::Export(ArrowSchema* schema, ArrowArray* batch) && {
  auto whole = std::make_unique<ArrayHold>();
  whole->buffers = {nullptr};
  whole->children.resize(columns_.size());
  for (size_t i = 0; i < columns_.size(); ++i) {
    Buffers& from = *columns_[i];
    auto hold = std::make_unique<ArrayHold>();
    ArrowArray& array = whole->children[i];
    array = ArrowArray{};
    array.length = rows_;
    array.null_count = CountNulls(from.validity, rows_);
    hold->validity = std::move(from.validity);
    hold->values = std::move(from.values);
    const void* validity = array.null_count == 0 ? nullptr : hold->validity.data();
    if (schema_.fields[i].type == Type::kString) {
      size_t bytes = 0;
      for (const std::string& text : from.batch_text) bytes += text.size();
      if (bytes > static_cast<size_t>(INT32_MAX)) {
        for (size_t j = 0; j < i; ++j) ReleaseArray(&whole->children[j]);
        return InvalidArgument("the output has more than 2 GiB of text in one column",
                               "score fewer rows at once");
      }
      hold->text.reserve(bytes);
      for (const std::string& text : from.batch_text) hold->text += text;
      hold->offsets.reserve(static_cast<size_t>(rows_) + 1);
      hold->offsets.push_back(0);
      for (const int32_t length : from.lengths)
        hold->offsets.push_back(hold->offsets.back() + length);
      hold->buffers = {validity, hold->offsets.data(), hold->text.data()};
    } else {
      hold->values.resize(std::max<size_t>(hold->values.size(), 1));  // never NULL
      hold->buffers = {validity, hold->values.data()};
    }
    array.n_buffers = static_cast<int64_t>(hold->buffers.size());
    array.buffers = hold->buffers.data();
    array.release = ReleaseArray;
    array.private_data = hold.release();
  }
  ExportSchema(schema_, schema);
  *batch = ArrowArray{};
  batch->length = rows_;
  PointToChildren(&whole->children, &whole->pointers, batch);
  batch->n_buffers = 1;
  batch->buffers = whole->buffers.data();
  batch->release = ReleaseArray;
  batch->private_data = whole.release();
  return {};
}

}  // namespace slipway
