// What a definition says, read into values.
#include "slipway/project/service.h"

#include <algorithm>

#include "slipway/base/text.h"

namespace slipway {
namespace {

std::string TextOf(const Json& object, const char* key, const std::string& otherwise = "") {
  const Json* value = FindMember(object, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : otherwise;
}

std::vector<TableUseDefinition::Pair> PairsOf(const Json& use, const char* key) {
  std::vector<TableUseDefinition::Pair> out;
  const Json* value = FindMember(use, key);
  if (value == nullptr) return out;
  if (value->is_object()) {
    for (const auto& [column, field] : value->items())
      out.push_back({column, field.get<std::string>()});
  } else {
    for (const Json& item : value->is_array() ? *value : Json::array({*value}))
      out.push_back({item.get<std::string>(), item.get<std::string>()});
  }
  return out;
}

TableUseDefinition UseOf(const Json& use, std::string at) {
  TableUseDefinition out;
  out.at = std::move(at);
  if (use.is_string()) {
    out.dataset = use.get<std::string>();
    return out;
  }
  out.dataset = TextOf(use, "table");
  out.keys = PairsOf(use, "keys");
  out.columns = PairsOf(use, "columns");
  out.missing_key = TextOf(use, "missing_key", out.missing_key);
  out.no_match = TextOf(use, "no_match", out.no_match);
  out.several_matches = TextOf(use, "several_matches", out.several_matches);
  return out;
}

std::vector<TableUseDefinition> TablesOf(const Json& endpoint) {
  std::vector<TableUseDefinition> out;
  const auto add_all = [&](const Json& list, const std::string& at) {
    for (size_t i = 0; i < list.size(); ++i) out.push_back(UseOf(list[i], PointerJoin(at, i)));
  };
  if (const Json* enrich = FindMember(endpoint, "enrich")) add_all(*enrich, "enrich");
  if (const Json* lookup = FindMember(endpoint, "lookup")) {
    if (lookup->is_array()) {
      add_all(*lookup, "lookup");
    } else if (const Json* tables = FindMember(*lookup, "tables")) {
      add_all(*tables, "lookup/tables");
    } else {
      out.push_back(UseOf(*lookup, "lookup"));
    }
  }
  return out;
}

TestQueryDefinition QueryOf(const Json& source, bool lookup, std::string at) {
  TestQueryDefinition out;
  out.at = std::move(at);
  if (source.is_string()) {
    (void)ParseFromDataset(source.get_ref<const std::string&>(), &out.dataset, &out.rows);
    return out;
  }
  if (const Json* tolerance = FindMember(source, "tolerance"))
    out.tolerance = tolerance->get<double>();
  if (source.contains("from_dataset")) {
    out.dataset = TextOf(source, "from_dataset");
    out.rows = source.value("rows", int64_t{5});
    out.seed = source.value("seed", out.seed);
    return out;
  }
  out.name = TextOf(source, "name");
  if (const Json* request = FindMember(source, "request")) {
    out.request = *request;
  } else {
    const char* const key = lookup ? "data" : "features";
    out.request = Json{{key, source[key]}};
  }
  if (const Json* expect = FindMember(source, "expect")) out.expect = *expect;
  return out;
}

std::vector<TestQueryDefinition> QueriesOf(const Json& endpoint, bool lookup) {
  std::vector<TestQueryDefinition> out;
  const Json* queries = FindMember(endpoint, "test_queries");
  if (queries == nullptr) return out;
  if (!queries->is_array()) {
    out.push_back(QueryOf(*queries, lookup, "test_queries"));
  } else {
    for (size_t i = 0; i < queries->size(); ++i)
      out.push_back(QueryOf((*queries)[i], lookup, PointerJoin("test_queries", i)));
  }
  return out;
}

}  // namespace

bool ParseFromDataset(std::string_view text, std::string* dataset, int64_t* rows) {
  constexpr std::string_view kHead = "from_dataset(";
  text = Trim(text);
  if (!text.starts_with(kHead) || !text.ends_with(")")) return false;
  text = text.substr(kHead.size(), text.size() - kHead.size() - 1);
  const size_t comma = text.find(',');
  if (comma == std::string_view::npos) return false;
  const auto count = ParseInt64(Trim(text.substr(comma + 1)));
  *dataset = std::string(Trim(text.substr(0, comma)));
  if (!count || *count < 1 || dataset->empty()) return false;
  *rows = *count;
  return true;
}

ServiceDefinition ReadService(const std::string& name, const Json& definition) {
  ServiceDefinition out;
  out.name = name;
  out.description = TextOf(definition, "description");
  out.auth = TextOf(definition, "auth");
  const Json* endpoints = FindMember(definition, "endpoints");
  if (endpoints == nullptr || !endpoints->is_object()) return out;
  for (const auto& [id, json] : endpoints->items()) {
    EndpointDefinition endpoint;
    endpoint.id = id;
    endpoint.description = TextOf(json, "description");
    endpoint.lookup = json.contains("lookup");
    endpoint.model = TextOf(json, "prediction");
    if (const Json* explanations = FindMember(json, "explanations")) {
      endpoint.explain = explanations->value("enabled", false);
      endpoint.explanations = explanations->value("count", endpoint.explanations);
    }
    endpoint.tables = TablesOf(json);
    endpoint.queries = QueriesOf(json, endpoint.lookup);
    out.endpoints.push_back(std::move(endpoint));
  }
  std::sort(out.endpoints.begin(), out.endpoints.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  return out;
}

}  // namespace slipway
