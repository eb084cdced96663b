#include "slipway/serve/oip_api.h"

#include <cstdlib>
#include <optional>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/serve/oip_reply.h"
#include "slipway/serve/oip_request.h"

namespace slipway {
namespace {

// Clients read `error` alone.
void WriteOipError(int status, const Error& error, HttpReply* reply) {
  reply->status = status;
  reply->content_type = "application/json";
  reply->body = DumpJson(
      {{"error", error.hint.empty() ? error.message : error.message + " (" + error.hint + ")"}});
}

class OipDialect : public TabularDialect {
 public:
  std::string_view verb() const override { return "infer"; }
  void WriteError(int status, const Error& error, HttpReply* reply) const override {
    WriteOipError(status, error, reply);
  }
  Status Answer(const HttpRequest& request, std::string_view body, TabularSession* session,
                HttpReply* reply) const override;
};

Status OipDialect::Answer(const HttpRequest& request, std::string_view body,
                          TabularSession* session, HttpReply* reply) const {
  const EndpointColumns& columns = session->columns();
  TextArena arena;
  ASSIGN_OR_RETURN(const OipRequest asked,
                   ParseOipRequest(body, request.Header("inference-header-content-length"),
                                   columns.inputs, &arena));
  RETURN_IF_ERROR(CheckOipOutputs(asked, columns));
  ASSIGN_OR_RETURN(OipRows rows, OipRows::Make(asked, columns.inputs, columns.looked_up));
  TabularAnswers answers(&columns);
  RETURN_IF_ERROR(session->Score(&rows, &answers));
  return WriteOipAnswer(asked, session->target().name, session->generation(), columns, answers,
                        reply);
}

// What follows /v2/models/M[/versions/V].
struct ModelPath {
  TabularTarget target;
  std::string_view action;  // "", "ready", "infer", "stats", ...
};

// "a%20b" -> "a b".
std::string Unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned char byte = 0;
    if (text[i] == '%' && i + 2 < text.size()) {
      const std::string digits(text.substr(i + 1, 2));
      char* end = nullptr;
      byte = static_cast<unsigned char>(std::strtoul(digits.c_str(), &end, 16));
      if (end == digits.c_str() + 2) {
        out.push_back(static_cast<char>(byte));
        i += 2;
        continue;
      }
    }
    out.push_back(text[i]);
  }
  return out;
}

// Whether a loaded generation predicts; empty: by any endpoint.
bool Predicts(const ServedService& service, std::string_view endpoint) {
  if (!service.enabled) return false;
  for (const ServedGeneration& each : service.generations) {
    for (int i = 0; i < each.generation->endpoint_count(); ++i) {
      const ServedEndpoint& one = each.generation->endpoint(i);
      if (one.Serves(Verb::kPredictMulti) && (endpoint.empty() || one.definition().id == endpoint))
        return true;
    }
  }
  return false;
}

// SERVICE, or SERVICE.ENDPOINT; names of both may have dots. The first that predicts, the service
// of the whole name before those of a longer and longer endpoint; when nothing does, the first
// service that there is.
void SplitModelName(const ServiceTable& table, TabularTarget* target) {
  const std::string_view name = target->name;
  size_t best = std::string_view::npos;
  bool found = false;
  for (size_t dot = name.size(); dot != std::string_view::npos && dot > 0;
       dot = name.rfind('.', dot - 1)) {
    const ServedService* const service = table.Find(name.substr(0, dot));
    if (service == nullptr) continue;
    const std::string_view endpoint = dot == name.size() ? "" : name.substr(dot + 1);
    const bool predicts = (dot == name.size() || !endpoint.empty()) && Predicts(*service, endpoint);
    if (!found || predicts) best = dot;
    found = true;
    if (predicts) break;
  }
  target->service = name.substr(0, best);
  if (best < name.size()) target->endpoint = name.substr(best + 1);
}

std::optional<ModelPath> ParseModelPath(std::string_view path, const ServiceTable& table) {
  constexpr std::string_view kModels = "/v2/models/";
  if (!path.starts_with(kModels)) return std::nullopt;
  std::vector<std::string> parts = Split(path.substr(kModels.size()), '/');
  ModelPath out;
  out.target.name = Unescape(parts[0]);
  size_t next = 1;
  if (parts.size() >= 3 && parts[1] == "versions") {
    out.target.generation = Unescape(parts[2]);
    next = 3;
  }
  if (parts.size() > next + 1) return std::nullopt;
  if (parts.size() == next + 1) out.action = path.substr(path.rfind('/') + 1);
  SplitModelName(table, &out.target);
  return out;
}

std::string NameOf(const TabularModel& model) {
  if (model.alone) return model.service->id;
  return model.service->id + "." + std::string(model.endpoint);
}

