// The user API: from a request to the answer of an endpoint. A loop's thread answers what is short
// itself, everything else goes to a worker.
#include <memory>
#include <string>
#include <vector>

#include "slipway/base/clock.h"
#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/serve/answer_writer.h"
#include "slipway/serve/json_text.h"
#include "slipway/serve/openapi_merge.h"
#include "slipway/serve/openapi_v2.h"
#include "slipway/serve/user_api_parts.h"

namespace slipway {
namespace {

void AppendTiming(std::string_view name, int64_t value, std::string* out) {
  out->append(name);
  AppendJsonInt(value, out);
}

// What follows the result; the names need no escapes (IsValidName). At most kAnswerTail bytes.
void AppendTail(const CallTiming& timing, std::string_view service, std::string_view endpoint,
                std::string_view generation, std::string* out) {
  AppendTiming(",\"timing\":{\"preProcessing\":", timing.pre_processing, out);
  AppendTiming(",\"wait\":", timing.wait, out);
  AppendTiming(",\"enrich\":", timing.enrich, out);
  AppendTiming(",\"preparation\":", timing.preparation, out);
  AppendTiming(",\"prediction\":", timing.prediction, out);
  AppendTiming(",\"postProcessing\":", timing.post_processing, out);
  out->append("},\"apiContext\":{\"serviceId\":\"");
  out->append(service);
  out->append("\",\"endpointId\":\"");
  out->append(endpoint);
  out->append("\",\"serviceGeneration\":\"");
  out->append(generation);
  out->append("\"}}");
}

Answered HowAnswered(int status) {
  if (status < 400) return Answered::kOk;
  if (status == 503 || status == 504 || status == 429) return Answered::kRejected;
  return status < 500 ? Answered::kClientError : Answered::kServerError;
}

}  // namespace

UserApi::State::State(NodeParts* node_parts) : parts(node_parts) {
  const bool open = IsOpen(parts->config);
  const auto seed = static_cast<uint64_t>(NowMicros()) * 0x9E3779B97F4A7C15;
  for (int i = 0; i < parts->slots(); ++i) {
    threads.push_back(
        std::make_unique<UserThread>(*parts, open, seed + (static_cast<uint64_t>(i) << 40)));
  }
}

void UserApi::State::Fail(int status, const Error& error, const UserCall& call,
                          HttpReply* reply) const {
  if (status == 503 || status == 504 || status == 429)
    reply->AddHeader("Retry-After", std::to_string(parts->admission->RetryAfterSeconds()));
  if (status == 401) AddAuthenticateHeaders(reply);
  WriteError(status, error, call.request_id, reply);
  if (call.endpoint_index < 0)
    parts->refusals.Count(call.service != nullptr ? call.service->id : "", status);
}

// The service, whether the caller may ask it, and the method. False: the reply is the refusal.
bool UserApi::State::FindService(const UserRoute& route, const HttpRequest& request,
                                 const ServiceTable& table, UserThread* thread,
                                 const UserHeaders& headers, UserCall* call, HttpReply* reply) {
  call->service = table.Find(route.service);
  if (call->service == nullptr) {
    Fail(404,
         NotFound("there is no service '" + std::string(route.service.substr(0, 128)) + "' here",
                  "/ and /openapi.json list the services"),
         *call, reply);
    return false;
  }
  call->rules = call->service->RulesOf(route.openapi ? std::string_view() : route.endpoint);
  const UserAccess access = thread->gate.Check(*call->service, call->rules, headers.authorization,
                                               request.client_subject);
  if (access.status != 200) {
    Fail(access.status, PermissionDenied(std::string(access.reason), std::string(access.hint)),
         *call, reply);
    return false;
  }
  if (const int wait =
          thread->gate.SecondsToWait(call->rules, access, request.remote, request.arrived_ns);
      wait > 0) {
    reply->AddHeader("Retry-After", std::to_string(wait));
    WriteError(429, Unavailable("this caller asks more often than the service allows"),
               call->request_id, reply);
    parts->refusals.Count(call->service->id, 429);
    return false;
  }
  call->access = access;
  call->key_label = access.label;
  if (!call->service->enabled) {
    Fail(503, Unavailable("service '" + call->service->id + "' is disabled"), *call, reply);
    return false;
  }
  if (!route.known_verb && !route.openapi) {
    Fail(404,
         NotFound("there is no '" + std::string(route.verb_name.substr(0, 60)) + "' of an endpoint",
                  "use predict, predict-multi, predict-simple, lookup or lookup-multi"),
         *call, reply);
    return false;
  }
  const bool get = route.openapi || route.verb == Verb::kPredictSimple;
  if (request.method != (get ? "GET" : "POST") && !(route.openapi && request.method == "HEAD")) {
    reply->AddHeader("Allow", route.openapi ? "GET, HEAD" : get ? "GET" : "POST");
    Fail(405,
         InvalidArgument("the method is " + std::string(request.method.substr(0, 20)) +
                             ", which this path does not take",
                         get ? "use GET" : "use POST"),
         *call, reply);
    return false;
  }
  return true;
}

// The generation and the endpoint in it. False: the reply is the refusal.
bool UserApi::State::Choose(std::string_view body, UserThread* thread, UserCall* call,
                            HttpReply* reply) {
  Dispatch dispatch;
  if (std::optional<Error> error = thread->dispatch.Read(body, &dispatch)) {
    Fail(400, *error, *call, reply);
    return false;
  }
  const ServedService& service = *call->service;
  const bool random = service.generations.size() > 1;
  call->generation = service.Choose(dispatch, random ? thread->ids.Random() : 0);
  if (call->generation == nullptr) {
    if (!dispatch.forced_generation.empty()) {
      std::vector<std::string> loaded;
      for (const ServedGeneration& each : service.generations)
        loaded.push_back(each.generation->id());
      Fail(404,
           NotFound("service '" + service.id + "' has no generation '" +
                        std::string(dispatch.forced_generation.substr(0, 128)) + "' loaded",
                    "loaded: " + (loaded.empty() ? "none" : Join(loaded, ", "))),
           *call, reply);
    } else {
      Fail(503, Unavailable("no generation of service '" + service.id + "' serves"), *call, reply);
    }
    return false;
  }
  const Generation& generation = *call->generation->generation;
  if (!UserGate::MayUse(*call->generation, call->rules, call->access)) {
    Fail(401,
         PermissionDenied("generation '" + generation.id() + "' of service '" + service.id +
                              "' needs an API key",
                          "send the key as the user of Basic authentication, or as Bearer"),
         *call, reply);
    return false;
  }
  const int index = generation.IndexOf(call->endpoint);
  if (index >= 0 && generation.endpoint(index).Serves(call->verb)) {
    call->endpoint_index = index;
    return true;
  }
  std::vector<std::string> names;
  for (const PackageEndpoint& endpoint : generation.manifest().endpoints)
    names.push_back(endpoint.id);
  const std::string where = "generation '" + generation.id() + "' of service '" + service.id + "'";
  const std::string name(call->endpoint.substr(0, 128));
  if (index < 0) {
    Fail(404, NotFound(where + " has no endpoint '" + name + "'", DidYouMean(name, names)), *call,
         reply);
  } else {
    const auto type = generation.endpoint(index).definition().type;
    Fail(404,
         NotFound("endpoint '" + name + "' is a " + std::string(EndpointTypeName(type)) +
                      " endpoint and has no '" + std::string(call->verb_name) + "'",
                  type == EndpointType::kLookup ? "use lookup or lookup-multi"
                                                : "use predict or predict-multi"),
         *call, reply);
  }
  return false;
}

bool UserApi::State::ShouldLog(const ServiceSettings& settings, UserThread* thread) const {
  if (!parts->config.query_log.enabled || parts->query_log == nullptr) return false;
  const double share = settings.log_sample >= 0 ? settings.log_sample : parts->config.log_sample;
  return share >= 1 || (share > 0 && thread->ids.Random() < share);
}

EndpointCall UserApi::State::AskedOf(const UserCall& call, std::string_view input,
                                     int64_t arrived_ns) const {
  const int64_t service_most = call.rules.settings->max_records;
  EndpointCall asked;
  asked.verb = call.verb;
  asked.input = input;
  asked.arrived_ns = arrived_ns;
  asked.max_records = service_most > 0 ? service_most : parts->config.max_records;
  return asked;
}

void UserApi::State::AnswerCall(int slot, std::string_view input, int64_t arrived_ns,
                                const UserCall& call, HttpReply* reply) {
  UserThread& thread = *threads[static_cast<size_t>(slot)];
  const ServedEndpoint& endpoint = call.generation->generation->endpoint(call.endpoint_index);
  std::unique_ptr<EndpointScratch> own;
  EndpointScratch* const scratch = endpoint.ScratchOf(slot, &own);
  const GatheredCall asked{AskedOf(call, input, arrived_ns), &reply->body,
                           ShouldLog(*call.rules.settings, &thread), &thread.outcome};
  thread.outcome.Clear();
  reply->body.assign(1, '{');
  endpoint.Answer(asked.call, scratch, asked.out, asked.log, asked.outcome);
  FinishCall(slot, call, asked, reply);
}

void UserApi::State::FinishCall(int slot, const UserCall& call, const GatheredCall& answered,
                                HttpReply* reply) {
  UserThread& thread = *threads[static_cast<size_t>(slot)];
  const ServedService& service = *call.service;
  const std::string& generation = call.generation->generation->id();
  CallOutcome& outcome = *answered.outcome;
  outcome.timing.wait = call.wait_us;
  int status = 200;
  if (outcome.error) {
    status = outcome.status != 0 ? outcome.status : ErrorStatus(outcome.error->code);
    Fail(status, *outcome.error, call, reply);
  } else {
    if (!service.settings.shadow.empty() && parts->shadow != nullptr)
      parts->shadow->Offer({&service, call.generation, call.endpoint, call.verb,
                            answered.call.input, std::string_view(reply->body).substr(1)},
                           thread.ids.Random());
    AppendTail(outcome.timing, service.id, call.endpoint, generation, &reply->body);
  }
  const int64_t latency_ns = SteadyNanos() - answered.call.arrived_ns;
  call.generation->stats[static_cast<size_t>(call.endpoint_index)]->Observe(
      slot, HowAnswered(status), latency_ns, outcome.records, outcome.ignored, outcome.failed);
  if (answered.log) Log(slot, status, latency_ns, call, outcome);
}

void UserApi::State::Log(int slot, int status, int64_t latency_ns, const UserCall& call,
                         const CallOutcome& outcome) {
  LoggedQuery query;
  const std::string error_type = outcome.error ? AnswerErrorType(outcome.error->code) : "";
  query.error_type = error_type;
  if (outcome.error) query.error_message = outcome.error->message;
  query.status = status;
  query.time_micros = NowMicros();
  query.request_id = call.request_id;
  query.service = call.service->id;
  query.endpoint = call.endpoint;
  query.generation = call.generation->generation->id();
  query.key_label = call.key_label;
  query.trace_id = call.trace_id;
  query.verb = call.verb_name;
  query.latency_us = latency_ns / 1000;
  // What was refused as a whole has no records: its body may be anything.
  if (status == 200) query.records = outcome.logged;
  query.redact = call.service->settings.redact;
  parts->query_log->Submit(slot, query);
}

HttpOutcome UserApi::State::Handle(std::string_view path, const HttpRequest& request,
                                   HttpReply* reply, HttpExchange* exchange) {
  const int slot = exchange->loop();
  UserThread& thread = *threads[static_cast<size_t>(slot)];
  const UserHeaders headers = ReadUserHeaders(request);
  UserCall call;
  call.request_id = headers.request_id.empty() ? thread.ids.Next() : headers.request_id;
  call.trace_id = headers.trace_id();
  reply->content_type = "application/json";
  AddVersionHeaders(reply);
  reply->headers.append("X-Request-Id: ");
  reply->headers.append(call.request_id);
  reply->headers.append("\r\n");
  AddTraceContext(headers, reply);

  const UserRoute route = ParseUserRoute(path);
  call.endpoint = route.endpoint;
  call.verb = route.verb;
  call.verb_name = VerbText(route.verb);
  const std::shared_ptr<const ServiceTable>& table = thread.reader.Refresh();
  if (!FindService(route, request, *table, &thread, headers, &call, reply))
    return HttpOutcome::kReplied;
  if (route.openapi) {
    const ServedGeneration* const generation = call.service->Choose({}, 0);
    if (generation == nullptr) {
      Fail(503, Unavailable("no generation of service '" + call.service->id + "' serves"), call,
           reply);
    } else {
      const Generation& served = *generation->generation;
      const Json openapi = ServedOpenApi(
          {call.service->id, &served.openapi(), served.service(), [&](std::string_view endpoint) {
             return EndpointSecurity(*call.service, endpoint, AsksNobody(parts->config));
           }});
      reply->body = DumpJson(route.endpoint == "swagger" ? ToSwagger2(openapi) : openapi);
    }
    return HttpOutcome::kReplied;
  }
  if (!IsIdentityCoding(headers.content_encoding)) {
    if (!IsGzipCoding(headers.content_encoding)) {
      Fail(415,
           InvalidArgument("the Content-Encoding '" +
                               std::string(headers.content_encoding.substr(0, 40)) +
                               "' is not read here",
                           "send the body as it is, or with gzip"),
           call, reply);
      return HttpOutcome::kReplied;
    }
    return Defer(call, table, static_cast<double>(request.body.size()) * 0.1, request.arrived_ns,
                 reply, exchange);
  }
  const bool simple = call.verb == Verb::kPredictSimple;
  const std::string_view input = simple ? request.query : request.body;
  if (!Choose(simple ? std::string_view() : input, &thread, &call, reply))
    return HttpOutcome::kReplied;
  EndpointCall asked;
  asked.verb = call.verb;
  asked.input = input;
  const double estimate =
      call.generation->generation->endpoint(call.endpoint_index).EstimateMicros(asked);
  if (estimate > parts->config.admission.inline_micros)
    return Defer(call, table, estimate, request.arrived_ns, reply, exchange);
  AnswerCall(slot, input, request.arrived_ns, call, reply);
  return HttpOutcome::kReplied;
}

UserApi::UserApi(NodeParts* parts) : state_(std::make_unique<State>(parts)) {}
UserApi::~UserApi() = default;

HttpOutcome UserApi::Handle(std::string_view path, const HttpRequest& request, HttpReply* reply,
                            HttpExchange* exchange) {
  return state_->Handle(path, request, reply, exchange);
}

// So that an idle loop does not keep models that are no longer served. Workers take the table with
// their requests.
void UserApi::Tick(int loop) { state_->threads[static_cast<size_t>(loop)]->reader.Refresh(); }

}  // namespace slipway
