#include "slipway/project/yaml.h"

#include <charconv>
#include <cmath>
#include <exception>
#include <sstream>
#include <unordered_map>
#include <utility>
#include <vector>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include "slipway/base/text.h"

namespace slipway {
namespace {

constexpr std::string_view kBom = "\xEF\xBB\xBF";

// Ends parsing from inside a yaml-cpp callback; caught in ParseYaml.
struct Refusal {
  int line;
  int column;
  std::string message;
};

class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text) {
    starts_.push_back(0);
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\n') starts_.push_back(i + 1);
    }
  }
  size_t size() const { return starts_.size(); }
  std::string_view Line(size_t index) const {
    size_t end = index + 1 < starts_.size() ? starts_[index + 1] - 1 : text_.size();
    std::string_view line = text_.substr(starts_[index], end - starts_[index]);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    return line;
  }
  // yaml-cpp counts columns in bytes; people count characters.
  int Column(int line, int byte_column) const {
    if (line < 0 || static_cast<size_t>(line) >= starts_.size()) return byte_column + 1;
    std::string_view head =
        Line(static_cast<size_t>(line)).substr(0, static_cast<size_t>(byte_column));
    int column = byte_column + 1;
    for (char c : head) column -= (static_cast<unsigned char>(c) & 0xC0) == 0x80 ? 1 : 0;
    return column;
  }

 private:
  std::string_view text_;
  std::vector<size_t> starts_;
};

bool OnlyOf(std::string_view text, std::string_view allowed) {
  return text.find_first_not_of(allowed) == std::string_view::npos;
}

// [-+]? ( \.[0-9]+ | [0-9]+(\.[0-9]*)? ) ([eE][-+]?[0-9]+)?
bool LooksLikeFloat(std::string_view text) {
  size_t at = 0;
  auto digits = [&] {
    size_t from = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    return at - from;
  };
  if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
  size_t whole = digits();
  size_t fraction = 0;
  if (at < text.size() && text[at] == '.') {
    ++at;
    fraction = digits();
  }
  if (whole + fraction == 0) return false;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
    if (digits() == 0) return false;
  }
  return at == text.size();
}

std::optional<Json> WholeNumber(std::string_view text) {
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0o")) {
    base = text[1] == 'x' ? 16 : 8;
    text.remove_prefix(2);
    if (text.empty() || text.front() == '-') return std::nullopt;
  } else if (!text.empty() && text.front() == '+') {
    text.remove_prefix(1);
    if (!text.empty() && text.front() == '-') return std::nullopt;
  }
  const char* end = text.data() + text.size();
  int64_t value = 0;
  auto [stop, ec] = std::from_chars(text.data(), end, value, base);
  if (stop == end && ec == std::errc() && !text.empty()) return Json(value);
  uint64_t large = 0;
  auto [stop2, ec2] = std::from_chars(text.data(), end, large, base);
  if (stop2 == end && ec2 == std::errc() && !text.empty()) return Json(large);
  return std::nullopt;
}

// A line that ends in the header of a block scalar ("query: |"), whose content may hold tabs.
bool OpensBlockScalar(std::string_view line) {
  if (size_t comment = line.find(" #"); comment != std::string_view::npos)
    line = line.substr(0, comment);
  line = Trim(line);
  size_t mark = line.find_last_of("|>");
  if (mark == std::string_view::npos || !OnlyOf(line.substr(mark + 1), "+-123456789")) return false;
  std::string_view before = line.substr(0, mark);
  if (before.empty()) return true;
  return before.size() >= 2 && before.back() == ' ' &&
         std::string_view(":-?").find(Trim(before).back()) != std::string_view::npos;
}

// What yaml-cpp accepts or explains badly: tabs in indentation, control characters.
Status CheckText(const Lines& lines, const std::string& file) {
  constexpr size_t kNoBlock = std::string_view::npos;  // no line has that many spaces
  size_t block_indent = kNoBlock;
  for (size_t i = 0; i < lines.size(); ++i) {
    std::string_view line = lines.Line(i);
    auto at = [&](size_t byte) {
      return file + ":" + std::to_string(i + 1) + ":" +
             std::to_string(lines.Column(static_cast<int>(i), static_cast<int>(byte))) + ": ";
    };
    for (size_t j = 0; j < line.size(); ++j) {
      auto c = static_cast<unsigned char>(line[j]);
      if ((c < 0x20 && c != '\t') || c == 0x7F) {
        return InvalidArgument(at(j) + "control character (byte " + std::to_string(c) +
                               ") in a YAML file");
      }
    }
    size_t spaces = std::min(line.find_first_not_of(' '), line.size());
    size_t content = line.find_first_not_of(" \t");
    if (content == std::string_view::npos) continue;
    if (block_indent != kNoBlock && spaces > block_indent) continue;
    block_indent = kNoBlock;
    if (content > spaces && line[content] != '#') {
      return InvalidArgument(at(spaces) + "a tab is used for indentation; YAML wants spaces");
    }
    if (OpensBlockScalar(line)) block_indent = spaces;
  }
  return {};
}