// Models by their names; a name that means another model is left out: nobody could ask for it.
std::vector<TabularModel> Named(std::vector<TabularModel> models, const ServiceTable& table) {
  std::erase_if(models, [&table](const TabularModel& model) {
    TabularTarget target;
    target.name = NameOf(model);
    SplitModelName(table, &target);
    return target.service != model.service->id;
  });
  return models;
}

Json Durations(int64_t count, int64_t nanos) { return {{"count", count}, {"ns", nanos}}; }

Json StatsOf(const TabularModel& model, const std::string& name) {
  const Generation& generation = *model.generation->generation;
  const auto index = static_cast<size_t>(generation.IndexOf(model.endpoint));
  const EndpointStats::Totals totals = model.generation->stats[index]->Sum();
  const int64_t good = totals.requests[static_cast<size_t>(Answered::kOk)];
  const int64_t all = totals.AllRequests();
  // One clock runs per request, whatever becomes of it.
  const int64_t good_ns =
      all == 0 ? 0
               : static_cast<int64_t>(static_cast<double>(totals.latency_ns) *
                                      (static_cast<double>(good) / static_cast<double>(all)));
  return {{"name", name},
          {"version", generation.id()},
          {"inference_count", totals.records},
          {"execution_count", all},
          {"inference_stats",
           {{"success", Durations(good, good_ns)},
            {"fail", Durations(all - good, totals.latency_ns - good_ns)},
            {"queue", Durations(0, 0)},
            {"compute_input", Durations(0, 0)},
            {"compute_infer", Durations(all, totals.latency_ns)},
            {"compute_output", Durations(0, 0)},
            {"cache_hit", Durations(0, 0)},
            {"cache_miss", Durations(0, 0)}}},
          {"batch_stats", Json::array()}};
}

}  // namespace

struct OipApi::State {
  State(NodeParts* node_parts, TabularCalls* shared) : parts(node_parts), calls(shared) {}

  void Health(std::string_view what, HttpReply* reply) const;
  HttpOutcome Model(const ModelPath& path, const ServiceTable& table, const HttpRequest& request,
                    HttpReply* reply, HttpExchange* exchange);
  void Metadata(const TabularModel& model, const std::string& name, HttpReply* reply) const;
  void AllStats(const ServiceTable& table, const HttpRequest& request, HttpReply* reply, int loop);
  void ModelList(const ServiceTable& table, const HttpRequest& request, HttpReply* reply, int loop);
  void Index(const ServiceTable& table, const HttpRequest& request, HttpReply* reply, int loop);
  // False: the method is another one, and the reply says so.
  static bool Takes(std::string_view method, const HttpRequest& request, HttpReply* reply);

  NodeParts* parts;
  TabularCalls* calls;
  OipDialect dialect;
};

bool OipApi::State::Takes(std::string_view method, const HttpRequest& request, HttpReply* reply) {
  if (request.method == method || (method == "GET" && request.method == "HEAD")) return true;
  reply->AddHeader("Allow", method);
  WriteOipError(405,
                InvalidArgument("the method is " + std::string(request.method.substr(0, 20)) +
                                    ", which this path does not take",
                                "use " + std::string(method)),
                reply);
  return false;
}

void OipApi::State::Health(std::string_view what, HttpReply* reply) const {
  std::string reason;
  const bool live = what == "live";
  const bool fine =
      live || (!parts->draining.load(std::memory_order_relaxed) && parts->state->Ready(&reason));
  // Triton's client looks at the status, KServe's at the body.
  reply->status = fine ? 200 : 503;
  reply->body =
      std::string("{\"") + (live ? "live" : "ready") + "\":" + (fine ? "true}" : "false}");
}

void OipApi::State::Metadata(const TabularModel& model, const std::string& name,
                             HttpReply* reply) const {
  const Generation& generation = *model.generation->generation;
  const Result<EndpointColumns> columns =
      ColumnsOfEndpoint(generation.endpoint(generation.IndexOf(model.endpoint)));
  if (!columns.ok()) return WriteOipError(500, columns.error(), reply);
  Json versions = Json::array();
  for (const ServedGeneration& each : model.service->generations) {
    if (each.generation->IndexOf(model.endpoint) >= 0) versions.push_back(each.generation->id());
  }
  reply->body = DumpJson({{"name", name},
                          {"versions", versions},
                          {"platform", "slipway"},
                          {"inputs", OipInputsJson(*columns)},
                          {"outputs", OipOutputsJson(*columns)},
                          {"parameters", {{"version", generation.id()}}}});
}

void OipApi::State::ModelList(const ServiceTable& table, const HttpRequest& request,
                              HttpReply* reply, int loop) {
  Json names = Json::array();
  for (const TabularModel& model : Named(calls->Models(table, loop, request), table))
    names.push_back(NameOf(model));
  reply->body = DumpJson({{"models", names}});
}

