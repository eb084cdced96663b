#include "slipway/dataset/json_line.h"

#include <cstring>

#include <simdjson.h>

#include "slipway/base/json.h"

namespace slipway {
namespace {

namespace ondemand = simdjson::ondemand;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The grammar of RFC 8259: -?(0|[1-9][0-9]*)(.[0-9]+)?([eE][+-]?[0-9]+)?
bool IsJsonNumber(std::string_view text) {
  size_t at = 0;
  const auto digits = [&] {
    const size_t from = at;
    while (at < text.size() && IsDigit(text[at])) ++at;
    return at - from;
  };
  if (at < text.size() && text[at] == '-') ++at;
  const bool zero = at < text.size() && text[at] == '0';
  const size_t whole = digits();
  if (whole == 0 || (zero && whole > 1)) return false;
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (digits() == 0) return false;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (digits() == 0) return false;
  }
  return at == text.size();
}

std::string_view TrimJson(std::string_view text) {
  while (!text.empty() && std::strchr(" \t\r\n", text.back()) != nullptr) text.remove_suffix(1);
  return text;
}

std::string NotJson(std::string_view what) { return "not valid JSON: " + std::string(what); }

}  // namespace

struct JsonLineParser::Impl {
  ondemand::parser parser;
  simdjson::dom::parser checker;  // for nested values, which ondemand skips unread

  bool Value(ondemand::value value, JsonMember* member, std::string* reason);
  bool String(ondemand::value value, std::string_view token, JsonMember* member,
              std::string* reason);
  bool Nested(ondemand::value value, bool object, JsonMember* member, std::string* reason);
};

bool JsonLineParser::Impl::String(ondemand::value value, std::string_view token, JsonMember* member,
                                  std::string* reason) {
  const std::string_view inside = token.substr(1);
  const bool escaped = inside.find('\\') != std::string_view::npos;
  if (!escaped && (inside.empty() || inside.find('"') != inside.size() - 1)) {
    *reason = NotJson("text after a string");
    return false;
  }
  // Read in both cases, not left to be skipped: skipping takes a string before a colon for a key.
  ondemand::raw_json_string raw;
  simdjson::error_code error = simdjson::SUCCESS;
  if (escaped) {
    error = value.get_string().get(member->text);
    member->in_line = false;
  } else {  // the common case: the text stands in the line
    error = value.get_raw_json_string().get(raw);
    member->text = inside.substr(0, inside.size() - 1);
  }
  if (error != simdjson::SUCCESS) *reason = NotJson(simdjson::error_message(error));
  return error == simdjson::SUCCESS;
}

bool JsonLineParser::Impl::Nested(ondemand::value value, bool object, JsonMember* member,
                                  std::string* reason) {
  simdjson::error_code error = simdjson::SUCCESS;
  if (object) {
    ondemand::object inner;
    error = value.get_object().get(inner);
    if (error == simdjson::SUCCESS) error = inner.raw_json().get(member->text);
  } else {
    ondemand::array inner;
    error = value.get_array().get(inner);
    if (error == simdjson::SUCCESS) error = inner.raw_json().get(member->text);
  }
  if (error == simdjson::SUCCESS) {
    member->text = TrimJson(member->text);
    member->kind = JsonMember::Kind::kNested;
    simdjson::dom::element element;
    error = checker.parse(member->text.data(), member->text.size(), false).get(element);
    // A number beyond 64 bits is no error here: the value stays text.
    if (error == simdjson::NUMBER_ERROR && ParseJson(member->text).ok()) error = simdjson::SUCCESS;
  }
  if (error != simdjson::SUCCESS) *reason = NotJson(simdjson::error_message(error));
  return error == simdjson::SUCCESS;
}

bool JsonLineParser::Impl::Value(ondemand::value value, JsonMember* member, std::string* reason) {
  const std::string_view token = TrimJson(value.raw_json_token());
  if (token.empty()) {
    *reason = NotJson("a value is missing");
    return false;
  }
  switch (token.front()) {
    case '"':
      return String(value, token, member, reason);
    case '{':
      return Nested(value, true, member, reason);
    case '[':
      return Nested(value, false, member, reason);
    default:
      break;
  }
  member->text = token;
  if (token == "null") {
    member->text = {};
    member->kind = JsonMember::Kind::kNull;
    return true;
  }
  if (token == "true" || token == "false" || IsJsonNumber(token)) return true;
  *reason = NotJson("'" + std::string(token.substr(0, 40)) + "' is no JSON value");
  return false;
}

size_t JsonLineParser::Padding() { return simdjson::SIMDJSON_PADDING; }

JsonLineParser::JsonLineParser() : impl_(std::make_unique<Impl>()) {}
JsonLineParser::~JsonLineParser() = default;

bool JsonLineParser::Parse(std::string_view line, std::string* reason) {
  members_.clear();
  // simdjson takes a NUL behind a number for the padding at the end of the text.
  if (line.find('\0') != std::string_view::npos) {
    *reason = NotJson("it has a NUL byte");
    return false;
  }
  ondemand::document document;
  simdjson::error_code error =
      impl_->parser.iterate(line.data(), line.size(), line.size() + Padding()).get(document);
  ondemand::object object;
  if (error == simdjson::SUCCESS) error = document.get_object().get(object);
  if (error == simdjson::INCORRECT_TYPE) {
    *reason = "not a JSON object";
    return false;
  }
  if (error == simdjson::SUCCESS) {
    for (auto field : object) {
      JsonMember member;
      ondemand::value value;
      error = field.unescaped_key().get(member.key);
      if (error == simdjson::SUCCESS) error = field.value().get(value);
      if (error != simdjson::SUCCESS) break;
      if (!impl_->Value(value, &member, reason)) return false;
      members_.push_back(member);
    }
  }
  if (error != simdjson::SUCCESS) {
    *reason = NotJson(simdjson::error_message(error));
    return false;
  }
  if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) {
    *reason = NotJson("text after the object");
    return false;
  }
  return true;
}

}  // namespace slipway
