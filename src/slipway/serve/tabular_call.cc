#include "slipway/serve/tabular_call.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <new>
#include <utility>

#include "slipway/base/clock.h"
#include "slipway/base/mutex.h"
#include "slipway/base/text.h"
#include "slipway/serve/json_text.h"
#include "slipway/serve/listen_address.h"

namespace slipway {
namespace {

// A part of the rows that is scored at once: bounds the text that names blow up, and fills a batch.
constexpr int64_t kPartRows = 2048;
constexpr size_t kPartBytes = size_t{4} << 20;
constexpr size_t kKeptColumns = 8;

int64_t NanosNow() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

Answered AnsweredWith(int status) {
  if (status < 400) return Answered::kOk;
  if (status == 503 || status == 504 || status == 429) return Answered::kRejected;
  return status < 500 ? Answered::kClientError : Answered::kServerError;
}

bool SameOwner(const std::weak_ptr<const Generation>& a,
               const std::shared_ptr<const Generation>& b) {
  return !a.owner_before(b) && !b.owner_before(a);
}

// What one thread of the node keeps between requests.
struct alignas(64) TabularThread {
  TabularThread(const NodeParts& parts, bool open, uint64_t seed)
      : reader(&parts.state->tables()),
        gate(parts.keys.get(), open, parts.tokens.get(), parts.rates.get()),
        ids(seed) {}

  struct Kept {
    std::weak_ptr<const Generation> generation;  // does not keep old models in memory
    int endpoint = -1;
    std::shared_ptr<const EndpointColumns> columns;
  };
  Result<std::shared_ptr<const EndpointColumns>> ColumnsOf(
      const std::shared_ptr<const Generation>& generation, int endpoint);

  ServiceTableReader reader;
  UserGate gate;
  RequestIds ids;
  CallOutcome outcome;
  std::string inflated, items, results;
  std::vector<Kept> kept;
};

Result<std::shared_ptr<const EndpointColumns>> TabularThread::ColumnsOf(
    const std::shared_ptr<const Generation>& generation, int endpoint) {
  for (const Kept& each : kept) {
    if (each.endpoint == endpoint && SameOwner(each.generation, generation)) return each.columns;
  }
  ASSIGN_OR_RETURN(EndpointColumns columns, ColumnsOfEndpoint(generation->endpoint(endpoint)));
  if (kept.size() >= kKeptColumns) kept.erase(kept.begin());
  kept.push_back(
      {generation, endpoint, std::make_shared<const EndpointColumns>(std::move(columns))});
  return kept.back().columns;
}

// A request whose model is known; the table keeps everything that it points to.
struct TabularCall {
  std::shared_ptr<const ServiceTable> table;
  TabularTarget target;
  TabularModel model;
  const TabularDialect* dialect = nullptr;
  int endpoint_index = -1;
  int slot = 0;  // of the loop that it came from
  std::string request_id, trace_id, key_label;
  int retry_seconds = 0;                 // the caller asks too often
  std::unique_ptr<HttpPending> pending;  // when a worker answers it
  std::shared_ptr<std::atomic<int>> running;

  EndpointStats& stats() const {
    return *model.generation->stats[static_cast<size_t>(endpoint_index)];
  }
};

class LiveSession : public TabularSession {
 public:
  LiveSession(NodeParts* parts, TabularThread* thread, const TabularCall* call, int slot,
              std::shared_ptr<const EndpointColumns> columns)
      : parts_(parts), thread_(thread), call_(call), slot_(slot), columns_(std::move(columns)) {}

  const EndpointColumns& columns() const override { return *columns_; }
  const TabularTarget& target() const override { return call_->target; }
  std::string_view generation() const override { return call_->model.generation->generation->id(); }
  Status Score(TabularRows* rows, TabularAnswers* answers) override;
  void SetStatus(int status) override { reported_ = status; }

  int status() const { return reported_; }
  int64_t records() const { return records_; }
  int64_t ignored() const { return ignored_; }
  int64_t failed() const { return failed_; }

