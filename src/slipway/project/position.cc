#include "slipway/project/position.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "slipway/base/text.h"

namespace slipway {

std::string PositionText(const SourcePosition& position) {
  if (position.file.empty()) return "";
  return position.file + ":" + std::to_string(position.line) + ":" +
         std::to_string(position.column);
}

std::string PointerJoin(std::string_view base, std::string_view segment) {
  std::string out(base);
  out += '/';
  for (char c : segment) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

std::string PointerJoin(std::string_view base, size_t index) {
  return std::string(base) + "/" + std::to_string(index);
}

std::string PointerText(std::string_view pointer) {
  std::string out;
  if (pointer.empty()) return out;
  for (const std::string& raw : Split(pointer.substr(1), '/')) {
    std::string segment;
    for (size_t i = 0; i < raw.size(); ++i) {
      if (raw[i] == '~' && i + 1 < raw.size()) {
        segment += raw[++i] == '1' ? '/' : '~';
      } else {
        segment += raw[i];
      }
    }
    if (ParseInt64(segment) && !out.empty()) {
      out += "[" + segment + "]";
    } else {
      out += (out.empty() ? "" : ".") + segment;
    }
  }
  return out;
}

int PositionIndex::FileNumber(const std::string& file) {
  auto it = std::find(files_.begin(), files_.end(), file);
  if (it == files_.end()) it = files_.insert(files_.end(), file);
  return static_cast<int>(it - files_.begin());
}

void PositionIndex::Add(const std::string& pointer, SourcePosition value, SourcePosition key) {
  Entry entry{FileNumber(value.file), {value.line, value.column}, {key.line, key.column}};
  entries_.emplace(pointer, entry);
}

const PositionIndex::Entry* PositionIndex::Nearest(std::string_view pointer) const {
  for (;;) {
    if (auto it = entries_.find(pointer); it != entries_.end()) return &it->second;
    if (pointer.empty()) return nullptr;
    pointer = pointer.substr(0, pointer.rfind('/'));
  }
}

SourcePosition PositionIndex::OfValue(std::string_view pointer) const {
  const Entry* entry = Nearest(pointer);
  if (entry == nullptr) return {};
  return {files_[static_cast<size_t>(entry->file)], entry->value.line, entry->value.column};
}

SourcePosition PositionIndex::OfKey(std::string_view pointer) const {
  const Entry* entry = Nearest(pointer);
  if (entry == nullptr) return {};
  const Mark& mark = entry->key.line > 0 ? entry->key : entry->value;
  return {files_[static_cast<size_t>(entry->file)], mark.line, mark.column};
}

void PositionIndex::Merge(const PositionIndex& other, std::string_view pointer) {
  for (auto it = other.entries_.lower_bound(pointer); it != other.entries_.end(); ++it) {
    std::string_view name = it->first;
    if (name.substr(0, pointer.size()) != pointer) break;
    if (name.size() > pointer.size() && name[pointer.size()] != '/') continue;
    Entry entry = it->second;
    entry.file = FileNumber(other.files_[static_cast<size_t>(entry.file)]);
    entries_.emplace(it->first, entry);
  }
}

void Problems::AddAt(SourcePosition position, std::string_view pointer, std::string message) {
  std::string where = PositionText(position);
  if (where.empty()) where = PointerText(pointer);
  if (!where.empty()) where += ": ";
  items_.push_back({std::move(position), where + message});
}

void Problems::Add(std::string_view pointer, std::string message) {
  AddAt(positions_->OfValue(pointer), pointer, std::move(message));
}

void Problems::AddAtKey(std::string_view pointer, std::string message) {
  AddAt(positions_->OfKey(pointer), pointer, std::move(message));
}

Status Problems::ToStatus() const {
  if (items_.empty()) return {};
  constexpr size_t kShown = 20;
  std::vector<Item> sorted = items_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Item& a, const Item& b) {
    return std::tie(a.position.file, a.position.line, a.position.column) <
           std::tie(b.position.file, b.position.line, b.position.column);
  });
  std::string text;
  for (size_t i = 0; i < std::min(kShown, sorted.size()); ++i) {
    text += (i > 0 ? "\n" : "") + sorted[i].text;
  }
  if (sorted.size() > kShown) {
    text += "\nand " + std::to_string(sorted.size() - kShown) + " more";
  }
  return InvalidArgument(text);
}

}  // namespace slipway
