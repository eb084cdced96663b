// One line of JSON lines as named texts: the value of every member as the text that a CSV cell
// would hold, so that ParseCellInto gives both the same meaning. Whole lines are checked, also the
// parts that nobody asked for. Over simdjson. Confined to one thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"

namespace slipway {

struct JsonMember {
  enum class Kind {
    kText,    // a string's content, a number's own token, true or false
    kNull,    // no text
    kNested,  // an object or array: its JSON text
  };
  std::string_view key;
  std::string_view text;
  Kind kind = Kind::kText;
  bool in_line = true;  // text points into the line; else it lives until the next Parse
};

class JsonLineParser {
 public:
  // Bytes after a line that must be readable.
  static size_t Padding();

  JsonLineParser();
  ~JsonLineParser();
  JsonLineParser(const JsonLineParser&) = delete;
  JsonLineParser& operator=(const JsonLineParser&) = delete;

  // Fills members() in the line's order, or says why the line is no JSON object. REQUIRES:
  // Padding() readable bytes after `line`.
  bool Parse(std::string_view line, std::string* reason);
  const std::vector<JsonMember>& members() const { return members_; }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::vector<JsonMember> members_;
};

}  // namespace slipway
