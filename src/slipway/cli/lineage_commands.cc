// lineage: from a version, or from an answer of an API node, back to the data.
#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/cli/commands.h"
#include "slipway/cli/lineage_options.h"
#include "slipway/http/client.h"
#include "slipway/querylog/search.h"
#include "slipway/registry/model_ref.h"

namespace slipway {
namespace {

// "  input    ": what follows is aligned.
std::string Row(const std::string& name, const std::string& text) {
  return "  " + name + std::string(name.size() < 9 ? 9 - name.size() : 1, ' ') + text + "\n";
}

std::string TextOf(const Json& object, const char* key) {
  const Json* value = FindMember(object, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

// Of a version: its build and what made it.
std::string BuildRows(const Json& lineage) {
  std::string out;
  const Json& build = lineage["build"];
  if (lineage.contains("imported_from")) out += Row("file", TextOf(lineage, "imported_from"));
  if (!TextOf(build, "recipe").empty()) out += Row("recipe", TextOf(build, "recipe"));
  if (!TextOf(build, "job").empty()) out += Row("job", TextOf(build, "job"));
  out += Row("made", TextOf(lineage, "created_at") + " by " + TextOf(lineage, "created_by") + " (" +
                         TextOf(lineage, "origin") + ")");
  for (const auto& [name, version] : lineage["libraries"].items())
    out += Row("library", name + " " + version.get<std::string>());
  return out;
}

Result<int> OfVersion(Context& context, const std::string& text) {
  auto parsed = ParseModelRef(text);
  if (!parsed.ok()) return Usage(parsed.error().message, parsed.error().hint);
  const ModelRef& ref = *parsed;
  const std::string selector = ref.select == ModelRef::Select::kNumber ? std::to_string(ref.number)
                               : ref.select == ModelRef::Select::kLatest ? "latest"
                                                                         : "active";
  ASSIGN_OR_RETURN(const Json lineage,
                   context.Call("GET", ApiPath("/api/v1/projects/{}/models/{}/versions/{}/lineage",
                                               {ref.project, ref.model, selector})));
  std::string human = ref.project + "/" + ref.model + "@" + DumpJson(lineage["version"]) + "\n";
  const Json& build = lineage["build"];
  for (const Json& input : build["inputs"]) {
    human += Row("input", TextOf(input, "name") + "  fingerprint " + TextOf(input, "fingerprint"));
    const Json* files =
        FindMember(build, "extra") != nullptr ? FindMember(build["extra"], "files") : nullptr;
    if (files == nullptr) continue;
    for (const Json& file : *files) human += Row("", file.get<std::string>());
  }
  human += BuildRows(lineage);
  human += Row("bundle", "sha256 " + TextOf(lineage, "bundle_sha256"));
  for (const Json& package : lineage["packages"])
    human += Row("package", package.get<std::string>());
  for (const Json& d : lineage["deployments"])
    human += Row("serves", "deployment " + TextOf(d, "deployment") + " (" + TextOf(d, "stage") +
                               ") as " + TextOf(d, "generation"));
  for (const Json& d : lineage["scored_datasets"])
    human += Row("scored", TextOf(d, "dataset") + " at " + TextOf(d, "at"));
  RETURN_IF_ERROR(context.Print(human, lineage));
  return kExitDone;
}

std::string AnswerRows(const Json& trace) {
  std::string out;
  const Json& answer = trace["answer"];
  out += Row("answer", "status " + DumpJson(answer["status"]) + " at " + TextOf(answer, "time") +
                           " in " + DumpJson(answer["latency_us"]) + " us");
  if (const int64_t records = answer.value("records", int64_t{0}); records > 1)
    out += Row("", FormatCount(records) + " records; the first one is shown");
  if (answer.value("other_requests_lines", int64_t{0}) > 0)
    out += Row("", "this id was used before: the last request is shown");
  if (const Json* lines = FindMember(answer, "lines"); lines != nullptr && !lines->empty()) {
    const Json& first = lines->at(0);
    for (const char* key : {"features", "result", "error"}) {
      if (const Json* value = FindMember(first, key); value != nullptr)
        out += Row(key, DumpJson(*value));
    }
  }
  if (const Json& node = trace["node"]; node.is_object()) {
    out += Row("node", TextOf(node, "url") + ", infrastructure " + TextOf(node, "infra") +
                           " (stage " + TextOf(node, "stage") + ")");
    if (!TextOf(node, "deployment").empty())
      out += Row("deployed", "deployment " + TextOf(node, "deployment"));
  }
  return out;
}

std::string TraceText(const std::string& id, const Json& trace) {
  std::string out = "request " + id + "\n" + AnswerRows(trace);
  out += Row("service", TextOf(trace, "service") + ", endpoint " + TextOf(trace, "endpoint") +
                            ", generation " + TextOf(trace, "generation"));
  const Json& package = trace["package"];
  if (!package.is_object()) {
    return out + Row("package", "unknown: " + TextOf(trace, "problem")) +
           Row("", TextOf(trace, "hint"));
  }
  out += Row("package", TextOf(package, "name") + "  sha256 " + TextOf(package, "sha256") +
                            (package["same_on_node"].is_boolean() ? ", as on the node" : ""));
  if (package.value("published", false))
    out += Row("", "published at " + TextOf(package, "published_at") + " by " +
                       TextOf(package, "published_by"));
  for (const Json& table : trace["tables"])
    out += Row("table", TextOf(table, "dataset") + "  sha256 " + TextOf(table, "sha256"));
  if (trace["model"].is_string()) {
    const Json& same = trace["same_bundle"];
    out += Row("model", TextOf(trace, "model") +
                            (trace["version"].is_object() ? "" : "  (not in this home any more)"));
    out += Row("bundle", "sha256 " + TextOf(trace, "bundle_sha256") +
                             (!same.is_boolean() ? ""
                              : same.get<bool>() ? ", that of the version"
                                                 : ", ANOTHER than that of the version here"));
    if (trace["version"].is_object()) out += BuildRows(trace["version"]);
  }
  if (!TextOf(trace, "told_by").empty()) out += Row("told by", TextOf(trace, "told_by"));
  if (!trace["trained_on"].is_array()) return out;
  for (const Json& input : trace["trained_on"]) {
    out += Row("dataset", TextOf(input, "dataset"));
    out += Row("", "fingerprint " + TextOf(input, "fingerprint"));
    for (const Json& file : input["files"]) out += Row("", file.get<std::string>());
  }
  return out;
}

// The log lies here: only what it names is asked of the home.
Result<Json> OfLogFile(Context& context, const LineageOptions& options) {
  ASSIGN_OR_RETURN(const FoundQueries found,
                   FindInQueryLog(options.query_log, {.request_id = options.request}));
  if (found.lines.empty()) {
    std::string hint =
        found.since.empty() ? "there are no lines in it" : "its lines begin at " + found.since;
    if (!found.damaged.empty()) hint += "; " + found.damaged;
    return NotFound("'" + options.query_log + "' has no request '" + options.request + "'", hint);
  }
  const std::vector<Json> lines = LastRequest(found.lines);
  const Json& line = lines.front();
  for (const char* key : {"service", "generation", "endpoint"}) {
    if (!IsValidName(TextOf(line, key)))
      return Corruption("the line of request '" + options.request + "' in '" + options.query_log +
                        "' does not say which " + key + " answered: it is none of an API node");
  }
  ASSIGN_OR_RETURN(Json trace,
                   context.Call("GET", ApiPath("/api/v1/lineage/{}/{}/{}",
                                               {TextOf(line, "service"), TextOf(line, "generation"),
                                                TextOf(line, "endpoint")})));
  Json answer = Json::object();
  for (const char* key : {"time", "verb", "status", "latency_us", "key", "trace_id"}) {
    const Json* value = FindMember(line, key);
    answer[key] = value != nullptr ? *value : Json();
  }
  const auto others = static_cast<int64_t>(found.lines.size() - lines.size());
  answer["records"] = std::max<int64_t>(found.count - others, static_cast<int64_t>(lines.size()));
  answer["other_requests_lines"] = others;
  answer["lines"] = lines;
  trace["answer"] = std::move(answer);
  return trace;
}

}  // namespace

Result<int> RunLineage(Context& context, const LineageOptions& options) {
  if (options.request.empty() == options.ref.empty())
    return Usage("lineage of what?",
                 "name a version (PROJECT/MODEL@N), or an answer with --request ID");
  if (!options.query_log.empty() && !options.deployment.empty())
    return Usage("--query-log and --deployment are two places", "give one of them");
  if (options.request.empty()) {
    if (!options.query_log.empty() || !options.deployment.empty())
      return Usage("--query-log and --deployment go with --request ID");
    return OfVersion(context, options.ref);
  }
  if (!IsRequestId(options.request))
    return Usage("'" + options.request.substr(0, 200) + "' is no request id",
                 "it is what the answer's header X-Request-Id says");
  Json trace;
  if (!options.query_log.empty()) {
    ASSIGN_OR_RETURN(trace, OfLogFile(context, options));
  } else {
    std::string path = "/api/v1/lineage?request_id=" + UrlEncode(options.request);
    if (!options.deployment.empty()) path += "&deployment=" + UrlEncode(options.deployment);
    ASSIGN_OR_RETURN(trace, context.Call("GET", path));
  }
  trace["request_id"] = options.request;
  RETURN_IF_ERROR(context.Print(TraceText(options.request, trace), trace));
  return kExitDone;
}

void AddLineageOptions(CLI::App* command, LineageOptions* options) {
  command->add_option("REF", options->ref, "PROJECT/MODEL, PROJECT/MODEL@3, @active, @latest");
  command->add_option("--request", options->request,
                      "an answer: its X-Request-Id, looked for in the nodes' query logs");
  command->add_option("--deployment", options->deployment, "look at this one's nodes alone");
  command->add_option("--query-log", options->query_log,
                      "look into this query log, a file or a folder, instead of asking nodes");
}

void AddLineageCommands(CLI::App* app, Invocation* invocation) {
  static LineageOptions options;
  CLI::App* lineage =
      app->add_subcommand("lineage", "where a version, or an answer of an API node, came from");
  AddLineageOptions(lineage, &options);
  Handle(lineage, invocation, [](Context& c) { return RunLineage(c, options); });
}

}  // namespace slipway
