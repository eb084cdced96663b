#include "slipway/project/definition.h"

#include <algorithm>
#include <utility>

#include "slipway/base/hash.h"
#include "slipway/base/text.h"
#include "slipway/project/keys.h"
#include "slipway/table/schema.h"

namespace slipway {
namespace {

Json SortedMembers(const Json& map) {
  std::vector<std::pair<std::string, Json>> members;
  for (const auto& [name, value] : map.items()) members.emplace_back(name, value);
  std::sort(members.begin(), members.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  Json out = Json::object();
  for (auto& [name, value] : members) out[name] = std::move(value);
  return out;
}

std::string TextOr(const Json& object, std::string_view key, std::string otherwise = "") {
  const Json* value = FindMember(object, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : otherwise;
}

std::vector<std::string> TextsOf(const Json& value) {
  if (value.is_string()) return {value.get<std::string>()};
  std::vector<std::string> out;
  for (const Json& item : value) out.push_back(item.get<std::string>());
  return out;
}

const Json& Members(const Json& project, const char* section) {
  static const Json empty = Json::object();
  const Json* found = FindMember(project, section);
  return found != nullptr ? *found : empty;
}

const std::vector<Key>& VariantKeys(const Shape& shape, std::string_view type) {
  static const std::vector<Key> none;
  for (const Variant& variant : shape.variants) {
    if (variant.type == type) return variant.keys;
  }
  return none;
}

Json CanonicalSetting(const std::string& key, const Json& value) {
  if (key == "schema") {
    Json list = Json::array();
    auto add = [&](const std::string& name, const Json& type) {
      auto known = TypeFromName(type.get<std::string>());
      list.push_back({{"name", name}, {"type", TypeName(known.value_or(Type::kString))}});
    };
    if (value.is_object()) {
      for (const auto& [name, type] : value.items()) add(name, type);
    } else {
      for (const Json& item : value) add(item["name"].get<std::string>(), item["type"]);
    }
    return list;
  }
  if (key == "keep" && value.is_string()) return Json::array({value});
  if (key == "algorithm") {
    Json parameters = Json::object();
    if (value.is_object() && value.begin().value().is_object())
      parameters = SortedMembers(value.begin().value());
    return {{value.is_string() ? value.get<std::string>() : value.begin().key(), parameters}};
  }
  if ((key == "features" || key == "class_weights" || key == "validation") && value.is_object()) {
    return SortedMembers(value);
  }
  return value;
}

// The keys of the type's table that have no member of their own, in the table's order.
Json SettingsOf(const Shape& shape, const Json& json,
                std::initializer_list<std::string_view> members) {
  Json settings = Json::object();
  for (const Key& key : VariantKeys(shape, TextOr(json, "type"))) {
    if (std::find(members.begin(), members.end(), key.name) != members.end()) continue;
    const Json* value = FindMember(json, key.name);
    if (value != nullptr) settings[key.name] = CanonicalSetting(key.name, *value);
  }
  return settings;
}

DatasetDefinition DatasetFrom(const Json& json) {
  DatasetDefinition out;
  out.type = TextOr(json, "type") == "files" ? DatasetType::kFiles : DatasetType::kManaged;
  if (const Json* path = FindMember(json, "path")) out.paths = TextsOf(*path);
  out.settings = SettingsOf(DatasetShape(), json, {"path"});
  out.description = TextOr(json, "description");
  return out;
}

ModelDefinition ModelFrom(const Json& json) {
  ModelDefinition out;
  if (const Json* activation = FindMember(json, "activation")) {
    out.activation = activation->is_string() ? activation->get<std::string>() : "if_better";
    out.activation_metric = TextOr(*activation, "if_better");
  }
  if (const Json* keep = FindMember(json, "keep_versions")) out.keep_versions = keep->get<int>();
  out.description = TextOr(json, "description");
  return out;
}

RecipeDefinition RecipeFrom(const Json& json) {
  RecipeDefinition out;
  const std::string type = TextOr(json, "type");
  for (RecipeType known :
       {RecipeType::kSql, RecipeType::kSync, RecipeType::kTrain, RecipeType::kScore}) {
    if (RecipeTypeName(known) == type) out.type = known;
  }
  const Json* inputs = FindMember(json, "inputs");
  if (out.type == RecipeType::kScore) {
    out.model = TextOr(*inputs, "model");
    out.inputs = {TextOr(*inputs, "data")};
  } else {
    out.inputs = TextsOf(inputs != nullptr ? *inputs : json["input"]);
  }
  out.output = TextOr(json, "output");
  out.query = TextOr(json, "query");
  out.settings =
      SettingsOf(RecipeShape(), json, {"input", "inputs", "output", "query", "query_file"});
  out.description = TextOr(json, "description");
  return out;
}

// In a flow map YAML ends a plain text at a comma, so `test_queries: from_dataset(d, 5)` arrives as
// {"test_queries": "from_dataset(d", "5)": null}. People write it so; it is put together again.
// In a flow list it arrives as two items.
void RejoinTestQueries(Json* endpoint) {
  auto it = endpoint->find("test_queries");
  if (it == endpoint->end()) return;
  if (it->is_array()) {
    Json joined = Json::array();
    for (Json& item : *it) {
      const std::string tail = item.is_string() ? item.get<std::string>() : "";
      const std::string head =
          !joined.empty() && joined.back().is_string() ? joined.back().get<std::string>() : "";
      if (head.starts_with("from_dataset(") && !head.ends_with(")") && tail.ends_with(")")) {
        joined.back() = head + ", " + tail;
      } else {
        joined.push_back(std::move(item));
      }
    }
    *it = std::move(joined);
    return;
  }
  if (!it->is_string()) return;
  const auto head = it->get<std::string>();
  if (!head.starts_with("from_dataset(") || head.find(')') != std::string::npos) return;
  for (const auto& item : endpoint->items()) {
    const std::string tail = item.key();
    if (!item.value().is_null() || !tail.ends_with(")")) continue;
    *it = head + ", " + tail;
    endpoint->erase(tail);
    return;
  }
}

void RejoinAll(Json* project) {
  auto services = project->find("services");
  if (services == project->end() || !services->is_object()) return;
  for (Json& service : *services) {
    if (!service.is_object() || !service.contains("endpoints") || !service["endpoints"].is_object())
      continue;
    for (Json& endpoint : service["endpoints"]) {
      if (endpoint.is_object()) RejoinTestQueries(&endpoint);
    }
  }
}

void AddDescription(const std::string& description, Json* out) {
  if (!description.empty()) (*out)["description"] = description;
}

template <typename Definitions, typename ToJson>
void AddSection(const char* name, const Definitions& definitions, ToJson to_json, Json* out) {
  if (definitions.empty()) return;
  Json section = Json::object();
  for (const auto& [key, definition] : definitions) section[key] = to_json(definition);
  (*out)[name] = std::move(section);
}

}  // namespace

std::string_view RecipeTypeName(RecipeType type) {
  switch (type) {
    case RecipeType::kSql:
      return "sql";
    case RecipeType::kSync:
      return "sync";
    case RecipeType::kTrain:
      return "train";
    case RecipeType::kScore:
      return "score";
  }
  return "";
}

std::string_view DatasetTypeName(DatasetType type) {
  return type == DatasetType::kFiles ? "files" : "managed";
}

ModelReference ParseModelReference(const std::string& text) {
  size_t at = text.find('@');
  if (at == std::string::npos) return {text, ""};
  return {text.substr(0, at), text.substr(at + 1)};
}

Json DatasetToJson(const DatasetDefinition& dataset) {
  Json out = {{"type", DatasetTypeName(dataset.type)}};
  if (dataset.paths.size() == 1) {
    out["path"] = dataset.paths[0];
  } else if (!dataset.paths.empty()) {
    out["path"] = dataset.paths;
  }
  for (const auto& [key, value] : dataset.settings.items()) out[key] = value;
  AddDescription(dataset.description, &out);
  return out;
}

Json ModelToJson(const ModelDefinition& model) {
  Json out = Json::object();
  if (model.activation == "if_better") {
    out["activation"] = {{"if_better", model.activation_metric}};
  } else if (model.activation != "always") {
    out["activation"] = model.activation;
  }
  if (model.keep_versions != 0) out["keep_versions"] = model.keep_versions;
  AddDescription(model.description, &out);
  return out;
}

Json RecipeToJson(const RecipeDefinition& recipe) {
  Json out = {{"type", RecipeTypeName(recipe.type)}};
  if (recipe.type == RecipeType::kScore) {
    out["inputs"] = {{"model", recipe.model},
                     {"data", recipe.inputs.empty() ? "" : recipe.inputs[0]}};
  } else if (recipe.inputs.size() == 1) {
    out["input"] = recipe.inputs[0];
  } else if (!recipe.inputs.empty()) {
    out["inputs"] = recipe.inputs;
  }
  out["output"] = recipe.output;
  for (const auto& [key, value] : recipe.settings.items()) out[key] = value;
  if (recipe.type == RecipeType::kSql) out["query"] = recipe.query;
  AddDescription(recipe.description, &out);
  return out;
}

Json ProjectToJson(const ProjectDefinition& project) {
  Json out = {{"project", project.name}};
  AddDescription(project.description, &out);
  AddSection("datasets", project.datasets, DatasetToJson, &out);
  AddSection("models", project.models, ModelToJson, &out);
  AddSection("recipes", project.recipes, RecipeToJson, &out);
  if (!project.services.empty()) out["services"] = SortedMembers(project.services);
  if (!project.scenarios.empty()) out["scenarios"] = SortedMembers(project.scenarios);
  return out;
}

Result<ProjectDefinition> ProjectFromJson(const Json& json) { return ProjectFromJson(json, {}); }

Result<ProjectDefinition> ProjectFromJson(const Json& given, PositionIndex positions) {
  Json json = given;
  if (json.is_object()) RejoinAll(&json);
  Problems problems(&positions);
  CheckShape(ProjectShape(), json, "", "a project", &problems);
  if (json.is_object() && problems.empty() && !IsValidName(TextOr(json, "project"))) {
    problems.Add("/project",
                 "'" + TextOr(json, "project").substr(0, 150) +
                     "' is not a valid project name; names have letters, digits, '_', '.' and '-', "
                     "begin with none of the last two and are at most 128 long");
  }
  RETURN_IF_ERROR(problems.ToStatus());
  ProjectDefinition out;
  out.name = TextOr(json, "project");
  out.description = TextOr(json, "description");
  out.position = positions.OfKey("/project");
  auto place = [&](const char* section, const std::string& name) {
    return positions.OfKey(PointerJoin(std::string("/") + section, name));
  };
  for (const auto& [name, value] : Members(json, "datasets").items()) {
    out.datasets[name] = DatasetFrom(value);
    out.datasets[name].position = place("datasets", name);
  }
  for (const auto& [name, value] : Members(json, "models").items()) {
    out.models[name] = ModelFrom(value);
    out.models[name].position = place("models", name);
  }
  for (const auto& [name, value] : Members(json, "recipes").items()) {
    out.recipes[name] = RecipeFrom(value);
    out.recipes[name].position = place("recipes", name);
  }
  out.services = SortedMembers(Members(json, "services"));
  out.scenarios = SortedMembers(Members(json, "scenarios"));
  out.positions = std::move(positions);
  return out;
}

bool SameProject(const ProjectDefinition& a, const ProjectDefinition& b) {
  return ProjectToJson(a) == ProjectToJson(b);
}

std::string RecipeHash(const RecipeDefinition& recipe) {
  Json json = RecipeToJson(recipe);
  json.erase("description");
  return Sha256Hex(DumpJson(json));
}

}  // namespace slipway
