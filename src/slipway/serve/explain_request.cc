#include "slipway/serve/explain_request.h"

#include <cmath>

#include "slipway/base/text.h"
#include "slipway/bundle/explanations.h"

namespace slipway {
namespace {

constexpr std::string_view kExplanationsMember = "\"explanations\"";

bool WholeNumber(RequestScanner* scanner, std::string_view name, int64_t most,
                 std::optional<int64_t>* out, std::optional<Error>* error) {
  ScannedNumber number;
  const JsonToken token = scanner->Peek();
  if (token == JsonToken::kNull) return scanner->Word();
  if (token == JsonToken::kNumber) {
    if (!scanner->Number(&number)) return false;
    *out = ParseInt64(number.text);
    // JSON does not tell 5 from 5.0.
    const std::optional<double> real = *out ? std::nullopt : ParseDouble(number.text);
    if (real && *real >= 1 && *real <= static_cast<double>(most) && *real == std::floor(*real))
      *out = static_cast<int64_t>(*real);
  }
  if (*out && **out >= 1 && **out <= most) return true;
  *error = InvalidArgument("explanations." + std::string(name) + " is no whole number from 1 to " +
                           std::to_string(most));
  return false;
}

}  // namespace

bool ReadExplainRequest(RequestScanner* scanner, ExplainRequest* ask, std::optional<Error>* error) {
  const JsonToken begins = scanner->Peek();
  if (begins == JsonToken::kNull) return scanner->Word();
  if (begins != JsonToken::kObject) {
    *error = InvalidArgument("explanations is no object",
                             R"(send {"enabled": true, "nExplanations": 5})");
    return false;
  }
  if (!scanner->Enter()) return false;
  std::string_view key;
  while (scanner->NextKey(&key)) {
    const JsonToken token = scanner->Peek();
    std::string_view raw;
    std::optional<int64_t> number;
    if (key == "enabled") {
      if (token != JsonToken::kTrue && token != JsonToken::kFalse && token != JsonToken::kNull) {
        *error = InvalidArgument("explanations.enabled is neither true nor false nor null");
        return false;
      }
      if (token != JsonToken::kNull) ask->enabled = token == JsonToken::kTrue;
      if (!scanner->Word()) return false;
    } else if (key == "method") {
      if (token == JsonToken::kNull) {
        if (!scanner->Word()) return false;
        continue;
      }
      std::string_view method;
      if (token == JsonToken::kString && !scanner->String(&method)) return false;
      if (method != "SHAPLEY") {
        *error = InvalidArgument(
            "explanations.method '" + std::string(method.substr(0, 60)) + "' is not had here",
            "the node computes exact Shapley values: send \"SHAPLEY\" or leave the method out");
        return false;
      }
    } else if (key == "nExplanations") {
      if (!WholeNumber(scanner, key, kMostExplanations, &number, error)) return false;
      if (number) ask->most = static_cast<int>(*number);
    } else if (key == "nMonteCarloSteps") {
      // The values are exact: there is nothing to sample.
      if (!WholeNumber(scanner, key, 1'000'000, &number, error)) return false;
    } else if (!scanner->Skip(&raw)) {
      return false;
    }
  }
  return scanner->ok();
}

bool LikelyExplained(std::string_view body, bool by_default) {
  const size_t at = FindQuotedKey(body, kExplanationsMember);
  if (at == std::string_view::npos) return by_default;
  const std::string_view rest = body.substr(at + kExplanationsMember.size(), 200);
  const size_t enabled = rest.find("\"enabled\"");
  if (enabled == std::string_view::npos) return by_default;
  const size_t value = rest.find_first_not_of(" \t\r\n:", enabled + 9);
  if (value == std::string_view::npos) return by_default;
  if (rest[value] == 't') return true;
  return rest[value] != 'f' && by_default;
}

}  // namespace slipway
