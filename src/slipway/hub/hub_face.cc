#include "slipway/hub/hub_face.h"

#include <algorithm>

#include <sys/resource.h>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/hash.h"
#include "slipway/base/json.h"
#include "slipway/base/secret.h"
#include "slipway/base/text.h"
#include "slipway/http/multipart.h"
#include "slipway/http/url.h"
#include "slipway/hub/dss_wire.h"

namespace slipway {
namespace {

constexpr std::string_view kProblem = "application/problem+json";
constexpr std::string_view kTicket = "x-dku-apiticket";

bool IsSafe(std::string_view method) { return method == "GET" || method == "HEAD"; }

// A page of another site must not make a browser change something here. Programs send neither
// header.
bool IsOwnOrigin(const HttpRequest& request) {
  const std::string_view site = request.Header("sec-fetch-site");
  if (!site.empty() && site != "same-origin" && site != "none") return false;
  std::string_view origin = request.Header("origin");
  if (origin.empty()) return true;
  const std::string_view scheme = request.tls ? "https://" : "http://";
  if (!origin.starts_with(scheme)) return false;
  origin.remove_prefix(scheme.size());
  return ToLower(origin) == ToLower(request.Header("host"));
}

// What the client of the Dataiku API looks for; DSS's servers send both with every answer.
void AddDssHeaders(HttpReply* reply) {
  reply->AddHeader("DSS-API-Version", "1");
  reply->AddHeader("DSS-Version", "slipway-" SLIPWAY_VERSION);
}

// In the shape that whoever calls `path` reads.
void WriteProblem(std::string_view path, int status, const Error& error,
                  const std::string& request_id, HttpReply* reply) {
  reply->status = status;
  if (IsDssPath(path)) {
    reply->content_type = "application/json";
    reply->body = DumpJson(DssErrorJson(status, error));
    AddDssHeaders(reply);
    if (!request_id.empty()) reply->AddHeader("X-Request-Id", request_id);
    return;
  }
  reply->content_type = kProblem;
  Json body = ErrorToJson(error);
  body["title"] = error.message;
  body["status"] = status;
  body["request_id"] = request_id;
  reply->body = DumpJson(body);
  if (!request_id.empty()) reply->AddHeader("X-Request-Id", request_id);
}

// Types that live as long as the program: HttpReply keeps a view only.
std::string_view KnownType(const std::string& type) {
  static constexpr std::string_view kTypes[] = {"application/json",
                                                kProblem,
                                                "text/plain",
                                                "application/octet-stream",
                                                "application/x-tar",
                                                "application/zip",
                                                "text/html; charset=utf-8"};
  for (const std::string_view known : kTypes) {
    if (type == known) return known;
  }
  return "application/octet-stream";
}

std::string CookieOf(const HttpRequest& request, std::string_view name) {
  for (const std::string& part : Split(request.Header("cookie"), ';')) {
    const std::string_view pair = Trim(part);
    if (pair.starts_with(name) && pair.size() > name.size() && pair[name.size()] == '=')
      return std::string(pair.substr(name.size() + 1));
  }
  return "";
}

}  // namespace

HubFace::HubFace(Hub& hub, HubFaceOptions options)
    : hub_(hub),
      options_(std::move(options)),
      host_rule_(options_.hosts, options_.listen),
      streams_(hub),
      dss_(hub) {
  for (int i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { Work(quick_); });
  for (int i = 0; i < options_.waiting_threads; ++i)
    threads_.emplace_back([this] { Work(waiting_); });
}

HubFace::~HubFace() {
  dss_.Stop();
  {
    MutexLock lock(mutex_);
    stop_ = true;
    quick_.changed.notify_all();
    waiting_.changed.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
}

void HubFace::Drain() {
  draining_ = true;
  streams_.Stop();
}

HttpBodyPlan HubFace::PlanBody(const HttpRequest& head, HttpReply* refusal) {
  HttpBodyPlan plan;
  const bool dss = IsDssPath(head.path);
  const bool anonymous = head.Header("authorization").empty() && head.Header("cookie").empty() &&
                         (!dss || head.Header(kTicket).empty());
  plan.max_bytes = anonymous ? options_.max_anonymous_bytes : options_.max_body_bytes;
  if (dss) {
    if (anonymous || !IsMultipart(head.Header("content-type"))) return plan;
    if (Remembers(head)) plan.max_bytes = options_.max_upload_bytes;
    plan.spool_folder = options_.upload_folder;
    return plan;
  }
  if (!head.Header("content-type").starts_with("application/octet-stream")) return plan;
  // A file: to disk, a large one only for a caller who was somebody a moment ago; what they may do
  // is decided once it is here.
  Request request;
  request.method = std::string(head.method);
  request.path = std::string(head.path);
  Response none;
  const Route* route = hub_.router().Find(&request, &none);
  if (route == nullptr || !route->details.upload) return plan;
  if (anonymous) {
    plan.refuse = true;
    WriteProblem(head.path, 401, PermissionDenied("this needs an API key or a session"), RandomId(),
                 refusal);
    refusal->AddHeader("WWW-Authenticate", "Bearer realm=\"slipway\"");
    return plan;
  }
  if (Remembers(head)) plan.max_bytes = options_.max_upload_bytes;
  plan.spool_folder = options_.upload_folder;
  return plan;
}

HttpOutcome HubFace::Handle(const HttpRequest& request, HttpReply* reply, HttpExchange* exchange) {
  ++requests_;
  if (!host_rule_.Allows(request.Header("host"))) {
    WriteProblem(request.path, 421,
                 PermissionDenied("this hub is not known by the name of the Host header",
                                  "start it with --host NAME to allow the name"),
                 RandomId(), reply);
    return HttpOutcome::kReplied;
  }
  if (request.path == "/isAlive" || request.path == "/isAlive/" || request.path == "/ready") {
    const bool ok = request.path != "/ready" || (!draining_ && registry_answers_);
    reply->status = ok ? 200 : 503;
    reply->body = ok          ? "{\"status\":\"ok\"}"
                  : draining_ ? "{\"status\":\"draining\"}"
                              : "{\"status\":\"the registry does not answer\"}";
    return HttpOutcome::kReplied;
  }
  if (request.path == "/metrics" && request.method == "GET" && request.remote_is_loopback) {
    reply->content_type = "text/plain; version=0.0.4";
    reply->body = MetricsText();
    return HttpOutcome::kReplied;
  }
  Lane& lane = LaneOf(request);
  {
    MutexLock lock(mutex_);
    if (lane.calls.size() < options_.queue) {
      lane.calls.push_back(exchange->Defer());
      lane.changed.notify_one();
      return HttpOutcome::kDeferred;
    }
  }
  ++refused_;
  WriteProblem(request.path, 503,
               Unavailable("the hub has too much to do", "try again in a second"), RandomId(),
               reply);
  reply->AddHeader("Retry-After", "1");
  return HttpOutcome::kReplied;
}

void HubFace::DescribeRefusal(int status, std::string_view reason, const HttpRequest* head,
                              HttpReply* reply) {
  const Error error{status >= 500 ? ErrorCode::kUnavailable : ErrorCode::kInvalidArgument,
                    std::string(reason), ""};
  WriteProblem(head == nullptr ? "" : head->path, status, error, RandomId(), reply);
}

HubFace::Lane& HubFace::LaneOf(const HttpRequest& head) {
  if (IsDssPath(head.path)) return waiting_;  // some of its calls answer when a job is done
  Request request;
  request.method = std::string(head.method);
  request.path = PercentDecode(head.path, false);
  Response none;
  const Route* route = hub_.router().Find(&request, &none);
  if (route == nullptr || !route->details.waits) return quick_;
  request.query = ParseQuery(head.query);
  return route->details.waits(request) ? waiting_ : quick_;
}

void HubFace::Work(Lane& lane) {
  for (;;) {
    std::unique_ptr<HttpPending> pending;
    mutex_.lock();
    while (lane.calls.empty() && !stop_) lane.changed.wait(mutex_);
    if (!lane.calls.empty()) {
      pending = std::move(lane.calls.front());
      lane.calls.pop_front();
    }
    mutex_.unlock();
    if (pending == nullptr) return;
    try {
      Answer(std::move(pending));
    } catch (const std::exception&) {  // out of memory: the pending request answers 500 by itself
    }
  }
}

HubFace::Credential HubFace::CredentialOf(const HttpRequest& request) {
  const bool dss = IsDssPath(request.path);
  return {dss, std::string(request.Header("authorization")),
          std::string(dss ? request.Header(kTicket) : ""), CookieOf(request, "slipway_session")};
}

// Whoever shows something that is wrong is nobody, not somebody with fewer rights.
Result<Principal> HubFace::Identify(const Credential& shown) const {
  Registry& registry = hub_.registry();
  const auto& [dss, header, ticket, session] = shown;
  if (!header.empty() || !ticket.empty()) {
    // Basic is what DSS's clients send, and for them alone: browsers would remember it.
    const bool bearer = header.size() >= 7 && ToLower(header.substr(0, 7)) == "bearer ";
    Principal nobody;
    if (!header.empty() && !bearer && !dss) return nobody;
    const std::string key = header.empty() ? ticket : SecretOfAuthorization(header);
    if (key.empty()) return nobody;
    nobody.refused = "the API key that was sent is not valid: it is unknown, revoked or expired";
    if (SameSecret(key, options_.token)) return LocalPrincipal(options_.local_user);
    ASSIGN_OR_RETURN(const auto found, registry.keys().FindByKey(key));
    if (!found) return nobody;
    if (found->account.empty()) return KeyPrincipal(*found, nullptr);
    ASSIGN_OR_RETURN(const auto account, registry.accounts().Find(found->account));
    if (!account || account->disabled) return nobody;
    return KeyPrincipal(*found, &*account);
  }
  if (session.empty() || dss) return Principal{};
  ASSIGN_OR_RETURN(const auto account, registry.accounts().FindSession(session));
  if (!account) {
    Principal nobody;
    nobody.refused = "the session has ended: sign in again";
    return nobody;
  }
  Principal principal = AccountPrincipal(*account, "session");
  principal.session = session;
  return principal;
}

namespace {

std::string CredentialHash(const HttpRequest& request) {
  return Sha256Hex(std::string(request.Header("authorization")) + "\n" +
                   std::string(request.Header("cookie")) + "\n" +
                   std::string(request.Header(kTicket)));
}

}  // namespace

void HubFace::Remember(const HttpRequest& request) {
  constexpr double kSeconds = 300;
  constexpr size_t kMostKnown = 1000;
  const double now = SteadySeconds();
  const std::string hash = CredentialHash(request);
  MutexLock lock(known_mutex_);
  if (known_.size() >= kMostKnown)
    std::erase_if(known_, [&](const auto& k) { return k.second < now; });
  if (known_.size() >= kMostKnown) known_.clear();
  known_[hash] = now + kSeconds;
}

bool HubFace::Remembers(const HttpRequest& request) {
  const std::string hash = CredentialHash(request);
  MutexLock lock(known_mutex_);
  const auto found = known_.find(hash);
  return found != known_.end() && found->second > SteadySeconds();
}

void HubFace::Answer(std::unique_ptr<HttpPending> pending) {
  const HttpRequest& in = pending->request();
  HttpReply* reply = pending->reply();
  const std::string id = RandomId();
  if (!IsSafe(in.method) && !IsOwnOrigin(in)) {
    WriteProblem(in.path, 403,
                 PermissionDenied("a page of another site may not change anything here",
                                  "programs send no Origin header"),
                 id, reply);
    return pending->Send();
  }
  Request request;
  request.method = std::string(in.method);
  request.path = PercentDecode(in.path, false);
  request.query = ParseQuery(in.query);
  request.request_id = id;
  for (const char* name : {"if-match", "if-none-match", "idempotency-key", "content-type"}) {
    if (const std::string_view value = in.Header(name); !value.empty())
      request.headers[name] = std::string(value);
  }
  request.body = std::string(in.body);
  request.body_file = std::string(in.body_file);
  Credential shown = CredentialOf(in);
  const Result<Principal> known = Identify(shown);
  const Principal principal = known.ok() ? *known : Principal{};
  const bool stranger = principal.kind == Principal::Kind::kAnonymous;
  if (!stranger) Remember(in);
  Response response;
  const bool dss = IsDssPath(in.path);
  if (!known.ok()) {
    response.status = 503;
  } else if (!IsValidUtf8(request.path) || request.path.find('\0') != std::string::npos ||
             in.path.find("%2F") != std::string_view::npos ||
             in.path.find("%2f") != std::string_view::npos) {
    response = ErrorResponse(NotFound("there is nothing at such a path"));
    if (dss) response = DssErrorOf(std::move(response));
  } else if (dss) {
    response = dss_.Answer(std::move(request), principal);
  } else {
    response = hub_.Dispatch(request, &principal);
  }
  // What of the hub's machines failed, and where they are, is nothing for strangers.
  if (stranger && response.status == 503 && !response.headers.contains("Retry-After")) {
    response = ErrorResponse(Unavailable("the hub's registry does not answer now",
                                         "try again in a while; `slipway doctor` at the hub's home "
                                         "tells why"));
    if (dss) response = DssErrorOf(std::move(response));
  }
  if (response.status >= 400) ++errors_;
  if (response.status == 200 && response.content_type == "text/event-stream") {
    const auto job = request.query.find("job");
    std::string job_id;
    if (job != request.query.end()) {
      const auto record = hub_.registry().jobs().Get(job->second);
      job_id = record.ok() ? record->id : job->second;
    }
    const std::string last(in.Header("last-event-id"));
    streams_.Add(
        std::move(pending), [this, shown = std::move(shown)] { return Identify(shown); }, job_id,
        last);
    return;
  }
  reply->status = response.status;
  reply->content_type = KnownType(response.content_type);
  reply->body = std::move(response.body);
  reply->file = std::move(response.file);
  if (reply->content_type == kProblem) {
    if (auto body = ParseJson(reply->body); body.ok() && body->is_object()) {
      (*body)["request_id"] = id;
      reply->body = DumpJson(*body);
    }
  }
  for (auto& [name, value] : response.headers) {
    reply->AddHeader(name, name == "Set-Cookie" && in.tls ? value + "; Secure" : value);
  }
  if (dss) AddDssHeaders(reply);
  reply->AddHeader("X-Request-Id", id);
  reply->AddHeader("Cache-Control", "no-store");
  reply->AddHeader("X-Frame-Options", "DENY");
  reply->AddHeader("Content-Security-Policy",
                   "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
                   "frame-ancestors 'none'");
  pending->Send();
}

std::string HubFace::MetricsText() const {
  std::string out;
  const auto add = [&](const char* name, const char* type, const char* help, int64_t value) {
    out += std::string("# HELP ") + name + " " + help + "\n# TYPE " + name + " " + type + "\n" +
           name + " " + std::to_string(value) + "\n";
  };
  add("slipway_hub_requests_total", "counter", "requests", requests_);
  add("slipway_hub_errors_total", "counter", "answers of 400 and above", errors_);
  add("slipway_hub_refused_total", "counter", "requests refused because the queue was full",
      refused_);
  if (const HttpServer* server = server_.load(); server != nullptr) {
    const HttpStats stats = server->stats();
    add("slipway_hub_connections", "gauge", "open connections", stats.open);
    add("slipway_hub_pending", "gauge", "requests and event streams in work", stats.pending);
  }
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  add("slipway_hub_peak_memory_bytes", "gauge", "the most memory that was resident",
      int64_t{usage.ru_maxrss} * 1024);
  return out;
}

}  // namespace slipway