// Builds the JSON value; refuses what we do not take the moment it appears, before anything can
// grow.
class Builder : public YAML::EventHandler {
 public:
  Builder(const std::string& file, const Lines& lines, const YamlLimits& limits)
      : file_(file), lines_(lines), limits_(limits) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) {
      Refuse(mark, "a second document begins here; one file holds one document");
    }
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    if (ExpectsKey()) Refuse(mark, "a key must be text; quote it");
    AddValue(mark, nullptr);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Refuse(mark, "aliases (*name) are not supported: write the value out");
  }
  void OnAnchor(const YAML::Mark& mark, const std::string& name) override {
    // The mark is where the node began, which is the anchor itself unless a tag stands before it.
    Refuse(mark, "anchors (&" + name.substr(0, 40) + ") are not supported: write the value out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    RefuseTag(mark, tag);
    // The file is UTF-8; yaml-cpp makes single bytes of these two.
    if (!IsValidUtf8(value))
      Refuse(mark, "the escapes \\N and \\_ are not supported: write \\u0085 or \\u00A0");
    const bool plain = tag == "?";
    if (ExpectsKey()) {
      AddKey(mark, value, plain);
      return;
    }
    if (!plain) {
      AddValue(mark, value);
      return;
    }
    std::optional<Json> typed = YamlPlainScalar(value);
    if (!typed)
      Refuse(mark,
             "the number " + value.substr(0, 40) + " is out of range; quote it if it is text");
    AddValue(mark, std::move(*typed));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    Open(mark, tag, Json::array());
  }
  void OnSequenceEnd() override { stack_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    Open(mark, tag, Json::object());
  }
  void OnMapEnd() override { stack_.pop_back(); }

  YamlDocument Take() { return {std::move(root_), std::move(positions_)}; }

 private:
  struct Level {
    Json* value;
    std::string pointer;
    std::optional<std::string> key;  // of a map: read, its value not yet
    SourcePosition key_position;
    std::unordered_map<std::string, SourcePosition> seen;
  };

  [[noreturn]] void Refuse(const YAML::Mark& mark, std::string message) const {
    SourcePosition at = At(mark);
    throw Refusal{at.line, at.column, std::move(message)};
  }
  SourcePosition At(const YAML::Mark& mark) const {
    return {file_, mark.line + 1, lines_.Column(mark.line, mark.column)};
  }
  bool ExpectsKey() const {
    return !stack_.empty() && stack_.back().value->is_object() && !stack_.back().key;
  }
  void RefuseTag(const YAML::Mark& mark, const std::string& tag) const {
    if (tag != "?" && tag != "!" && !tag.empty()) {
      Refuse(mark, "tags (!...) are not supported: write the plain value");
    }
  }
  void AddKey(const YAML::Mark& mark, const std::string& name, bool plain) {
    Level& level = stack_.back();
    if (plain && name == "<<") {
      Refuse(mark, "merge keys (<<) are not supported: write the values out");
    }
    level.key_position = At(mark);
    auto [it, fresh] = level.seen.emplace(name, level.key_position);
    if (!fresh) {
      Refuse(mark, "duplicate key '" + name.substr(0, 80) + "'; it stands already at line " +
                       std::to_string(it->second.line) + ", column " +
                       std::to_string(it->second.column));
    }
    level.key = name;
  }
  Json* AddValue(const YAML::Mark& mark, Json value) {
    if (++values_ > limits_.max_values) {
      Refuse(mark,
             "more than " + FormatCount(static_cast<int64_t>(limits_.max_values)) + " values");
    }
    if (stack_.empty()) {
      positions_.Add("", At(mark), {});
      root_ = std::move(value);
      return &root_;
    }
    Level& level = stack_.back();
    if (level.value->is_array()) {
      positions_.Add(PointerJoin(level.pointer, level.value->size()), At(mark), {});
      level.value->push_back(std::move(value));
      return &level.value->back();
    }
    positions_.Add(PointerJoin(level.pointer, *level.key), At(mark), level.key_position);
    // Known to be a new key: appended without ordered_json's linear search.
    auto& members = level.value->get_ref<Json::object_t&>();
    members.Container::emplace_back(*level.key, std::move(value));
    level.key.reset();
    return &members.back().second;
  }
  void Open(const YAML::Mark& mark, const std::string& tag, Json empty) {
    RefuseTag(mark, tag);
    if (ExpectsKey()) Refuse(mark, "a key must be plain text, not a list or a map");
    if (static_cast<int>(stack_.size()) >= limits_.max_depth) {
      Refuse(mark, "nested deeper than " + std::to_string(limits_.max_depth) + " levels");
    }
    std::string pointer;
    if (!stack_.empty()) {
      const Level& parent = stack_.back();
      pointer = parent.value->is_array() ? PointerJoin(parent.pointer, parent.value->size())
                                         : PointerJoin(parent.pointer, *parent.key);
    }
    Json* value = AddValue(mark, std::move(empty));
    Level level;
    level.value = value;
    level.pointer = std::move(pointer);
    stack_.push_back(std::move(level));
  }

  const std::string& file_;
  const Lines& lines_;
  const YamlLimits& limits_;
  int documents_ = 0;
  size_t values_ = 0;
  Json root_;
  std::vector<Level> stack_;
  PositionIndex positions_;
};