// {"ready": true} in the body asks for those alone, which changes nothing: what is listed is ready
// unless it is a version that could not be loaded.
void OipApi::State::Index(const ServiceTable& table, const HttpRequest& request, HttpReply* reply,
                          int loop) {
  Json list = Json::array();
  for (const TabularModel& model : Named(calls->Models(table, loop, request), table)) {
    for (const ServedGeneration& each : model.service->generations) {
      if (each.generation->IndexOf(model.endpoint) < 0) continue;
      list.push_back({{"name", NameOf(model)},
                      {"version", each.generation->id()},
                      {"state", "READY"},
                      {"reason", ""}});
    }
  }
  reply->body = DumpJson(list);
}

void OipApi::State::AllStats(const ServiceTable& table, const HttpRequest& request,
                             HttpReply* reply, int loop) {
  Json list = Json::array();
  for (const TabularModel& model : Named(calls->Models(table, loop, request), table))
    list.push_back(StatsOf(model, NameOf(model)));
  reply->body = DumpJson({{"model_stats", list}});
}

HttpOutcome OipApi::State::Model(const ModelPath& path, const ServiceTable& table,
                                 const HttpRequest& request, HttpReply* reply,
                                 HttpExchange* exchange) {
  if (path.action == "infer") {
    if (!Takes("POST", request, reply)) return HttpOutcome::kReplied;
    return calls->Run(path.target, dialect, request, reply, exchange);
  }
  const bool known = path.action.empty() || path.action == "ready" || path.action == "stats";
  if (!known) {
    WriteOipError(404,
                  NotFound("a model has no '" + std::string(path.action.substr(0, 60)) + "' here",
                           "use infer, ready or stats"),
                  reply);
    return HttpOutcome::kReplied;
  }
  if (!Takes("GET", request, reply)) return HttpOutcome::kReplied;
  int status = 0;
  Error error;
  const bool probe = path.action == "ready";
  const std::optional<TabularModel> model =
      calls->Find(table, path.target, exchange->loop(), request, probe, &status, &error);
  if (!model && probe && status == 503) {
    reply->status = 503;
    reply->body = DumpJson({{"name", path.target.name}, {"ready", false}});
  } else if (!model) {
    if (status == 401) reply->AddHeader("WWW-Authenticate", "Bearer realm=\"slipway\"");
    WriteOipError(status, error, reply);
  } else if (probe) {
    reply->body = DumpJson({{"name", path.target.name}, {"ready", true}});
  } else if (path.action == "stats") {
    reply->body = DumpJson({{"model_stats", {StatsOf(*model, path.target.name)}}});
  } else {
    Metadata(*model, path.target.name, reply);
  }
  return HttpOutcome::kReplied;
}

OipApi::OipApi(NodeParts* parts, TabularCalls* calls)
    : state_(std::make_unique<State>(parts, calls)) {}
OipApi::~OipApi() = default;

HttpOutcome OipApi::Handle(std::string_view path, const HttpRequest& request, HttpReply* reply,
                           HttpExchange* exchange) {
  const int loop = exchange->loop();
  reply->content_type = "application/json";
  const std::shared_ptr<const ServiceTable> table = state_->calls->table(loop);
  // A service named `stats` is reached as stats.ENDPOINT.
  if (const std::optional<ModelPath> model = ParseModelPath(path, *table);
      model && path != "/v2/models/stats")
    return state_->Model(*model, *table, request, reply, exchange);
  if (path == "/v2") {
    if (State::Takes("GET", request, reply))
      reply->body = DumpJson({{"name", "slipway"},
                              {"version", SLIPWAY_VERSION},
                              {"extensions", {"binary_tensor_data", "statistics"}}});
  } else if (path == "/v2/health/live" || path == "/v2/health/ready") {
    if (State::Takes("GET", request, reply)) state_->Health(path.substr(11), reply);
  } else if (path == "/v2/models") {
    if (State::Takes("GET", request, reply)) state_->ModelList(*table, request, reply, loop);
  } else if (path == "/v2/models/stats") {
    if (State::Takes("GET", request, reply)) state_->AllStats(*table, request, reply, loop);
  } else if (path == "/v2/repository/index") {
    if (State::Takes("POST", request, reply)) state_->Index(*table, request, reply, loop);
  } else if (path.starts_with("/v2/repository/")) {
    WriteOipError(501,
                  InvalidArgument("models are not loaded and unloaded this way",
                                  "the administration's API does it: see slipway-apinode admin"),
                  reply);
  } else {
    WriteOipError(404, NotFound("there is nothing at '" + std::string(path.substr(0, 200)) + "'"),
                  reply);
  }
  return HttpOutcome::kReplied;
}

}  // namespace slipway
