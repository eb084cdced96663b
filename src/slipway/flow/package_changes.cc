#include "slipway/flow/package_changes.h"

#include <cmath>
#include <set>

#include "slipway/base/text.h"
#include "slipway/project/diff.h"

namespace slipway {
namespace {

Json Member(const Json& object, const std::string& key) {
  const Json* value = FindMember(object, key);
  return value != nullptr ? *value : Json();
}

std::map<std::string, std::string> ColumnsOf(const Json& facts) {
  std::map<std::string, std::string> out;
  const Json schema = Member(facts, "schema");
  if (!schema.is_array()) return out;
  for (const Json& field : schema) out[field.value("name", "")] = field.value("type", "");
  return out;
}

// Numbers alone: {"per_class": {"a": 0.5}} -> "per_class.a" -> 0.5.
void Numbers(const Json& value, const std::string& path, std::map<std::string, double>* out) {
  if (value.is_number()) (*out)[path] = value.get<double>();
  if (!value.is_object()) return;
  for (const auto& [key, item] : value.items())
    Numbers(item, path.empty() ? key : path + "." + key, out);
}

std::string Short(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.5g", value);
  return text;
}

std::string MetricText(double before, double after) {
  std::string out = Short(before) + " -> " + Short(after);
  if (before != 0 && std::isfinite(after / before)) {
    char part[40];
    std::snprintf(part, sizeof part, " (%+.1f %%)", 100 * (after - before) / std::fabs(before));
    out += part;
  }
  return out;
}

std::set<std::string> EndpointsOf(const Json& definition) {
  std::set<std::string> out;
  const Json endpoints = Member(definition, "endpoints");
  if (!endpoints.is_object()) return out;
  for (const auto& [name, value] : endpoints.items()) out.insert(name);
  return out;
}

class Comparison {
 public:
  Comparison(const PackageFacts& before, const PackageFacts& after)
      : before_(before), after_(after) {}

  Json Run() {
    out_ = {{"since", before_.id},
            {"same", !after_.content_hash.empty() && before_.content_hash == after_.content_hash},
            {"endpoints", {{"added", Json::array()}, {"removed", Json::array()}}},
            {"models", Json::array()},
            {"schema", Json::array()},
            {"metrics", Json::array()},
            {"settings", Json::array()},
            {"tables", Json::array()},
            {"test_queries", Json::array()},
            {"text", Json::array()}};
    const std::set<std::string> had = EndpointsOf(before_.definition),
                                has = EndpointsOf(after_.definition);
    for (const std::string& endpoint : has) {
      if (had.contains(endpoint)) continue;
      out_["endpoints"]["added"].push_back(endpoint);
      Say("endpoint " + endpoint + ": new");
    }
    for (const std::string& endpoint : had) {
      if (has.contains(endpoint)) continue;
      out_["endpoints"]["removed"].push_back(endpoint);
      Say("endpoint " + endpoint + ": removed");
    }
    Settings(had, has);
    for (const std::string& endpoint : has) {
      if (had.contains(endpoint)) Endpoint(endpoint);
    }
    Contents("tables", "table ", before_.tables, after_.tables);
    Contents("test_queries", "test queries from ", before_.drawn, after_.drawn);
    return std::move(out_);
  }

 private:
  void Say(std::string line) { out_["text"].push_back(std::move(line)); }

  void Contents(const char* key, const std::string& what, const Json& before, const Json& after) {
    for (const auto& [name, fingerprint] : after.items()) {
      const Json* known = FindMember(before, name);
      if (known == nullptr || *known == fingerprint) continue;
      out_[key].push_back(name);
      Say(what + name + ": the dataset's content has changed");
    }
  }

  // Of the definition, but for endpoints that only one of them has.
  void Settings(const std::set<std::string>& had, const std::set<std::string>& has) {
    const auto project = [](Json definition, const std::set<std::string>& in) {
      ProjectDefinition out;
      out.name = "p";
      Json kept = Json::object();
      const Json endpoints = Member(definition, "endpoints");
      if (endpoints.is_object()) {
        for (const auto& [name, value] : endpoints.items()) {
          if (in.contains(name)) kept[name] = value;
        }
      }
      if (definition.is_object()) definition["endpoints"] = std::move(kept);
      out.services["s"] = std::move(definition);
      return out;
    };
    for (const Change& change :
         Diff(project(before_.definition, has), project(after_.definition, had))) {
      for (const std::string& line : change.details) {
        out_["settings"].push_back(line);
        Say(line);
      }
    }
  }

