#include "slipway/base/file.h"
#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/dataset/dataset.h"
#include "slipway/flow/datasets.h"
#include "slipway/hub/hub.h"
#include "slipway/hub/route_helpers.h"
#include "slipway/project/validate.h"
#include "slipway/table/schema.h"

namespace slipway {
namespace {

const std::string kDatasets = "/api/v1/projects/{project}/datasets";
const std::string kRecipes = "/api/v1/projects/{project}/recipes";

Json FingerprintOrNull(const std::string& text) { return text.empty() ? Json() : Json(text); }

// What `dataset ls` shows: from the registry alone, nothing is read.
Result<Json> DatasetSummary(Registry& registry, const ProjectDefinition& project,
                            const std::string& name, const DatasetDefinition& definition) {
  Json out = {{"name", project.name + "/" + name},
              {"type", definition.type == DatasetType::kFiles ? "files" : "managed"},
              {"description", definition.description},
              {"paths", definition.paths},
              {"rows", Json()},
              {"bytes", Json()},
              {"built_at", Json()},
              {"fingerprint", Json()}};
  if (definition.type == DatasetType::kManaged) {
    ASSIGN_OR_RETURN(std::optional<DatasetState> state,
                     registry.datasets().Find(project.name, name));
    if (state) {
      out["rows"] = state->rows;
      out["bytes"] = state->bytes;
      out["built_at"] = state->at;
      out["fingerprint"] = FingerprintOrNull(state->fingerprint);
      out["paths"] = Json::array({state->path});
    }
  } else {
    ASSIGN_OR_RETURN(std::optional<FilesState> state,
                     registry.datasets().FindFilesState(project.name, name));
    if (state) {
      out["rows"] = state->rows ? Json(*state->rows) : Json();
      out["bytes"] = state->bytes;
      out["fingerprint"] = FingerprintOrNull(state->fingerprint);
    }
  }
  return out;
}

Result<Response> ListDatasets(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(StoredProject stored,
                   LoadStoredProject(hub.registry(), request.params.at("project")));
  Json out = Json::array();
  for (const auto& [name, definition] : stored.definition.datasets) {
    ASSIGN_OR_RETURN(Json item,
                     DatasetSummary(hub.registry(), stored.definition, name, definition));
    out.push_back(std::move(item));
  }
  return JsonResponse(out);
}

Result<Response> ShowDataset(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(StoredProject stored,
                   LoadStoredProject(hub.registry(), request.params.at("project")));
  const std::string& name = request.params.at("dataset");
  ASSIGN_OR_RETURN(ResolvedDataset data,
                   ResolveDataset(hub.registry(), stored.definition, name,
                                  {.fingerprint = true, .check = hub.CheckFor(request)}));
  if (!data.rows) {
    ASSIGN_OR_RETURN(Json count, RunLook("count", {{"input", FilesSpecToJson(data.spec)}}));
    ASSIGN_OR_RETURN(int64_t rows, GetInt(count, "rows"));
    data.rows = rows;
  }
  ASSIGN_OR_RETURN(Json out, DatasetSummary(hub.registry(), stored.definition, name,
                                            stored.definition.datasets.at(name)));
  out["rows"] = *data.rows;
  out["bytes"] = data.bytes;
  out["fingerprint"] = FingerprintOrNull(data.fingerprint);
  out["files"] = data.files;
  out["format"] = FormatName(*data.spec.format);
  out["schema"] = SchemaToJson(data.spec.schema);
  out["spec"] = FilesSpecToJson(data.spec);
  out["used_by"] = UsersOf(stored.definition, name);
  out["warnings"] = data.warnings;
  return JsonResponse(out);
}

Result<Response> ShowSchema(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(StoredProject stored,
                   LoadStoredProject(hub.registry(), request.params.at("project")));
  ASSIGN_OR_RETURN(ResolvedDataset data,
                   ResolveDataset(hub.registry(), stored.definition, request.params.at("dataset"),
                                  {.check = hub.CheckFor(request)}));
  return JsonResponse(SchemaToJson(data.spec.schema));
}

Result<Response> Refresh(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(StoredProject stored,
                   LoadStoredProject(hub.registry(), request.params.at("project")));
  ASSIGN_OR_RETURN(
      ResolvedDataset data,
      ResolveDataset(hub.registry(), stored.definition, request.params.at("dataset"),
                     {.refresh = true, .persist = true, .check = hub.CheckFor(request)}));
  return JsonResponse(SchemaToJson(data.spec.schema));
}

Result<Response> Head(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(StoredProject stored,
                   LoadStoredProject(hub.registry(), request.params.at("project")));
  ASSIGN_OR_RETURN(ResolvedDataset data,
                   ResolveDataset(hub.registry(), stored.definition, request.params.at("dataset"),
                                  {.check = hub.CheckFor(request)}));
  int64_t rows = 10;
  if (auto it = request.query.find("rows"); it != request.query.end()) {
    auto parsed = ParseInt64(it->second);
    if (!parsed || *parsed < 0 || *parsed > 100'000)
      return InvalidArgument("rows must be a number from 0 to 100,000");
    rows = *parsed;
  }
  ASSIGN_OR_RETURN(Json head,
                   RunLook("head", {{"input", FilesSpecToJson(data.spec)}, {"rows", rows}}));
  return JsonResponse(head);
}

// A change to the definition: validated as a whole, stored, or nothing.
Status Store(Hub& hub, const StoredProject& stored, const std::string& who) {
  RETURN_IF_ERROR(Validate(stored.definition));
  RETURN_IF_ERROR(hub.registry().projects().Put(
      stored.definition.name, DumpJson(ProjectToJson(stored.definition)), who, stored.record.etag));
  return {};
}

Result<StoredProject> LoadOrNew(Hub& hub, const std::string& name) {
  ASSIGN_OR_RETURN(bool exists, hub.registry().projects().Exists(name));
  if (exists) return LoadStoredProject(hub.registry(), name);
  if (!IsValidName(name)) return InvalidArgument("'" + name + "' is not a valid project name");
  StoredProject fresh;
  fresh.definition.name = name;
  fresh.record.etag = "new";
  return fresh;
}

// One object of the canonical JSON form, parsed by the project's own reader.
Result<ProjectDefinition> ParseOne(const char* kind, const std::string& name,
                                   const Json& definition) {
  return ProjectFromJson({{"project", "p"}, {kind, {{name, definition}}}});
}

Result<Response> AddDataset(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(Json body, ParseBody(request, {"name", "definition", "replace"}));
  ASSIGN_OR_RETURN(std::string name, GetString(body, "name"));
  ASSIGN_OR_RETURN(const Json* definition, GetObject(body, "definition"));
  if (!IsValidName(name)) return InvalidArgument("'" + name + "' is not a valid dataset name");
  ASSIGN_OR_RETURN(StoredProject stored, LoadOrNew(hub, request.params.at("project")));
  if (stored.definition.datasets.count(name) != 0 && !BodyFlag(body, "replace")) {
    return Conflict("project '" + stored.definition.name + "' has a dataset '" + name + "' already",
                    "--replace gives it another definition");
  }
  ASSIGN_OR_RETURN(ProjectDefinition one, ParseOne("datasets", name, *definition));
  stored.definition.datasets[name] = one.datasets.at(name);
  RETURN_IF_ERROR(hub.CheckPaths(request, stored.definition.datasets[name].paths));
  RETURN_IF_ERROR(Validate(stored.definition));
  // Look first: what cannot be read is not added.
  Json warnings = Json::array();
  Json schema;
  std::optional<FilesState> learned;
  if (stored.definition.datasets.at(name).type == DatasetType::kFiles) {
    ASSIGN_OR_RETURN(ResolvedDataset data,
                     ResolveDataset(hub.registry(), stored.definition, name,
                                    {.refresh = true, .check = hub.CheckFor(request)}));
    schema = SchemaToJson(data.spec.schema);
    warnings = data.warnings;
    learned = data.learned;
  }
  ASSIGN_OR_RETURN(Transaction transaction, hub.registry().Begin());
  RETURN_IF_ERROR(Store(hub, stored, request.who));
  if (learned) {
    RETURN_IF_ERROR(
        hub.registry().datasets().PutFilesState(stored.definition.name, name, *learned));
  }
  ASSIGN_OR_RETURN(Json out, DatasetSummary(hub.registry(), stored.definition, name,
                                            stored.definition.datasets.at(name)));
  RETURN_IF_ERROR(transaction.Commit());
  out["schema"] = schema;
  out["warnings"] = warnings;
  out["project_created"] = stored.record.etag == "new";
  return JsonResponse(out, 201);
}

Result<Response> RemoveDataset(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(StoredProject stored,
                   LoadStoredProject(hub.registry(), request.params.at("project")));
  const std::string& name = request.params.at("dataset");
  if (stored.definition.datasets.count(name) == 0) {
    return ResolveDataset(hub.registry(), stored.definition, name, {}).error();
  }
  if (const auto users = UsersOf(stored.definition, name); !users.empty()) {
    return Conflict(
        "dataset '" + name + "' is used by the " + (users.size() == 1 ? "recipe " : "recipes ") +
            QuotedList(users),
        "remove them first: slipway recipe rm " + stored.definition.name + "/" + users[0]);
  }
  if (const auto users = ServicesUsing(stored.definition, name); !users.empty()) {
    return Conflict("dataset '" + name + "' is used by the " +
                        (users.size() == 1 ? "service " : "services ") + QuotedList(users),
                    "take it out of their endpoints first, and apply");
  }
  stored.definition.datasets.erase(name);
  RETURN_IF_ERROR(Store(hub, stored, request.who));
  RETURN_IF_ERROR(hub.registry().datasets().Clear(stored.definition.name, name));
  RETURN_IF_ERROR(hub.registry().datasets().ForgetFilesState(stored.definition.name, name));
  return JsonResponse({{"removed", name}});
}

Result<Response> ClearDataset(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(StoredProject stored,
                   LoadStoredProject(hub.registry(), request.params.at("project")));
  const std::string& name = request.params.at("dataset");
  auto it = stored.definition.datasets.find(name);
  if (it == stored.definition.datasets.end())
    return ResolveDataset(hub.registry(), stored.definition, name, {}).error();
  if (it->second.type == DatasetType::kFiles) {
    return InvalidArgument(
        "'" + name + "' is a files dataset: its files are yours and are never deleted",
        "dataset rm takes it out of the project");
  }
  RETURN_IF_ERROR(hub.registry().datasets().Clear(stored.definition.name, name));
  return JsonResponse({{"cleared", name}});
}

Result<Response> ListRecipes(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(StoredProject stored,
                   LoadStoredProject(hub.registry(), request.params.at("project")));
  const Json project = ProjectToJson(stored.definition);
  Json out = Json::array();
  if (const Json* recipes = FindMember(project, "recipes")) {
    for (const auto& [name, definition] : recipes->items()) {
      Json item = {{"name", stored.definition.name + "/" + name}};
      item.update(definition);
      out.push_back(std::move(item));
    }
  }
  return JsonResponse(out);
}

Result<Response> AddRecipe(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(Json body, ParseBody(request, {"name", "definition", "replace"}));
  ASSIGN_OR_RETURN(std::string name, GetString(body, "name"));
  ASSIGN_OR_RETURN(const Json* definition, GetObject(body, "definition"));
  if (!IsValidName(name)) return InvalidArgument("'" + name + "' is not a valid recipe name");
  ASSIGN_OR_RETURN(StoredProject stored,
                   LoadStoredProject(hub.registry(), request.params.at("project")));
  if (stored.definition.recipes.count(name) != 0 && !BodyFlag(body, "replace")) {
    return Conflict("project '" + stored.definition.name + "' has a recipe '" + name + "' already",
                    "--replace gives it another definition");
  }
  ASSIGN_OR_RETURN(ProjectDefinition one, ParseOne("recipes", name, *definition));
  const RecipeDefinition& recipe = one.recipes.at(name);
  stored.definition.recipes[name] = recipe;
  // By hand, a recipe brings its output along.
  if (recipe.type == RecipeType::kTrain) {
    stored.definition.models.try_emplace(recipe.output);
  } else {
    stored.definition.datasets.try_emplace(recipe.output);
  }
  RETURN_IF_ERROR(Store(hub, stored, request.who));
  return JsonResponse({{"name", stored.definition.name + "/" + name}, {"output", recipe.output}},
                      201);
}

Result<Response> RemoveRecipe(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(StoredProject stored,
                   LoadStoredProject(hub.registry(), request.params.at("project")));
  const std::string& name = request.params.at("recipe");
  if (stored.definition.recipes.erase(name) == 0) {
    std::vector<std::string> names;
    for (const auto& [known, recipe] : stored.definition.recipes) names.push_back(known);
    return NotFound("project '" + stored.definition.name + "' has no recipe '" + name + "'",
                    DidYouMean(name, names));
  }
  RETURN_IF_ERROR(Store(hub, stored, request.who));
  return JsonResponse({{"removed", name}});
}

}  // namespace

void AddDatasetRoutes(Hub& hub, Router* router) {
  const auto add = [&](const char* method, const std::string& pattern, const char* permission,
                       const char* summary, Result<Response> (*handler)(Hub&, const Request&),
                       RouteDetails details = {}) {
    router->Add({method, pattern, permission, summary,
                 [&hub, handler](const Request& r) { return handler(hub, r); },
                 std::move(details)});
  };
  const auto state = ProjectState(hub);
  const std::vector<RouteKey> added = {{"name", "string", true, "its name", kNamePattern},
                                       {"definition", "object", true, "as in a project's YAML"},
                                       {"replace", "boolean", false, "also when there is one"}};
  add("GET", kDatasets, "read", "datasets of a project", ListDatasets,
      {.query = NoKeys(), .paged = ListKey{"name"}});
  add("POST", kDatasets, "write", "adds a dataset after a look at its files", AddDataset,
      {.body = added,
       .query = NoKeys(),
       .status = 201,
       .etag = true,
       .state = state,
       .waits = AlwaysWaits});
  add("GET", kDatasets + "/{dataset}", "read", "one dataset: schema, rows, size, fingerprint",
      ShowDataset, {.query = NoKeys(), .waits = AlwaysWaits});
  add("DELETE", kDatasets + "/{dataset}", "write", "takes a dataset out of the project",
      RemoveDataset, {.query = NoKeys(), .etag = true, .atomic = true, .state = state});
  add("GET", kDatasets + "/{dataset}/schema", "read", "columns and types", ShowSchema,
      {.query = NoKeys()});
  add("POST", kDatasets + "/{dataset}/refresh", "write",
      "looks at the files again and pins what it finds", Refresh,
      {.body = NoKeys(), .query = NoKeys(), .waits = AlwaysWaits});
  add("GET", kDatasets + "/{dataset}/head", "read", "the first ?rows", Head,
      {.query = Keys({{"rows", "integer", false, "how many (10)", "", 0, 100'000}}),
       .waits = AlwaysWaits});
  add("POST", kDatasets + "/{dataset}/clear", "write", "deletes the data of a managed dataset",
      ClearDataset, {.body = NoKeys(), .query = NoKeys(), .atomic = true});
  add("GET", kRecipes, "read", "recipes of a project", ListRecipes,
      {.query = NoKeys(), .paged = ListKey{"name"}});
  add("POST", kRecipes, "write", "adds a recipe and, when new, its output", AddRecipe,
      {.body = added,
       .query = NoKeys(),
       .status = 201,
       .etag = true,
       .atomic = true,
       .state = state});
  add("DELETE", kRecipes + "/{recipe}", "write", "takes a recipe out of the project", RemoveRecipe,
      {.query = NoKeys(), .etag = true, .atomic = true, .state = state});
}

}  // namespace slipway
