#include "slipway/base/json.h"

#include <cmath>
#include <set>

namespace slipway {
namespace {

// Walks the events before a tree is built, so that depth and duplicate keys are refused early.
class LimitChecker : public nlohmann::json_sax<Json> {
 public:
  explicit LimitChecker(const JsonLimits& limits) : limits_(limits) {}

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override {
    keys_.emplace_back();
    return Enter();
  }
  bool key(string_t& name) override {
    if (keys_.back().insert(name).second) return true;
    message_ = "duplicate key '" + name + "'";
    return false;
  }
  bool end_object() override {
    keys_.pop_back();
    --depth_;
    return true;
  }
  bool start_array(std::size_t) override { return Enter(); }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const Json::exception& e) override {
    message_ = e.what();
    if (auto at = message_.find("] "); at != std::string::npos) message_ = message_.substr(at + 2);
    if (message_.empty()) message_ = "parse error at byte " + std::to_string(position);
    return false;
  }
  const std::string& message() const { return message_; }

 private:
  bool Enter() {
    if (++depth_ <= limits_.max_depth) return true;
    message_ = "nested deeper than " + std::to_string(limits_.max_depth) + " levels";
    return false;
  }

  JsonLimits limits_;
  int depth_ = 0;
  std::vector<std::set<std::string>> keys_;
  std::string message_;
};

Error Wrong(std::string_view key, std::string_view wanted) {
  return InvalidArgument("'" + std::string(key) + "' must be " + std::string(wanted));
}

Result<const Json*> Member(const Json& object, std::string_view key) {
  if (!object.is_object())
    return InvalidArgument("expected a JSON object with the key '" + std::string(key) + "'");
  auto it = object.find(std::string(key));
  if (it == object.end()) return InvalidArgument("missing key '" + std::string(key) + "'");
  return &*it;
}

}  // namespace

Result<Json> ParseJson(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return InvalidArgument("JSON of " + std::to_string(text.size()) +
                           " bytes is larger than the limit of " +
                           std::to_string(limits.max_bytes));
  }
  LimitChecker checker(limits);
  if (!Json::sax_parse(text.begin(), text.end(), &checker)) {
    return InvalidArgument("not valid JSON: " + checker.message());
  }
  return Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
}

std::string DumpJson(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

Result<std::string> GetString(const Json& object, std::string_view key) {
  ASSIGN_OR_RETURN(const Json* v, Member(object, key));
  if (!v->is_string()) return Wrong(key, "a string");
  return v->get<std::string>();
}

Result<int64_t> GetInt(const Json& object, std::string_view key) {
  ASSIGN_OR_RETURN(const Json* v, Member(object, key));
  if (!v->is_number_integer()) return Wrong(key, "a whole number");
  if (v->is_number_unsigned() && v->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
    return Wrong(key, "a whole number below 2^63");
  }
  return v->get<int64_t>();
}

Result<double> GetDouble(const Json& object, std::string_view key) {
  ASSIGN_OR_RETURN(const Json* v, Member(object, key));
  auto number = DoubleFromJson(*v);
  if (!number.ok()) return Wrong(key, "a number");
  return *number;
}

Result<bool> GetBool(const Json& object, std::string_view key) {
  ASSIGN_OR_RETURN(const Json* v, Member(object, key));
  if (!v->is_boolean()) return Wrong(key, "true or false");
  return v->get<bool>();
}

Result<const Json*> GetObject(const Json& object, std::string_view key) {
  ASSIGN_OR_RETURN(const Json* v, Member(object, key));
  if (!v->is_object()) return Wrong(key, "an object");
  return v;
}

Result<const Json*> GetArray(const Json& object, std::string_view key) {
  ASSIGN_OR_RETURN(const Json* v, Member(object, key));
  if (!v->is_array()) return Wrong(key, "a list");
  return v;
}

Result<std::vector<std::string>> GetStrings(const Json& object, std::string_view key) {
  ASSIGN_OR_RETURN(const Json* v, GetArray(object, key));
  std::vector<std::string> out;
  for (const Json& item : *v) {
    if (!item.is_string()) return Wrong(key, "a list of strings");
    out.push_back(item.get<std::string>());
  }
  return out;
}

const Json* FindMember(const Json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  auto it = object.find(std::string(key));
  if (it == object.end() || it->is_null()) return nullptr;
  return &*it;
}

std::string TextMember(const Json& object, std::string_view key) {
  const Json* value = FindMember(object, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

Json DoubleToJson(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

Result<double> DoubleFromJson(const Json& value) {
  if (value.is_number()) return value.get<double>();
  if (value == "nan") return std::nan("");
  if (value == "inf") return std::numeric_limits<double>::infinity();
  if (value == "-inf") return -std::numeric_limits<double>::infinity();
  return InvalidArgument("expected a number");
}

}  // namespace slipway