  void Endpoint(const std::string& endpoint) {
    const auto had = before_.models.find(endpoint), has = after_.models.find(endpoint);
    if (had == before_.models.end() || has == after_.models.end()) return;
    if (had->second == has->second) return;
    out_["models"].push_back(
        {{"endpoint", endpoint}, {"before", had->second}, {"after", has->second}});
    const std::string who = "endpoint " + endpoint + ": ";
    Say(who + had->second + " -> " + has->second);
    const Json* left = FindMember(before_.versions, endpoint);
    const Json* right = FindMember(after_.versions, endpoint);
    if (left == nullptr || right == nullptr) return;
    Columns(endpoint, ColumnsOf(*left), ColumnsOf(*right));
    std::map<std::string, double> a, b;
    Numbers(Member(*left, "metrics"), "", &a);
    Numbers(Member(*right, "metrics"), "", &b);
    for (const auto& [metric, value] : b) {
      const auto known = a.find(metric);
      if (known == a.end() || known->second == value) continue;
      out_["metrics"].push_back({{"endpoint", endpoint},
                                 {"metric", metric},
                                 {"before", known->second},
                                 {"after", value}});
      Say(who + metric + " " + MetricText(known->second, value));
    }
  }

  void Columns(const std::string& endpoint, const std::map<std::string, std::string>& a,
               const std::map<std::string, std::string>& b) {
    Json added = Json::array(), removed = Json::array(), changed = Json::array();
    const std::string who = "endpoint " + endpoint + ": ";
    for (const auto& [name, type] : b) {
      const auto known = a.find(name);
      if (known == a.end()) {
        added.push_back({{"name", name}, {"type", type}});
        Say(who + "reads column " + name + " (" + type + ") now");
      } else if (known->second != type) {
        changed.push_back({{"name", name}, {"before", known->second}, {"after", type}});
        Say(who + "column " + name + " is a " + type + " now, was a " + known->second);
      }
    }
    for (const auto& [name, type] : a) {
      if (b.contains(name)) continue;
      removed.push_back({{"name", name}, {"type", type}});
      Say(who + "reads column " + name + " no longer");
    }
    if (added.empty() && removed.empty() && changed.empty()) return;
    out_["schema"].push_back({{"endpoint", endpoint},
                              {"added", std::move(added)},
                              {"removed", std::move(removed)},
                              {"changed", std::move(changed)}});
  }

  const PackageFacts& before_;
  const PackageFacts& after_;
  Json out_;
};

}  // namespace

std::set<std::string> TablesOf(const ServiceDefinition& service) {
  std::set<std::string> out;
  for (const EndpointDefinition& endpoint : service.endpoints) {
    for (const TableUseDefinition& use : endpoint.tables) out.insert(use.dataset);
  }
  return out;
}

std::set<std::string> DrawnFrom(const ServiceDefinition& service) {
  std::set<std::string> out;
  for (const EndpointDefinition& endpoint : service.endpoints) {
    for (const TestQueryDefinition& query : endpoint.queries) {
      if (!query.dataset.empty()) out.insert(query.dataset);
    }
  }
  return out;
}

Json VersionFacts(const VersionRecord& version) {
  const auto info = ParseJson(version.info_json);
  if (!info.ok()) return Json::object();
  return {{"schema", Member(*info, "schema")}, {"metrics", Member(*info, "metrics")}};
}

Result<PackageFacts> FactsOf(Registry& registry, const PackageRecord& package) {
  PackageFacts out;
  out.id = PackageId(package.number);
  out.content_hash = package.content_hash;
  ASSIGN_OR_RETURN(out.definition, ParseJson(package.definition_json));
  ASSIGN_OR_RETURN(const Json summary, ParseJson(package.summary_json));
  out.versions = summary.value("versions", Json::object());
  const Json datasets = summary.value("datasets", Json::object());
  const ServiceDefinition service = ReadService(package.service, out.definition);
  for (const std::string& name : TablesOf(service)) {
    if (const Json* fingerprint = FindMember(datasets, name)) out.tables[name] = *fingerprint;
  }
  for (const std::string& name : DrawnFrom(service)) {
    if (const Json* fingerprint = FindMember(datasets, name)) out.drawn[name] = *fingerprint;
  }
  for (const PackageModel& model : package.models) {
    out.models[model.endpoint] = model.model + "@" + std::to_string(model.version);
    if (out.versions.contains(model.endpoint)) continue;
    const auto version = registry.models().Resolve(
        {model.project, model.model, ModelRef::Select::kNumber, model.version});
    if (version.ok()) out.versions[model.endpoint] = VersionFacts(*version);
  }
  return out;
}

Json ComparePackages(const PackageFacts& before, const PackageFacts& after) {
  return Comparison(before, after).Run();
}

Result<Json> ChangesOfPackages(Registry& registry, const std::vector<PackageRecord>& packages) {
  Json out = Json::array();
  PackageFacts before;
  for (size_t i = 0; i < packages.size(); ++i) {
    ASSIGN_OR_RETURN(PackageFacts facts, FactsOf(registry, packages[i]));
    out.push_back(i == 0 ? Json() : ComparePackages(before, facts));
    before = std::move(facts);
  }
  return out;
}

}  // namespace slipway
