// Where values stood in YAML files. A JSON pointer (RFC 6901, "/recipes/train/target") names a
// value; the index says the file, line and column of the value and of its key. Plain values;
// confined to one thread while being filled.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"

namespace slipway {

// Where a value stood in the YAML, for messages. Empty file: it did not come from YAML.
struct SourcePosition {
  std::string file;
  int line = 0;    // 1-based
  int column = 0;  // 1-based, in characters
};

// "project.yaml:12:5", or "" when the position is not known.
std::string PositionText(const SourcePosition& position);

// `base` plus one escaped segment.
std::string PointerJoin(std::string_view base, std::string_view segment);
std::string PointerJoin(std::string_view base, size_t index);
// "/recipes/train/prepare/0" -> "recipes.train.prepare[0]": for messages when there is no file.
std::string PointerText(std::string_view pointer);

class PositionIndex {
 public:
  void Add(const std::string& pointer, SourcePosition value, SourcePosition key);
  // Of the value; the nearest known parent's when it is not known itself.
  SourcePosition OfValue(std::string_view pointer) const;
  // Of the key in front of it (list items: of the value).
  SourcePosition OfKey(std::string_view pointer) const;
  bool Has(std::string_view pointer) const { return entries_.find(pointer) != entries_.end(); }
  bool empty() const { return entries_.empty(); }
  // Adds the entries of `other` that are at or below `pointer`; known ones stay as they are.
  void Merge(const PositionIndex& other, std::string_view pointer);

 private:
  struct Mark {
    int line = 0;
    int column = 0;
  };
  struct Entry {
    int file = 0;
    Mark value;
    Mark key;
  };
  int FileNumber(const std::string& file);
  const Entry* Nearest(std::string_view pointer) const;

  std::vector<std::string> files_;
  std::map<std::string, Entry, std::less<>> entries_;
};

// Collects what is wrong, so that a person sees all of it at once. Borrows the index.
class Problems {
 public:
  explicit Problems(const PositionIndex* positions) : positions_(positions) {}

  void Add(std::string_view pointer, std::string message);
  // At the key rather than its value: unknown and misplaced keys.
  void AddAtKey(std::string_view pointer, std::string message);
  bool empty() const { return items_.empty(); }
  size_t size() const { return items_.size(); }
  const PositionIndex& positions() const { return *positions_; }
  // OK, or one kInvalidArgument with a line for each of the first 20, in the files' order.
  Status ToStatus() const;

 private:
  struct Item {
    SourcePosition position;
    std::string text;
  };
  void AddAt(SourcePosition position, std::string_view pointer, std::string message);

  const PositionIndex* positions_;
  std::vector<Item> items_;
};

}  // namespace slipway
