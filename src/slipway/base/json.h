// JSON (RFC 8259) over nlohmann-json: non-throwing, depth- and size-limited, key order kept.
// Free functions on values; thread-safe as such.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "slipway/base/json_fwd.h"
#include "slipway/base/result.h"

namespace slipway {

struct JsonLimits {
  size_t max_bytes = 64 << 20;
  int max_depth = 64;
};

// Parses one JSON document. Duplicate keys, NaN literals, trailing bytes and bad UTF-8 are errors
// that say where.
Result<Json> ParseJson(std::string_view text, const JsonLimits& limits = {});

// Prints so that doubles read back to the same bits. indent < 0: one line. Never throws: bytes that
// are not UTF-8 become U+FFFD. NaN and infinities become null.
std::string DumpJson(const Json& value, int indent = -1);

// Typed members with errors that name the key. The Find forms return nullopt when absent or null.
Result<std::string> GetString(const Json& object, std::string_view key);
Result<int64_t> GetInt(const Json& object, std::string_view key);
Result<double> GetDouble(const Json& object, std::string_view key);
Result<bool> GetBool(const Json& object, std::string_view key);
Result<const Json*> GetObject(const Json& object, std::string_view key);
Result<const Json*> GetArray(const Json& object, std::string_view key);
Result<std::vector<std::string>> GetStrings(const Json& object, std::string_view key);
const Json* FindMember(const Json& object, std::string_view key);
// The text of a member; empty where it is absent or no text.
std::string TextMember(const Json& object, std::string_view key);

// A number that JSON cannot hold (NaN, infinities) as the strings "nan", "inf", "-inf"; and back.
Json DoubleToJson(double value);
Result<double> DoubleFromJson(const Json& value);

}  // namespace slipway
