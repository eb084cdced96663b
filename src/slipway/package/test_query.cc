#include "slipway/package/test_query.h"

#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/package/package_parts.h"
#include "slipway/package/strict_json.h"

namespace slipway {
namespace {

constexpr size_t kMaxQueries = 10'000;
constexpr size_t kMaxQueriesBytes = size_t{64} << 20;
constexpr size_t kMaxDifferences = 5, kMaxShown = 80;

Result<TestQuery> QueryFromJson(const Json& json) {
  RETURN_IF_ERROR(OnlyTheseKeys(json, {"endpoint", "name", "request", "expected", "tolerance"}));
  TestQuery query;
  ASSIGN_OR_RETURN(query.endpoint, GetString(json, "endpoint"));
  if (!IsValidName(query.endpoint))
    return InvalidArgument(
        fmt::format("'endpoint' is '{}', which is no name", query.endpoint.substr(0, 60)));
  if (FindMember(json, "name") != nullptr) {
    ASSIGN_OR_RETURN(query.name, GetString(json, "name"));
  }
  ASSIGN_OR_RETURN(const Json* const request, GetObject(json, "request"));
  query.request = *request;
  if (FindMember(json, "expected") != nullptr) {
    ASSIGN_OR_RETURN(const Json* const expected, GetObject(json, "expected"));
    query.expected = *expected;
  }
  if (FindMember(json, "tolerance") != nullptr) {
    ASSIGN_OR_RETURN(query.tolerance, GetDouble(json, "tolerance"));
    if (!(query.tolerance >= 0 && query.tolerance < 1))
      return InvalidArgument("'tolerance' must be at least 0 and below 1");
  }
  return query;
}

// Whole numbers by their value, whatever holds them; nothing is rounded on the way.
bool SameNumber(const Json& a, const Json& b) {
  if (a.is_number_float() && b.is_number_float()) return a.get<double>() == b.get<double>();
  if (!a.is_number_float() && !b.is_number_float()) return a == b;
  const Json& whole = a.is_number_float() ? b : a;
  const double value = (a.is_number_float() ? a : b).get<double>();
  if (std::trunc(value) != value) return false;
  if (whole.is_number_unsigned())
    return value >= 0 && value < 0x1p64 && static_cast<uint64_t>(value) == whole.get<uint64_t>();
  return value >= -0x1p63 && value < 0x1p63 && static_cast<int64_t>(value) == whole.get<int64_t>();
}

bool NearNumber(const Json& got, const Json& expected, double tolerance) {
  if (SameNumber(got, expected)) return true;
  const double a = got.get<double>(), b = expected.get<double>();
  return tolerance > 0 && std::abs(a - b) <= tolerance * std::max(std::abs(a), std::abs(b));
}

std::string Shown(const Json& value) {
  std::string text = DumpJson(value);
  if (text.size() <= kMaxShown) return text;
  text.resize(kMaxShown);
  return text + "...";
}

struct Compared {
  std::string path;
  const Json* got;
  const Json* expected;
};

// One step down: the members or elements to compare next, or what differs here.
std::string Open(const Compared& at, double tolerance, std::vector<Compared>* next) {
  const Json &got = *at.got, &expected = *at.expected;
  const auto differs = [&] {
    return fmt::format("{}: got {}, expected {}", at.path, Shown(got), Shown(expected));
  };
  if (expected.is_number() && got.is_number()) {
    if (NearNumber(got, expected, tolerance)) return "";
    if (tolerance == 0) return differs();
    return fmt::format("{} (tolerance {})", differs(), tolerance);
  }
  if (expected.type() != got.type()) return differs();
  if (expected.is_array()) {
    if (expected.size() != got.size()) return differs();
    for (size_t i = expected.size(); i-- > 0;)
      next->push_back({fmt::format("{}[{}]", at.path, i), &got[i], &expected[i]});
    return "";
  }
  if (!expected.is_object()) return got == expected ? "" : differs();
  std::string missing;
  std::vector<Compared> members;
  for (const auto& [key, value] : expected.items()) {
    const std::string path = at.path.empty() ? key : at.path + "." + key;
    const auto found = got.find(key);
    if (found != got.end()) {
      members.push_back({path, &*found, &value});
    } else {
      missing += fmt::format("{}{}: missing, expected {}", missing.empty() ? "" : "; ", path,
                             Shown(value));
    }
  }
  next->insert(next->end(), members.rbegin(), members.rend());
  return missing;
}

}  // namespace

Json TestQueryToJson(const TestQuery& query) {
  return Json{{"endpoint", query.endpoint},
              {"name", query.name},
              {"request", query.request},
              {"expected", query.expected},
              {"tolerance", query.tolerance}};
}

Result<std::vector<TestQuery>> TestQueriesFromJson(const Json& json) {
  if (!json.is_array()) return InvalidArgument("the test queries are not a list");
  if (json.size() > kMaxQueries)
    return InvalidArgument(
        fmt::format("{} test queries, at most {} may be", json.size(), kMaxQueries));
  std::vector<TestQuery> queries;
  for (const Json& item : json) {
    Result<TestQuery> query = QueryFromJson(item);
    if (!query.ok()) return query.error().Within(fmt::format("test query {}", queries.size() + 1));
    queries.push_back(std::move(*query));
    if (queries.back().name.empty()) queries.back().name = fmt::format("query {}", queries.size());
  }
  return queries;
}

Result<std::vector<TestQuery>> ReadTestQueries(const std::string& folder) {
  const auto read = [&]() -> Result<std::vector<TestQuery>> {
    ASSIGN_OR_RETURN(const std::string text,
                     ReadFile(JoinPath(folder, kPackageTestQueries), kMaxQueriesBytes));
    ASSIGN_OR_RETURN(const Json json, ParseJson(text));
    return TestQueriesFromJson(json);
  };
  Result<std::vector<TestQuery>> queries = read();
  if (queries.ok()) return queries;
  Error error = queries.error();
  if (error.code == ErrorCode::kInvalidArgument) error.code = ErrorCode::kCorruption;
  return error.Within(kPackageTestQueries);
}

Json TestOutcomeToJson(const TestOutcome& outcome) {
  return Json{{"endpoint", outcome.endpoint},
              {"name", outcome.name},
              {"ok", outcome.ok},
              {"answer", outcome.answer},
              {"expected", outcome.expected},
              {"difference", outcome.difference},
              {"milliseconds", outcome.milliseconds}};
}

std::string CompareAnswer(const TestQuery& query, const Json& result) {
  if (query.expected.is_null()) return "";
  std::string text;
  size_t differences = 0;
  // A stack, not recursion: expectations may be nested as deep as JSON allows.
  std::vector<Compared> todo = {{"", &result, &query.expected}};
  while (!todo.empty()) {
    const Compared at = std::move(todo.back());
    todo.pop_back();
    const std::string difference = Open(at, query.tolerance, &todo);
    if (difference.empty()) continue;
    if (++differences > kMaxDifferences) return text + "; and more";
    text += fmt::format(
        "{}{}", text.empty() ? "" : "; ",
        at.path.empty() && difference.starts_with(':') ? "the answer" + difference : difference);
  }
  return text;
}

}  // namespace slipway