// yaml-cpp's messages in a person's words.
std::string Explain(const std::string& message) {
  using namespace YAML;
  if (message == ErrorMsg::END_OF_MAP || message == ErrorMsg::END_OF_SEQ) {
    return "wrong indentation: this line fits neither the block above it nor the one around it";
  }
  if (message == ErrorMsg::MAP_VALUE) {
    return "unexpected ':'; a value that holds ': ' must be quoted, or the indentation of this "
           "line is wrong";
  }
  if (message == ErrorMsg::END_OF_MAP_FLOW) return "a '{' is not closed, or a ',' is missing";
  if (message == ErrorMsg::END_OF_SEQ_FLOW) return "a '[' is not closed, or a ',' is missing";
  if (message == ErrorMsg::FLOW_END) return "a closing bracket without its opening one";
  if (message == ErrorMsg::EOF_IN_SCALAR) return "a quoted text is not closed";
  if (message == ErrorMsg::DOC_IN_SCALAR)
    return "a quoted text is not closed before the document ends";
  if (message == ErrorMsg::BLOCK_ENTRY)
    return "a list item ('- ') cannot stand here; check the indentation";
  if (message == ErrorMsg::MAP_KEY) return "a key cannot stand here; check the indentation";
  if (message == ErrorMsg::UNKNOWN_TOKEN)
    return "a value cannot begin with this character; quote it";
  if (message == ErrorMsg::UNKNOWN_ANCHOR) {
    return "aliases (*name) are not supported: write the value out, or quote the text";
  }
  if (message == ErrorMsg::TAB_IN_INDENTATION)
    return "a tab is used for indentation; YAML wants spaces";
  return message;
}

}  // namespace

std::optional<Json> YamlPlainScalar(std::string_view text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL")
    return Json(nullptr);
  if (text == "true" || text == "True" || text == "TRUE") return Json(true);
  if (text == "false" || text == "False" || text == "FALSE") return Json(false);
  std::string_view unsigned_text = text;
  if (unsigned_text.front() == '-' || unsigned_text.front() == '+') unsigned_text.remove_prefix(1);
  for (std::string_view word : {".inf", ".Inf", ".INF"}) {
    if (unsigned_text == word) return std::nullopt;
  }
  for (std::string_view word : {".nan", ".NaN", ".NAN"}) {
    if (text == word) return std::nullopt;
  }
  if (auto whole = WholeNumber(text)) return whole;
  if (LooksLikeFloat(text)) {
    std::optional<double> value = ParseDouble(text);
    if (!value) value = ParseDouble(std::string(text) + "0");  // "1." is a number to YAML
    if (!value || !std::isfinite(*value)) return std::nullopt;
    return Json(*value);
  }
  return Json(std::string(text));
}

Result<YamlDocument> ParseYaml(std::string_view text, const std::string& file,
                               const YamlLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return InvalidArgument(file + ": " + FormatBytes(static_cast<int64_t>(text.size())) +
                           " of YAML; the limit is " +
                           FormatBytes(static_cast<int64_t>(limits.max_bytes)));
  }
  if (text.starts_with(kBom)) text.remove_prefix(kBom.size());
  if (!IsValidUtf8(text)) return InvalidArgument(file + ": not UTF-8 text");
  Lines lines(text);
  RETURN_IF_ERROR(CheckText(lines, file));
  auto wrong = [&](int line, int column, const std::string& message) {
    return InvalidArgument(PositionText({file, line, column}) + ": " + message);
  };
  Builder builder(file, lines, limits);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Refusal& refusal) {
    return wrong(refusal.line, refusal.column, refusal.message);
  } catch (const YAML::Exception& e) {
    if (e.mark.is_null()) return InvalidArgument(file + ": " + Explain(e.msg));
    return wrong(e.mark.line + 1, lines.Column(e.mark.line, e.mark.column), Explain(e.msg));
  } catch (const std::exception& e) {
    return InvalidArgument(file + ": not valid YAML: " + e.what());
  }
  return builder.Take();
}

}  // namespace slipway
