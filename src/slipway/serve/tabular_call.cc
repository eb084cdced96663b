#include "slipway/serve/tabular_call.h"

#include <chrono>
#include <functional>
#include <new>
#include <utility>

#include "slipway/base/clock.h"
#include "slipway/serve/tabular_session.h"

namespace slipway {
namespace {

Answered AnsweredWith(int status) {
  if (status < 400) return Answered::kOk;
  if (status == 503 || status == 504 || status == 429) return Answered::kRejected;
  return status < 500 ? Answered::kClientError : Answered::kServerError;
}

std::string_view AuthorizationOf(const HttpRequest& request) {
  return request.Header("authorization");
}

}  // namespace

struct TabularCalls::State {
  explicit State(NodeParts* node_parts);

  std::optional<TabularModel> Find(const ServiceTable& table, const TabularTarget& target,
                                   TabularThread* thread, const HttpRequest& request, bool open,
                                   TabularCall* scoring, int* status, Error* error);
  HttpOutcome Run(const TabularTarget& target, const TabularDialect& dialect,
                  const HttpRequest& request, HttpReply* reply, HttpExchange* exchange);
  HttpOutcome Defer(std::shared_ptr<TabularCall> call, double estimate, const std::string& headers,
                    HttpExchange* exchange);
  void Answer(int slot, const TabularCall& call, const HttpRequest& request, HttpReply* reply);
  void Work(int worker, TabularCall* call);
  void Refuse(int status, const Error& error, TabularCall* call);
  void Fail(int status, const Error& error, const TabularDialect& dialect, HttpReply* reply,
            int retry_seconds = 0) const;