 private:
  Status Part(int64_t count, EndpointScratch* scratch, bool log, TabularAnswers* answers);
  bool ShouldLog() const;
  void Log();

  NodeParts* parts_;
  TabularThread* thread_;
  const TabularCall* call_;
  int slot_;
  std::shared_ptr<const EndpointColumns> columns_;
  int reported_ = 0;
  int64_t records_ = 0, ignored_ = 0, failed_ = 0;
  int64_t started_ns_ = 0;
};

bool LiveSession::ShouldLog() const {
  if (!parts_->config.query_log.enabled || parts_->query_log == nullptr) return false;
  const ServiceSettings& settings = call_->model.service->settings;
  const double share = settings.log_sample >= 0 ? settings.log_sample : parts_->config.log_sample;
  return share >= 1 || (share > 0 && thread_->ids.Random() < share);
}

void LiveSession::Log() {
  LoggedQuery query;
  query.time_micros = NowMicros();
  query.request_id = call_->request_id;
  query.service = call_->model.service->id;
  query.endpoint = call_->model.endpoint;
  query.generation = generation();
  query.key_label = call_->key_label;
  query.trace_id = call_->trace_id;
  query.verb = call_->dialect->verb();
  query.latency_us = (NanosNow() - started_ns_) / 1000;
  query.records = thread_->outcome.logged;
  query.redact = call_->model.service->settings.redact;
  parts_->query_log->Submit(slot_, query);
}

Status LiveSession::Score(TabularRows* rows, TabularAnswers* answers) {
  const int64_t of_service = call_->model.service->settings.max_records;
  const int64_t most = of_service > 0 ? of_service : parts_->config.max_records;
  if (most > 0 && rows->rows() > most) {
    reported_ = 413;
    return InvalidArgument("the request has " + std::to_string(rows->rows()) +
                               " rows, more than the " + std::to_string(most) + " it may have",
                           "send them in several requests, or raise max_records");
  }
  const ServedEndpoint& endpoint =
      call_->model.generation->generation->endpoint(call_->endpoint_index);
  std::unique_ptr<EndpointScratch> own;
  if (slot_ >= kEndpointSlots) own = endpoint.MakeScratch();
  EndpointScratch* const scratch = own != nullptr ? own.get() : endpoint.ScratchOf(slot_);
  const bool log = ShouldLog();
  std::string& items = thread_->items;
  for (;;) {
    started_ns_ = NanosNow();
    items = R"({"explanations":{"enabled":false},"items":[)";
    const int64_t count = rows->AppendItems(kPartRows, kPartBytes, &items);
    if (count == 0) return {};
    RETURN_IF_ERROR(Part(count, scratch, log, answers));
  }
}

Status LiveSession::Part(int64_t count, EndpointScratch* scratch, bool log,
                         TabularAnswers* answers) {
  std::string& items = thread_->items;
  std::string& results = thread_->results;
  CallOutcome& outcome = thread_->outcome;
  items += "]}";
  const size_t size = items.size();
  items.append(kHttpPadding, ' ');
  EndpointCall asked;
  asked.verb = Verb::kPredictMulti;
  asked.input = std::string_view(items).substr(0, size);
  asked.arrived_ns = started_ns_;
  outcome.Clear();
  results.assign(1, '{');
  call_->model.generation->generation->endpoint(call_->endpoint_index)
      .Answer(asked, scratch, &results, log, &outcome);
  if (outcome.error) {
    reported_ = outcome.status;
    return std::move(*outcome.error);
  }
  const ServedService& service = *call_->model.service;
  if (!service.settings.shadow.empty() && parts_->shadow != nullptr)
    parts_->shadow->Offer({&service, call_->model.generation, call_->model.endpoint,
                           Verb::kPredictMulti, asked.input, std::string_view(results).substr(1)},
                          thread_->ids.Random());
  records_ += outcome.records;
  ignored_ += outcome.ignored;
  failed_ += outcome.failed;
  results.push_back('}');
  const size_t answered = results.size();
  results.append(kHttpPadding, ' ');  // less than kAnswerTail: the logged views stay
  const int64_t before = answers->rows();
  RETURN_IF_ERROR(answers->Append(std::string_view(results).substr(0, answered)));
  if (answers->rows() - before != count)
    return Internal("an endpoint answered " + std::to_string(answers->rows() - before) + " of " +
                    std::to_string(count) + " records");
  if (log) Log();
  return {};
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
  std::shared_ptr<std::atomic<int>> RunningOf(const std::string& service);

  NodeParts* parts;
  std::vector<std::unique_ptr<TabularThread>> threads;  // loops, then workers
  Mutex mutex;
  std::map<std::string, std::shared_ptr<std::atomic<int>>> running GUARDED_BY(mutex);
};

TabularCalls::State::State(NodeParts* node_parts) : parts(node_parts) {
  bool open = true;
  for (const ListenAddress& address : parts->config.listen) open = open && IsLoopback(address);
  open = open || parts->config.allow_public;
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
  if (status == 401) {
    reply->AddHeader("WWW-Authenticate", "Basic realm=\"slipway\", charset=\"UTF-8\"");
    reply->AddHeader("WWW-Authenticate", "Bearer realm=\"slipway\"");
  }
  reply->body.clear();
  dialect.WriteError(status, error, reply);
}

std::shared_ptr<std::atomic<int>> TabularCalls::State::RunningOf(const std::string& service) {
  MutexLock lock(mutex);
  std::shared_ptr<std::atomic<int>>& counter = running[service];
  if (counter == nullptr) counter = std::make_shared<std::atomic<int>>(0);
  return counter;
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
  if (!open) {
    const UserAccess access =
        thread->gate.Check(service, AuthorizationOf(request), request.client_subject);
    if (access.status != 200)
      return refuse(access.status,
                    PermissionDenied(std::string(access.reason), std::string(access.hint)));
    if (scoring != nullptr) {
      scoring->key_label = access.label;
      scoring->retry_seconds =
          thread->gate.SecondsToWait(service, access, request.remote, request.arrived_ns);
      if (scoring->retry_seconds > 0)
        return refuse(429, Unavailable("this caller asks more often than the service allows"));
    }
  }
  if (!service.enabled) return refuse(503, Unavailable("service '" + service.id + "' is disabled"));
  Dispatch dispatch;
  dispatch.forced_generation = target.generation;
  model.generation =
      service.Choose(dispatch, service.generations.size() > 1 ? thread->ids.Random() : 0);
  if (model.generation == nullptr) {
    if (!target.generation.empty())
      return refuse(404, NotFound("model '" + target.name.substr(0, 200) + "' has no version '" +
                                  target.generation.substr(0, 128) + "' loaded"));
    return refuse(503, Unavailable("no generation of service '" + service.id + "' serves"));
  }
  const Generation& generation = *model.generation->generation;
  int predicting = 0;
  for (int i = 0; i < generation.endpoint_count(); ++i) {
    const ServedEndpoint& endpoint = generation.endpoint(i);
    if (!endpoint.Serves(Verb::kPredictMulti)) continue;
    ++predicting;
    if (target.endpoint.empty() || endpoint.definition().id == target.endpoint)
      model.endpoint = endpoint.definition().id;
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
  const auto run = [&]() -> Status {
    if (!columns.ok()) return columns.error();
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
    LiveSession session(parts, &thread, &call, slot, *columns);
    Status answered = call.dialect->Answer(request, body, &session, reply);
    records = session.records();
    ignored = session.ignored();
    failed = session.failed();
    if (!answered.ok() && session.status() != 0) status = session.status();
    return answered;
  };
  if (const Status answered = run(); !answered.ok()) {
    if (status == 200) status = ErrorStatus(answered.error().code);
    Fail(status, answered.error(), *call.dialect, reply);
  }
  call.stats().Observe(slot, AnsweredWith(status), NanosNow() - request.arrived_ns, records,
                       ignored, failed);
}

void TabularCalls::State::Refuse(int status, const Error& error, TabularCall* call) {
  Fail(status, error, *call->dialect, call->pending->reply());
  call->stats().Observe(call->slot, Answered::kRejected,
                        NanosNow() - call->pending->request().arrived_ns, 0, 0, 0);
  call->pending->Send();
}

void TabularCalls::State::Work(int worker, TabularCall* call) {
  HttpReply* const reply = call->pending->reply();
  try {
    if (!call->pending->abandoned())
      Answer(parts->loops + worker, *call, call->pending->request(), reply);
  } catch (const std::bad_alloc&) {
    std::string().swap(reply->body);
    Fail(503,
         Unavailable("there is not enough memory for this request", "send fewer rows at a time"),
         *call->dialect, reply);
  }
  if (call->running != nullptr) call->running->fetch_sub(1);
  call->pending->Send();
}

// `headers`: those of the answer so far.
HttpOutcome TabularCalls::State::Defer(std::shared_ptr<TabularCall> call, double estimate,
                                       const std::string& headers, HttpExchange* exchange) {
  const ServiceSettings& settings = call->model.service->settings;
  call->slot = exchange->loop();
  const std::string kept = headers;  // they lie in what Defer takes away
  call->pending = exchange->Defer();
  call->pending->reply()->headers = kept;
  if (settings.max_concurrent > 0) {
    call->running = RunningOf(call->model.service->id);
    if (call->running->fetch_add(1) >= settings.max_concurrent) {
      call->running->fetch_sub(1);
      Refuse(429,
             Unavailable("service '" + call->model.service->id +
                         "' is at work on as many requests as it may be (max_concurrent)"),
             call.get());
      return HttpOutcome::kDeferred;
    }
  }
  const double deadline =
      settings.deadline_ms > 0 ? settings.deadline_ms : parts->config.admission.deadline_ms;
  const Admitted admitted = parts->admission->Submit(
      estimate, deadline, [this, call](int worker, int64_t) { Work(worker, call.get()); },
      [this, call] {
        call->slot = parts->loops;  // not on the loop's thread
        if (call->running != nullptr) call->running->fetch_sub(1);
        Refuse(504, DeadlineExceeded("the request waited longer than its deadline"), call.get());
      });
  if (admitted == Admitted::kYes) return HttpOutcome::kDeferred;
  if (call->running != nullptr) call->running->fetch_sub(1);
  if (admitted == Admitted::kShuttingDown) call->pending->reply()->close = true;
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
  if (!headers.trace_parent.empty()) reply->AddHeader("traceparent", headers.trace_parent);
  call->table = thread.reader.Refresh();
  call->target = target;
  call->dialect = &dialect;
  int status = 0;
  Error error;
  std::optional<TabularModel> model =
      Find(*call->table, target, &thread, request, false, call.get(), &status, &error);
  if (!model) {
    Fail(status, error, dialect, reply, call->retry_seconds);
    return HttpOutcome::kReplied;
  }
  const std::string_view coding = headers.content_encoding;
  if (!coding.empty() && coding != "identity" && coding != "gzip" && coding != "deflate") {
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
  if (!coding.empty() || estimate > parts->config.admission.inline_micros)
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
    if (served == nullptr ||
        thread.gate.Check(service, AuthorizationOf(request), request.client_subject).status != 200)
      continue;
    const size_t first = models.size();
    for (int i = 0; i < served->generation->endpoint_count(); ++i) {
      const ServedEndpoint& endpoint = served->generation->endpoint(i);
      if (endpoint.Serves(Verb::kPredictMulti))
        models.push_back({&service, served, endpoint.definition().id, false});
    }
    if (models.size() == first + 1) models.back().alone = true;
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
