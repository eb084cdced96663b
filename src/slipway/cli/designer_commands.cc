// Services, endpoints and test queries by hand: what the API designer's page does, as commands. A
// change reads the object, changes it and puts it back with the ETag that was read.
#include <algorithm>

#include "slipway/base/file.h"
#include "slipway/base/names.h"
#include "slipway/base/text.h"
#include "slipway/cli/commands.h"
#include "slipway/cli/service_ref.h"
#include "slipway/project/yaml.h"

namespace slipway {
namespace {

constexpr size_t kMaxDefinition = 4 << 20;

struct DesignerOptions {
  std::string target, query, file;
  std::string description, auth, model, lookup, from_dataset, record, expect;
  std::vector<std::string> keys, columns, enrich;
  int64_t explanations = -1, rows = 5, seed = -1;
  double tolerance = 0;
  bool none = false;
  CLI::App* command = nullptr;  // that was typed

  bool Has(const char* option) const { return command->count(option) > 0; }
};

struct EndpointRef {
  std::string project, service, endpoint;
  std::string name() const { return project + "/" + service + "/" + endpoint; }
  std::string Path(const std::string& rest = "") const {
    return ApiPath("/api/v1/projects/{}/services/{}/endpoints/{}", {project, service, endpoint}) +
           rest;
  }
};

Result<EndpointRef> ParseEndpointRef(const std::string& text) {
  const std::vector<std::string> parts = Split(text, '/');
  if (parts.size() != 3)
    return Usage("'" + text + "' does not name an endpoint",
                 "write it as PROJECT/SERVICE/ENDPOINT");
  for (const std::string& part : parts) {
    if (!IsValidName(part))
      return Usage("'" + text + "' does not name an endpoint", NameRule(part));
  }
  return EndpointRef{parts[0], parts[1], parts[2]};
}

// A definition in YAML, or JSON, which is YAML too. "-": stdin.
Result<Json> ReadDefinition(const std::string& file) {
  std::string text;
  if (file == "-") {
    ASSIGN_OR_RETURN(text, ReadFile("/dev/stdin", kMaxDefinition));
  } else {
    ASSIGN_OR_RETURN(text, ReadFile(file, kMaxDefinition));
  }
  ASSIGN_OR_RETURN(YamlDocument document, ParseYaml(text, file == "-" ? "stdin" : file));
  return std::move(document.root);
}

Result<Json> ParseOption(const char* option, const std::string& text) {
  Result<Json> json = ParseJson(text);
  if (!json.ok() || !json->is_object())
    return Usage(std::string(option) + " is a JSON object, not '" + text.substr(0, 80) + "'",
                 "for example '{\"items\": 3}'");
  return json;
}

// The object's definition and its ETag.
struct Known {
  Json definition;
  std::string etag;
};

Result<Known> ReadKnown(Context& context, const std::string& path, const std::string& name) {
  ASSIGN_OR_RETURN(const Response response, context.CallRaw("GET", path));
  ASSIGN_OR_RETURN(const Json json, ParseJson(response.body));
  Known out;
  const Json* definition = FindMember(json, "definition");
  if (definition == nullptr || !definition->is_object())
    return NotFound("'" + name + "' is not defined any more; its packages are kept");
  out.definition = *definition;
  if (const auto etag = response.headers.find("ETag"); etag != response.headers.end())
    out.etag = etag->second;
  return out;
}

Result<Json> Put(Context& context, const std::string& path, const Json& body,
                 const Context::Headers& headers) {
  ASSIGN_OR_RETURN(const Response response, context.CallRaw("PUT", path, body, headers));
  return ParseJson(response.body);
}

constexpr const char* kEndpointOptions[] = {"--model",  "--lookup",       "--key",
                                            "--column", "--enrich",       "--explanations",
                                            "--file",   "--from-dataset", "--description"};
const Context::Headers kOnlyNew = {{"if-none-match", "*"}};

// ---- services

Result<int> CreateService(Context& context, const DesignerOptions& o) {
  ASSIGN_OR_RETURN(const ServiceRef ref, ParseServiceRef(o.target));
  Json definition = {{"endpoints", Json::object()}};
  if (!o.file.empty()) {
    ASSIGN_OR_RETURN(definition, ReadDefinition(o.file));
  }
  if (o.Has("--description")) definition["description"] = o.description;
  if (o.Has("--auth")) definition["auth"] = o.auth;
  Result<Json> made = Put(context, ref.Path(), definition, kOnlyNew);
  if (!made.ok() && made.error().code == ErrorCode::kConflict)
    return Conflict("service '" + ref.project + "/" + ref.service + "' exists already",
                    "slipway service set changes it");
  RETURN_IF_ERROR(made);
  const std::string name = ref.project + "/" + ref.service;
  RETURN_IF_ERROR(context.Print(
      "service " + name + " is made\n" +
          (definition["endpoints"].empty() ? "give it an endpoint: slipway endpoint create " +
                                                 name + "/ENDPOINT --model MODEL\n"
                                           : ""),
      *made));
  return kExitDone;
}

Result<int> SetService(Context& context, const DesignerOptions& o) {
  ASSIGN_OR_RETURN(const ServiceRef ref, ParseServiceRef(o.target));
  const std::string name = ref.project + "/" + ref.service;
  ASSIGN_OR_RETURN(Known known, ReadKnown(context, ref.Path(), name));
  if (!o.file.empty()) {
    ASSIGN_OR_RETURN(known.definition, ReadDefinition(o.file));
  } else if (!o.Has("--description") && !o.Has("--auth")) {
    return Usage("what is to be set?", "--description, --auth or -f FILE");
  }
  if (o.Has("--description")) known.definition["description"] = o.description;
  if (o.Has("--auth")) known.definition["auth"] = o.auth;
  for (const char* key : {"description", "auth"}) {
    if (known.definition.contains(key) && known.definition[key] == Json(""))
      known.definition.erase(key);
  }
  ASSIGN_OR_RETURN(const Json json,
                   Put(context, ref.Path(), known.definition, {{"if-match", known.etag}}));
  RETURN_IF_ERROR(context.Print("service " + name + " is changed\n", json));
  return kExitDone;
}

Result<int> DeleteService(Context& context, const std::string& text) {
  ASSIGN_OR_RETURN(const ServiceRef ref, ParseServiceRef(text));
  ASSIGN_OR_RETURN(const Json json, context.Call("DELETE", ref.Path()));
  const auto kept = json["packages_kept"].get<int64_t>();
  if (const Json* warnings = FindMember(json, "warnings")) {
    for (const Json& warning : *warnings) context.Warn(warning.get<std::string>());
  }
  RETURN_IF_ERROR(
      context.Print("deleted " + ref.project + "/" + ref.service +
                        (kept == 0 ? ""
                                   : "; its " + FormatCount(kept) +
                                         (kept == 1 ? " package is" : " packages are") + " kept") +
                        "\n",
                    json));
  return kExitDone;
}

// ---- endpoints

std::string EndpointTable(const Json& endpoints) {
  TextTable table({"ENDPOINT", "TYPE", "MODEL", "TABLES", "TEST QUERIES", "DESCRIPTION"});
  for (const Json& e : endpoints) {
    const auto tables = e["tables"].get<std::vector<std::string>>();
    const auto about = e["description"].get<std::string>();
    table.Add({e["endpoint"].get<std::string>(), e["type"].get<std::string>(),
               e["model"].is_string()     ? e["model"].get<std::string>()
               : e.contains("prediction") ? e["prediction"].get<std::string>() + " (none yet)"
                                          : "-",
               tables.empty() ? "-" : Join(tables, ", "), DumpJson(e["test_queries"]),
               about.empty() ? "-" : about});
  }
  return table.ToString();
}

Result<int> ListEndpoints(Context& context, const std::string& text) {
  ASSIGN_OR_RETURN(const ServiceRef ref, ParseServiceRef(text));
  ASSIGN_OR_RETURN(const Json endpoints, context.Call("GET", ref.Path("/endpoints")));
  RETURN_IF_ERROR(context.Print(endpoints.empty()
                                    ? "no endpoints yet: slipway endpoint create " + ref.project +
                                          "/" + ref.service + "/ENDPOINT --model MODEL\n"
                                    : EndpointTable(endpoints),
                                endpoints));
  return kExitDone;
}

Result<int> ShowEndpoint(Context& context, const std::string& text) {
  ASSIGN_OR_RETURN(const EndpointRef ref, ParseEndpointRef(text));
  ASSIGN_OR_RETURN(const Json endpoint, context.Call("GET", ref.Path()));
  std::string human = EndpointTable(Json::array({endpoint}));
  if (endpoint.contains("problem")) human += endpoint["problem"].get<std::string>() + "\n";
  human += "\n" + DumpJson(endpoint["definition"], 2) + "\n";
  RETURN_IF_ERROR(context.Print(human, endpoint));
  return kExitDone;
}

Status ApplyEndpointOptions(const DesignerOptions& o, Json* definition) {
  if (o.Has("--model") && o.Has("--lookup"))
    return Usage("an endpoint predicts or looks up", "give one of --model and --lookup");
  if (o.Has("--model")) {
    definition->erase("lookup");
    (*definition)["prediction"] = o.model;
  }
  if (o.Has("--lookup")) {
    for (const char* key : {"prediction", "explanations", "enrich"}) definition->erase(key);
    (*definition)["lookup"] = {{"table", o.lookup}};
  }
  if (o.Has("--key") || o.Has("--column")) {
    Json& lookup = (*definition)["lookup"];
    if (lookup.is_string()) lookup = {{"table", lookup.get<std::string>()}};
    if (!lookup.is_object() || !lookup.contains("table"))
      return Usage("--key and --column are of an endpoint with one --lookup table",
                   "give the whole definition: -f FILE");
    if (!o.keys.empty()) lookup["keys"] = o.keys;
    if (!o.columns.empty()) lookup["columns"] = o.columns;
  }
  if (o.Has("--enrich")) {
    (*definition)["enrich"] = Json::array();
    for (const std::string& table : o.enrich) (*definition)["enrich"].push_back({{"table", table}});
  }
  if (o.explanations == 0) definition->erase("explanations");
  if (o.explanations > 0)
    (*definition)["explanations"] = {{"enabled", true}, {"count", o.explanations}};
  if (o.Has("--description")) (*definition)["description"] = o.description;
  if (o.Has("--description") && o.description.empty()) definition->erase("description");
  if (o.Has("--from-dataset")) {
    (*definition)["test_queries"] = {{"from_dataset", o.from_dataset}, {"rows", o.rows}};
    if (o.seed >= 0) (*definition)["test_queries"]["seed"] = o.seed;
  }
  return {};
}

Result<int> SetEndpoint(Context& context, const DesignerOptions& o, bool create) {
  ASSIGN_OR_RETURN(const EndpointRef ref, ParseEndpointRef(o.target));
  Known known;
  if (!create) {
    ASSIGN_OR_RETURN(known, ReadKnown(context, ref.Path(), ref.name()));
  }
  Json definition = known.definition.is_object() ? known.definition : Json(Json::object());
  if (!o.file.empty()) {
    ASSIGN_OR_RETURN(definition, ReadDefinition(o.file));
  }
  RETURN_IF_ERROR(ApplyEndpointOptions(o, &definition));
  if (create && definition.empty())
    return Usage("what does the endpoint do?", "--model MODEL, --lookup DATASET or -f FILE");
  const auto named = [&](const char* option) { return o.Has(option); };
  if (!create && std::none_of(std::begin(kEndpointOptions), std::end(kEndpointOptions), named))
    return Usage("what is to be set?", "slipway endpoint set --help says what can be");
  Result<Json> put = Put(context, ref.Path(), definition,
                         create ? kOnlyNew : Context::Headers{{"if-match", known.etag}});
  if (create && !put.ok() && put.error().code == ErrorCode::kConflict)
    return Conflict("endpoint '" + ref.name() + "' exists already",
                    "slipway endpoint set changes it");
  RETURN_IF_ERROR(put);
  RETURN_IF_ERROR(context.Print(EndpointTable(Json::array({*put})), *put));
  if (put->contains("problem")) context.Warn((*put)["problem"].get<std::string>());
  return kExitDone;
}

Result<int> DeleteEndpoint(Context& context, const std::string& text) {
  ASSIGN_OR_RETURN(const EndpointRef ref, ParseEndpointRef(text));
  ASSIGN_OR_RETURN(const Json json, context.Call("DELETE", ref.Path()));
  RETURN_IF_ERROR(context.Print("deleted " + ref.name() + "\n", json));
  return kExitDone;
}

// ---- test queries

std::string QueryText(const Json& query) {
  if (query.is_string()) return query.get<std::string>();
  if (const Json* dataset = FindMember(query, "from_dataset"))
    return DumpJson(query.value("rows", Json(5))) + " rows of " + dataset->get<std::string>();
  for (const char* key : {"features", "data", "request"}) {
    if (const Json* value = FindMember(query, key)) return DumpJson(*value);
  }
  return DumpJson(query);
}

Result<int> Queries(Context& context, const DesignerOptions& o) {
  ASSIGN_OR_RETURN(const EndpointRef ref, ParseEndpointRef(o.target));
  Json json;
  const std::string path = ref.Path("/test-queries");
  if (static_cast<int>(!o.file.empty()) + static_cast<int>(o.Has("--from-dataset")) +
          static_cast<int>(o.none) >
      1)
    return Usage("one of -f, --from-dataset and --none");
  if (o.none) {
    RETURN_IF_ERROR(context.Call("DELETE", path));
    ASSIGN_OR_RETURN(json, context.Call("GET", path));
  } else if (!o.file.empty()) {
    ASSIGN_OR_RETURN(Json queries, ReadDefinition(o.file));
    if (queries.is_object() && queries.contains("test_queries")) queries = queries["test_queries"];
    ASSIGN_OR_RETURN(json, context.Call("PUT", path, {{"test_queries", std::move(queries)}}));
  } else if (o.Has("--from-dataset")) {
    Json drawn = {{"from_dataset", o.from_dataset}, {"rows", o.rows}};
    if (o.seed >= 0) drawn["seed"] = o.seed;
    ASSIGN_OR_RETURN(json, context.Call("PUT", path, {{"test_queries", std::move(drawn)}}));
  } else {
    ASSIGN_OR_RETURN(json, context.Call("GET", path));
  }
  TextTable table({"NAME", "QUERY", "EXPECTED"});
  for (const Json& query : json["test_queries"]) {
    const Json* expect = FindMember(query, "expect");
    table.Add({query.is_object() ? query.value("name", "-") : "-", QueryText(query),
               expect != nullptr ? DumpJson(*expect) : "from scoring"});
  }
  RETURN_IF_ERROR(context.Print(table.empty() ? "no test queries yet: slipway endpoint queries " +
                                                    ref.name() + " --from-dataset DATASET\n"
                                              : table.ToString(),
                                json));
  return kExitDone;
}

Result<std::string> QueryPath(const DesignerOptions& o) {
  ASSIGN_OR_RETURN(const EndpointRef ref, ParseEndpointRef(o.target));
  if (!IsValidName(o.query))
    return Usage("'" + o.query + "' is no name for a test query", NameRule(o.query));
  return ref.Path("/test-queries/" + o.query);
}

Result<int> AddQuery(Context& context, const DesignerOptions& o) {
  ASSIGN_OR_RETURN(const std::string path, QueryPath(o));
  ASSIGN_OR_RETURN(const EndpointRef ref, ParseEndpointRef(o.target));
  ASSIGN_OR_RETURN(const Json endpoint, context.Call("GET", ref.Path()));
  Json query;
  const bool lookup = endpoint["type"] == "lookup";
  ASSIGN_OR_RETURN(query[lookup ? "data" : "features"], ParseOption("--record", o.record));
  if (o.Has("--expect")) {
    ASSIGN_OR_RETURN(query["expect"], ParseOption("--expect", o.expect));
  }
  if (o.Has("--tolerance")) query["tolerance"] = o.tolerance;
  ASSIGN_OR_RETURN(const Json json, context.Call("PUT", path, query));
  RETURN_IF_ERROR(
      context.Print("test query " + o.query + " of " + ref.name() + " is kept\n", json));
  return kExitDone;
}

Result<int> DeleteQuery(Context& context, const DesignerOptions& o) {
  ASSIGN_OR_RETURN(const std::string path, QueryPath(o));
  ASSIGN_OR_RETURN(const Json json, context.Call("DELETE", path));
  RETURN_IF_ERROR(context.Print("deleted test query " + o.query + "\n", json));
  return kExitDone;
}

CLI::App* AddOne(CLI::App* parent, const char* name, const char* about, const char* argument,
                 const char* what, DesignerOptions* options) {
  CLI::App* command = parent->add_subcommand(name, about);
  command->add_option(argument, options->target, what)->required();
  return command;
}

void On(CLI::App* command, Invocation* invocation, DesignerOptions* options,
        std::function<Result<int>(Context&, const DesignerOptions&)> run) {
  Handle(command, invocation, [command, options, run = std::move(run)](Context& context) {
    options->command = command;
    return run(context, *options);
  });
}

void AddDrawOptions(CLI::App* command, DesignerOptions* options) {
  command->add_option("--from-dataset", options->from_dataset,
                      "draw test queries from this dataset");
  command->add_option("--rows", options->rows, "how many (5)");
  command->add_option("--seed", options->seed, "another one draws other rows (42)");
}

void AddServiceDesign(CLI::App* service, Invocation* invocation, DesignerOptions* options) {
  const auto one = [&](const char* name, const char* about) {
    return AddOne(service, name, about, "SERVICE", "PROJECT/SERVICE", options);
  };
  CLI::App* create = one("create", "a service without endpoints, or the one that a file defines");
  CLI::App* set = one("set", "changes a service's description or auth, or all of its definition");
  for (CLI::App* command : {create, set}) {
    command->add_option("--description", options->description, "free text; '' takes it away");
    command->add_option("--auth", options->auth, "public or api_keys; '' takes it away");
    command->add_option("-f,--file", options->file, "its definition in YAML or JSON; - is stdin");
  }
  On(create, invocation, options, CreateService);
  On(set, invocation, options, SetService);
  On(one("delete", "takes a service out of its project; its packages are kept"), invocation,
     options, [](Context& c, const DesignerOptions& o) { return DeleteService(c, o.target); });
}

}  // namespace

void AddDesignerCommands(CLI::App* app, CLI::App* service, Invocation* invocation) {
  static DesignerOptions options;
  AddServiceDesign(service, invocation, &options);
  CLI::App* endpoint =
      app->add_subcommand("endpoint", "endpoints of API services, and their test queries")
          ->require_subcommand(1);
  const auto one = [&](const char* name, const char* about) {
    return AddOne(endpoint, name, about, "ENDPOINT", "PROJECT/SERVICE/ENDPOINT", &options);
  };
  On(AddOne(endpoint, "ls", "endpoints of a service", "SERVICE", "PROJECT/SERVICE", &options),
     invocation, &options,
     [](Context& c, const DesignerOptions& o) { return ListEndpoints(c, o.target); });
  On(one("show", "one endpoint with its definition"), invocation, &options,
     [](Context& c, const DesignerOptions& o) { return ShowEndpoint(c, o.target); });
  CLI::App* create = one("create", "an endpoint: a model's predictions, or rows of a table");
  CLI::App* set = one("set", "changes what is named of an endpoint");
  for (CLI::App* command : {create, set}) {
    command->add_option("--model", options.model, "MODEL, MODEL@N or MODEL@latest: it predicts");
    command->add_option("--lookup", options.lookup, "a dataset: it looks rows up");
    command->add_option("--key", options.keys, "a key column of --lookup");
    command->add_option("--column", options.columns, "a column that --lookup answers");
    command->add_option("--enrich", options.enrich,
                        "a dataset that fills features, by its first column");
    command->add_option("--explanations", options.explanations,
                        "so many with each answer; 0: none unless asked");
    command->add_option("--description", options.description, "free text; '' takes it away");
    command->add_option("-f,--file", options.file, "its definition in YAML or JSON; - is stdin");
    AddDrawOptions(command, &options);
  }
  On(create, invocation, &options,
     [](Context& c, const DesignerOptions& o) { return SetEndpoint(c, o, true); });
  On(set, invocation, &options,
     [](Context& c, const DesignerOptions& o) { return SetEndpoint(c, o, false); });
  On(one("delete", "takes an endpoint out of its service"), invocation, &options,
     [](Context& c, const DesignerOptions& o) { return DeleteEndpoint(c, o.target); });
  CLI::App* queries = one("queries", "its test queries; with an option, replaces them");
  AddDrawOptions(queries, &options);
  queries->add_option("-f,--file", options.file, "a list of test queries in YAML or JSON");
  queries->add_flag("--none", options.none, "takes all of them away");
  On(queries, invocation, &options, Queries);
  CLI::App* add_query = one("add-query", "adds a test query, or replaces the one of that name");
  CLI::App* delete_query = one("delete-query", "takes one test query away");
  for (CLI::App* command : {add_query, delete_query})
    command->add_option("NAME", options.query, "the test query's name")->required();
  add_query->add_option("--record", options.record, "a JSON object: the fields")->required();
  add_query->add_option("--expect", options.expect, "a JSON object; filled from scoring if absent");
  add_query->add_option("--tolerance", options.tolerance, "of numbers, relative (0)");
  On(add_query, invocation, &options, AddQuery);
  On(delete_query, invocation, &options, DeleteQuery);
}

}  // namespace slipway