  NodeParts* parts;
  std::vector<std::unique_ptr<TabularThread>> threads;  // loops, then workers
  RunningCalls running;
};

TabularCalls::State::State(NodeParts* node_parts) : parts(node_parts) {
  const bool open = IsOpen(parts->config);
  const auto seed = static_cast<uint64_t>(NowMicros()) * 0xD1B54A32D192ED03;
  for (int i = 0; i < parts->slots(); ++i) {
    threads.push_back(
        std::make_unique<TabularThread>(*parts, open, seed + (static_cast<uint64_t>(i) << 40)));
  }
}

void TabularCalls::State::Fail(int status, const Error& error, const TabularDialect& dialect,
                               HttpReply* reply, int retry_seconds) const {
  if (status == 503 || status == 504 || status == 429)
    reply->AddHeader(
        "Retry-After",
        std::to_string(retry_seconds > 0 ? retry_seconds : parts->admission->RetryAfterSeconds()));
  if (status == 401) AddAuthenticateHeaders(reply);
  reply->body.clear();
  dialect.WriteError(status, error, reply);
}

std::optional<TabularModel> TabularCalls::State::Find(
    const ServiceTable& table, const TabularTarget& target, TabularThread* thread,
    const HttpRequest& request, bool open, TabularCall* scoring, int* status, Error* error) {
  const auto refuse = [&](int code, Error why) {
    *status = code;
    *error = std::move(why);
    return std::nullopt;
  };
  TabularModel model;
  model.service = table.Find(target.service);
  if (model.service == nullptr)
    return refuse(404, NotFound("there is no model '" + target.name.substr(0, 200) + "' here",
                                "GET /v2/models lists them"));
  const ServedService& service = *model.service;
  // What is asked for decides about who may; what is wrong with it is for those alone.
  Dispatch dispatch;
  dispatch.forced_generation = target.generation;
  model.generation =
      service.Choose(dispatch, service.generations.size() > 1 ? thread->ids.Random() : 0);
  int predicting = 0;
  for (int i = 0; model.generation && i < model.generation->generation->endpoint_count(); ++i) {
    const ServedEndpoint& endpoint = model.generation->generation->endpoint(i);
    if (!endpoint.Serves(Verb::kPredictMulti)) continue;
    ++predicting;
    if (target.endpoint.empty() || endpoint.definition().id == target.endpoint)
      model.endpoint = endpoint.definition().id;
  }
  model.rules =
      service.RulesOf(predicting > 1 || model.endpoint.empty() ? target.endpoint : model.endpoint);
  if (!open) {
    const UserAccess access =
        thread->gate.Check(service, model.rules, AuthorizationOf(request), request.client_subject);
    if (access.status != 200)
      return refuse(access.status,
                    PermissionDenied(std::string(access.reason), std::string(access.hint)));
    if (model.generation != nullptr && !UserGate::MayUse(*model.generation, model.rules, access))
      return refuse(401, PermissionDenied(
                             "version '" + target.generation.substr(0, 128) + "' needs an API key",
                             "send the key as the user of Basic authentication, or as Bearer"));
    if (scoring != nullptr) {
      scoring->key_label = access.label;
      scoring->retry_seconds =
          thread->gate.SecondsToWait(model.rules, access, request.remote, request.arrived_ns);
      if (scoring->retry_seconds > 0)
        return refuse(429, Unavailable("this caller asks more often than the service allows"));
    }
  }
  if (!service.enabled) return refuse(503, Unavailable("service '" + service.id + "' is disabled"));
  if (model.generation == nullptr) {
    if (!target.generation.empty())
      return refuse(404, NotFound("model '" + target.name.substr(0, 200) + "' has no version '" +
                                  target.generation.substr(0, 128) + "' loaded"));
    return refuse(503, Unavailable("no generation of service '" + service.id + "' serves"));
  }
  model.alone = predicting == 1;
  if (model.endpoint.empty())
    return refuse(404, NotFound("service '" + service.id + "' has no endpoint '" +
                                target.endpoint.substr(0, 128) + "' that predicts"));
  if (target.endpoint.empty() && !model.alone)
    return refuse(404, NotFound("service '" + service.id + "' has " + std::to_string(predicting) +
                                    " endpoints that predict",
                                "name one of them, such as '" + service.id + "." +
                                    std::string(model.endpoint) + "'"));
  return model;
}

void TabularCalls::State::Answer(int slot, const TabularCall& call, const HttpRequest& request,
                                 HttpReply* reply) {
  TabularThread& thread = *threads[static_cast<size_t>(slot)];
  std::string_view body = request.body;
  Result<std::shared_ptr<const EndpointColumns>> columns =
      thread.ColumnsOf(call.model.generation->generation, call.endpoint_index);
  int status = 200;
  int64_t records = 0, ignored = 0, failed = 0;
  std::optional<LiveTabularSession> session;
  const auto run = [&]() -> Status {
    if (!columns.ok()) return columns.error();
    session.emplace(parts, &thread, &call, slot, request.arrived_ns, *columns);
    const std::string_view coding = request.Header("content-encoding");
    if (coding == "gzip" || coding == "deflate") {
      Result<std::string_view> inflated =
          InflateBody(body, parts->config.body_bytes, &thread.inflated);
      if (!inflated.ok()) {
        if (inflated.error().message.find("larger") != std::string::npos) status = 413;
        return inflated.error();
      }
      body = *inflated;
    }
    Status answered = call.dialect->Answer(request, body, &*session, reply);
    records = session->records();
    ignored = session->ignored();
    failed = session->failed();
    if (!answered.ok() && session->status() != 0) status = session->status();
    return answered;
  };
  if (const Status answered = run(); !answered.ok()) {
    if (status == 200) status = ErrorStatus(answered.error().code);
    Fail(status, answered.error(), *call.dialect, reply);
    if (session) session->LogRefusal(status, answered.error());
  }
  call.stats().Observe(slot, AnsweredWith(status), TabularNanos() - request.arrived_ns, records,
                       ignored, failed);
}

void TabularCalls::State::Refuse(int status, const Error& error, TabularCall* call) {
  Fail(status, error, *call->dialect, call->pending->reply());
  call->stats().Observe(call->slot, Answered::kRejected,
                        TabularNanos() - call->pending->request().arrived_ns, 0, 0, 0);
  call->pending->Send();
}

void TabularCalls::State::Work(int worker, TabularCall* call) {
  HttpReply* const reply = call->pending->reply();
  try {
    if (call->pending
            ->abandoned()) {  // nobody waits for it, unless only the sending half is closed
      Fail(503, Unavailable("the connection was half closed before the request had its turn"),
           *call->dialect, reply);
      reply->close = true;
    } else {
      Answer(parts->loops + worker, *call, call->pending->request(), reply);
    }
  } catch (const std::bad_alloc&) {
    AnswerNoMemory(reply, [&] {
      Fail(503,
           Unavailable("there is not enough memory for this request", "send fewer rows at a time"),
           *call->dialect, reply);
    });
  }
  call->place.Leave();
  call->pending->Send();
}

// `headers`: those of the answer so far.
HttpOutcome TabularCalls::State::Defer(std::shared_ptr<TabularCall> call, double estimate,
                                       const std::string& headers, HttpExchange* exchange) {
  const ServiceSettings& settings = *call->model.rules.settings;
  call->slot = exchange->loop();
  const std::string kept = headers;  // they lie in what Defer takes away
  call->pending = exchange->Defer();
  call->pending->reply()->headers = kept;
  auto place = running.Enter(*call->model.rules.running_as, settings.max_concurrent);
  if (!place) {
    Refuse(429,
           Unavailable("'" + *call->model.rules.running_as +
                       "' is at work on as many requests as it may be (max_concurrent)"),
           call.get());
    return HttpOutcome::kDeferred;
  }
  call->place = *std::move(place);
  const double deadline =
      settings.deadline_ms > 0 ? settings.deadline_ms : parts->config.admission.deadline_ms;
  const Admitted admitted = parts->admission->Submit(
      estimate, deadline, [this, call](int worker, int64_t) { Work(worker, call.get()); },
      [this, call] {
        call->slot = parts->loops;  // not on the loop's thread
        call->place.Leave();
        Refuse(504, DeadlineExceeded("the request waited longer than its deadline"), call.get());
      });
  if (admitted == Admitted::kYes) return HttpOutcome::kDeferred;
  call->place.Leave();
  if (admitted == Admitted::kShuttingDown) call->pending->reply()->close = true;
  call->pending->reply()->overloaded = true;
  Refuse(503,
         Unavailable(admitted == Admitted::kQueueFull ? "too many requests wait already"
                     : admitted == Admitted::kTooLate ? "the request would wait too long"
                                                      : "the node is shutting down",
                     "try again later, or ask another node"),
         call.get());
  return HttpOutcome::kDeferred;
}

HttpOutcome TabularCalls::State::Run(const TabularTarget& target, const TabularDialect& dialect,
                                     const HttpRequest& request, HttpReply* reply,
                                     HttpExchange* exchange) {
  const int slot = exchange->loop();
  TabularThread& thread = *threads[static_cast<size_t>(slot)];
  const UserHeaders headers = ReadUserHeaders(request);
  auto call = std::make_shared<TabularCall>();
  call->request_id = headers.request_id.empty() ? thread.ids.Next() : headers.request_id;
  call->trace_id = headers.trace_id();
  reply->AddHeader("X-Request-Id", call->request_id);
  AddTraceContext(headers, reply);
  call->table = thread.reader.Refresh();
  call->target = target;
  call->dialect = &dialect;
  int status = 0;
  Error error;
  std::optional<TabularModel> model =
      Find(*call->table, target, &thread, request, false, call.get(), &status, &error);
  if (!model) {
    parts->refusals.Count(call->table->Find(target.service) != nullptr ? target.service : "",
                          status);
    Fail(status, error, dialect, reply, call->retry_seconds);
    return HttpOutcome::kReplied;
  }
  const std::string_view coding = headers.content_encoding;
  const bool encoded = !IsIdentityCoding(coding);
  if (encoded && !IsGzipCoding(coding) && !IsDeflateCoding(coding)) {
    parts->refusals.Count(model->service->id, 415);
    Fail(415,
         InvalidArgument(
             "the Content-Encoding '" + std::string(coding.substr(0, 40)) + "' is not read here",
             "send the body as it is, or with gzip or deflate"),
         dialect, reply);
    return HttpOutcome::kReplied;
  }
  call->model = *model;
  const Generation& generation = *model->generation->generation;
  call->endpoint_index = generation.IndexOf(model->endpoint);
  EndpointCall asked;
  asked.verb = Verb::kPredictMulti;
  asked.input = request.body;
  const double estimate = generation.endpoint(call->endpoint_index).EstimateMicros(asked);
  if (encoded || estimate > parts->config.admission.inline_micros)
    return Defer(std::move(call), estimate, reply->headers, exchange);
  Answer(slot, *call, request, reply);
  return HttpOutcome::kReplied;
}

TabularCalls::TabularCalls(NodeParts* parts) : state_(std::make_unique<State>(parts)) {}
TabularCalls::~TabularCalls() = default;

HttpOutcome TabularCalls::Run(const TabularTarget& target, const TabularDialect& dialect,
                              const HttpRequest& request, HttpReply* reply,
                              HttpExchange* exchange) {
  return state_->Run(target, dialect, request, reply, exchange);
}

std::shared_ptr<const ServiceTable> TabularCalls::table(int loop) {
  return state_->threads[static_cast<size_t>(loop)]->reader.Refresh();
}

std::vector<TabularModel> TabularCalls::Models(const ServiceTable& table, int loop,
                                               const HttpRequest& request) {
  TabularThread& thread = *state_->threads[static_cast<size_t>(loop)];
  std::vector<TabularModel> models;
  for (const auto& [id, service] : table.services) {
    if (!service.enabled) continue;
    const ServedGeneration* served = service.Choose({}, 0);
    if (served == nullptr) continue;
    const size_t first = models.size();
    int predicting = 0;
    for (int i = 0; i < served->generation->endpoint_count(); ++i) {
      const ServedEndpoint& endpoint = served->generation->endpoint(i);
      if (!endpoint.Serves(Verb::kPredictMulti)) continue;
      ++predicting;
      const std::string& name = endpoint.definition().id;
      const CallRules rules = service.RulesOf(name);
      if (thread.gate.Check(service, rules, AuthorizationOf(request), request.client_subject)
              .status == 200)
        models.push_back({&service, served, name, rules, false});
    }
    if (predicting == 1 && models.size() == first + 1) models.back().alone = true;
  }
  return models;
}

std::optional<TabularModel> TabularCalls::Find(const ServiceTable& table,
                                               const TabularTarget& target, int loop,
                                               const HttpRequest& request, bool open, int* status,
                                               Error* error) {
  return state_->Find(table, target, state_->threads[static_cast<size_t>(loop)].get(), request,
                      open, nullptr, status, error);
}

void TabularCalls::Tick(int loop) { state_->threads[static_cast<size_t>(loop)]->reader.Refresh(); }

}  // namespace slipway
