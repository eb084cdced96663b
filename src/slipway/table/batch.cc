#include "slipway/table/batch.h"

#include <algorithm>
#include <utility>

namespace slipway {

void Column::Reset(Type type) {
  type_ = type;
  if (!storage_) {
    storage_ = std::make_unique<uint64_t[]>(kBatchRows * 2);
  } else {
    std::memset(storage_.get(), 0, kBatchRows * 16);  // a null's storage stays initialised
  }
  Forget();
}

void Column::Forget() {
  std::memset(validity_, 0, sizeof validity_);
  block_ = 0;
  used_ = 0;
}

std::string_view Column::Intern(std::string_view text) {
  if (text.empty()) return {};
  while (block_ < blocks_.size() && blocks_[block_].size - used_ < text.size()) {
    ++block_;
    used_ = 0;
  }
  if (block_ == blocks_.size()) {
    size_t size = std::max<size_t>(text.size(), 1 << 15);
    blocks_.push_back({std::make_unique<char[]>(size), size});
    used_ = 0;
  }
  char* at = blocks_[block_].bytes.get() + used_;
  std::memcpy(at, text.data(), text.size());
  used_ += text.size();
  return {at, text.size()};
}

OwnedBatch::OwnedBatch(Schema schema)
    : schema_(std::move(schema)), columns_(schema_.fields.size()) {
  views_.resize(columns_.size());
  Reset();
}

void OwnedBatch::Reset() {
  for (size_t i = 0; i < columns_.size(); ++i) columns_[i].Reset(schema_.fields[i].type);
  rows = 0;
}

void OwnedBatch::CopyFrom(const Batch& batch) {
  rows = batch.rows;
  first_row = batch.first_row;
  static constexpr size_t kWidth[] = {1, 8, 8, 16, 4, 8};
  for (size_t i = 0; i < columns_.size(); ++i) {
    const ColumnView& in = batch.columns[i];
    Column& out = columns_[i];
    if (in.data == nullptr) {
      out.Reset(schema_.fields[i].type);
      continue;
    }
    out.Forget();
    if (in.validity == nullptr) {
      out.SetAllValid();
    } else {
      std::memcpy(out.validity(), in.validity, static_cast<size_t>((rows + 63) / 64) * 8);
    }
    if (in.type == Type::kString) {
      for (int r = 0; r < rows; ++r) {
        out.strings()[r] = out.valid(r) ? out.Intern(in.strings()[r]) : std::string_view();
      }
    } else {
      std::memcpy(out.booleans(), in.data,
                  kWidth[static_cast<size_t>(in.type)] * static_cast<size_t>(rows));
    }
  }
}

Batch OwnedBatch::View() {
  for (size_t i = 0; i < columns_.size(); ++i) views_[i] = columns_[i].View();
  return {&schema_, rows, first_row, views_, {}, 0};
}

}  // namespace slipway
