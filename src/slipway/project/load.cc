#include "slipway/project/load.h"

#include <filesystem>
#include <utility>

#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/project/validate.h"
#include "slipway/project/yaml.h"

namespace slipway {
namespace {

constexpr size_t kMaxFileBytes =
    size_t{8} << 20;  // ParseYaml refuses above its own limit, with its own message
constexpr size_t kMaxQueryBytes = size_t{1} << 20;
constexpr size_t kMaxFiles = 1'000;

bool IsYamlName(const std::string& name) {
  return !name.starts_with(".") && (name.ends_with(".yaml") || name.ends_with(".yml"));
}

// Sorted; the folder's own files and those one level below.
Result<std::vector<std::string>> YamlFiles(const std::string& path) {
  if (!IsDirectory(path)) return std::vector<std::string>{path};
  std::vector<std::string> files;
  ASSIGN_OR_RETURN(std::vector<std::string> names, ListDir(path));
  for (const std::string& name : names) {
    const std::string full = JoinPath(path, name);
    if (!IsDirectory(full)) {
      if (IsYamlName(name)) files.push_back(full);
      continue;
    }
    if (name.starts_with(".")) continue;
    auto inner = ListDir(full);
    if (!inner.ok()) continue;  // a folder that we may not read holds no definitions of ours
    for (const std::string& below : *inner) {
      const std::string file = JoinPath(full, below);
      if (IsYamlName(below) && !IsDirectory(file)) files.push_back(file);
    }
  }
  if (files.empty()) {
    return NotFound("there is no *.yaml or *.yml file in '" + path + "'",
                    "give the folder or file that has the project's definitions");
  }
  if (files.size() > kMaxFiles)
    return InvalidArgument("more than " + std::to_string(kMaxFiles) + " YAML files in '" + path +
                           "'");
  return files;
}

std::string Resolved(const std::string& folder, const std::string& path) {
  return std::filesystem::path(JoinPath(folder, path)).lexically_normal().string();
}

void ResolvePaths(Json* document, const std::string& folder) {
  auto datasets = document->find("datasets");
  if (datasets == document->end() || !datasets->is_object()) return;
  for (Json& dataset : *datasets) {
    if (!dataset.is_object() || !dataset.contains("path")) continue;
    Json& path = dataset["path"];
    auto resolve = [&](Json& item) {
      if (item.is_string() && !item.get_ref<const std::string&>().empty())
        item = Resolved(folder, item.get<std::string>());
    };
    resolve(path);
    if (path.is_array()) {
      for (Json& item : path) resolve(item);
    }
  }
}

Status ReadQueryFiles(YamlDocument* document, const std::string& folder) {
  auto recipes = document->root.find("recipes");
  if (recipes == document->root.end() || !recipes->is_object()) return {};
  for (const auto& item : recipes->items()) {
    Json& recipe = item.value();
    // Wrong combinations stay as they are for the shape check to tell.
    if (!recipe.is_object() || recipe.contains("query") || !recipe.contains("query_file") ||
        !recipe["query_file"].is_string() || !recipe.contains("type") || recipe["type"] != "sql") {
      continue;
    }
    const std::string base = PointerJoin("/recipes", item.key());
    auto text = ReadFile(Resolved(folder, recipe["query_file"].get<std::string>()), kMaxQueryBytes);
    SourcePosition at = document->positions.OfValue(base + "/query_file");
    if (!text.ok()) return text.error().Within(PositionText(at));
    if (!IsValidUtf8(*text))
      return InvalidArgument(PositionText(at) + ": the query file is not UTF-8 text");
    document->positions.Add(base + "/query", at, document->positions.OfKey(base + "/query_file"));
    recipe["query"] = *std::move(text);
    recipe.erase("query_file");
  }
  return {};
}

// The documents of a project's files as one.
class Merger {
 public:
  Status Add(YamlDocument document, const std::string& file) {
    Json& root = document.root;
    if (root.is_null()) return {};  // an empty file, or comments only
    if (!root.is_object()) {
      return InvalidArgument(
          PositionText({file, 1, 1}) +
          ": a project file must be a map with keys such as 'project' and 'datasets'");
    }
    const std::string folder = DirName(AbsolutePath(file));
    ResolvePaths(&root, folder);
    RETURN_IF_ERROR(ReadQueryFiles(&document, folder));
    for (const auto& item : root.items()) {
      RETURN_IF_ERROR(AddKey(item.key(), item.value(), document.positions));
    }
    return {};
  }

  Result<ProjectDefinition> Finish(const std::string& path) {
    if (merged_.empty()) return InvalidArgument("there are no definitions in '" + path + "'");
    if (!merged_.contains("project")) {
      return InvalidArgument(path + ": missing key 'project': the project's name",
                             "add a line such as 'project: my_project'");
    }
    ASSIGN_OR_RETURN(ProjectDefinition project, ProjectFromJson(merged_, std::move(positions_)));
    RETURN_IF_ERROR(Validate(project));
    return project;
  }

 private:
  Status AddKey(const std::string& key, const Json& value, const PositionIndex& positions) {
    const std::string at = PointerJoin("", key);
    if (!merged_.contains(key)) {
      merged_[key] = value;
      positions_.Merge(positions, at);
      return {};
    }
    Json& known = merged_[key];
    if (known.is_object() && value.is_object()) {
      for (const auto& item : value.items()) {
        RETURN_IF_ERROR(AddMember(&known, key, item.key(), item.value(), positions));
      }
      return {};
    }
    if (known == value || value.is_null()) return {};
    if (known.is_null()) {
      known = value;
      return {};
    }
    return InvalidArgument(PositionText(positions.OfValue(at)) + ": '" + key + "' is " +
                               DumpJson(value) + " here and " + DumpJson(known) + " at " +
                               PositionText(positions_.OfValue(at)),
                           "the files of one folder describe one project");
  }

  Status AddMember(Json* section, const std::string& section_name, const std::string& name,
                   const Json& value, const PositionIndex& positions) {
    const std::string at = PointerJoin(PointerJoin("", section_name), name);
    if (section->contains(name)) {
      return InvalidArgument(PositionText(positions.OfKey(at)) + ": '" + name + "' in " +
                             section_name + " is defined already at " +
                             PositionText(positions_.OfKey(at)));
    }
    (*section)[name] = value;
    positions_.Merge(positions, at);
    return {};
  }

  Json merged_ = Json::object();
  PositionIndex positions_;
};

}  // namespace

Result<ProjectDefinition> LoadProject(const std::string& path) {
  ASSIGN_OR_RETURN(std::vector<std::string> files, YamlFiles(path));
  Merger merger;
  for (const std::string& file : files) {
    ASSIGN_OR_RETURN(std::string text, ReadFile(file, kMaxFileBytes));
    ASSIGN_OR_RETURN(YamlDocument document, ParseYaml(text, file));
    RETURN_IF_ERROR(merger.Add(std::move(document), file));
  }
  return merger.Finish(path);
}

Result<ProjectDefinition> LoadProjectText(std::string_view text, const std::string& file) {
  Merger merger;
  ASSIGN_OR_RETURN(YamlDocument document, ParseYaml(text, file));
  RETURN_IF_ERROR(merger.Add(std::move(document), file));
  return merger.Finish(file);
}

}  // namespace slipway
