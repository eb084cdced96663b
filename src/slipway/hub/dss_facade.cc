#include "slipway/hub/dss_facade.h"

#include <chrono>
#include <thread>

#include "slipway/base/text.h"
#include "slipway/hub/dss_wire.h"

namespace slipway {
namespace {

constexpr int kSlowCalls = 2;  // of the hub's four threads
constexpr auto kPoll = std::chrono::milliseconds(25);
constexpr const char* kMethods[] = {"GET", "POST", "PUT", "DELETE"};

// Bounded by RAII: one more slow call.
class Slot {
 public:
  explicit Slot(std::atomic<int>* taken) : taken_(taken), got_(++*taken <= kSlowCalls) {}
  ~Slot() { --*taken_; }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  bool got() const { return got_; }

 private:
  std::atomic<int>* const taken_;
  const bool got_;
};

}  // namespace

std::string DssCall::query(const char* name, const std::string& fallback) const {
  const auto found = request_.query.find(name);
  return found == request_.query.end() || found->second.empty() ? fallback : found->second;
}

Result<bool> DssCall::flag(const char* name, bool fallback) const {
  const std::string text = query(name);
  if (text.empty()) return fallback;
  return DssFlag(name, text);
}

Result<Json> DssCall::body() const {
  if (request_.body.empty()) return Json(Json::object());
  ASSIGN_OR_RETURN(Json body, ParseJson(request_.body));
  if (!body.is_object()) return InvalidArgument("the request's body must be a JSON object");
  return body;
}

Result<Response> DssCall::Ask(Request request) const {
  request.request_id = request_.request_id;
  Response response = hub_.Dispatch(std::move(request), request_.principal);
  if (response.status < 400) return response;
  Error error = ErrorFromResponse(response);
  return error;
}

Result<Json> DssCall::Get(const std::string& path, const Query& query) const {
  Request request;
  request.method = "GET";
  request.path = "/api/v1/" + path;
  request.query = query;
  ASSIGN_OR_RETURN(const Response response, Ask(std::move(request)));
  return ParseJson(response.body, {.max_bytes = size_t{1} << 30, .max_depth = 256});
}

Result<Json> DssCall::GetToChange(const std::string& path, std::string* etag) const {
  ASSIGN_OR_RETURN(const Response response, Fetch(path));
  const auto found = response.headers.find("ETag");
  *etag = found == response.headers.end() ? "" : found->second;
  return ParseJson(response.body, {.max_bytes = size_t{1} << 30, .max_depth = 256});
}

Result<Json> DssCall::Send(const std::string& method, const std::string& path, const Json& body,
                           const Query& query, const std::string& if_match) const {
  Request request;
  request.method = method;
  request.path = "/api/v1/" + path;
  request.query = query;
  if (!body.is_null()) request.body = DumpJson(body);
  if (!if_match.empty()) request.headers["if-match"] = if_match;
  ASSIGN_OR_RETURN(const Response response, Ask(std::move(request)));
  return ParseJson(response.body, {.max_bytes = size_t{1} << 30, .max_depth = 256});
}

Result<Json> DssCall::SendFile(const std::string& path, const std::string& file,
                               const Query& query) const {
  Request request;
  request.method = "POST";
  request.path = "/api/v1/" + path;
  request.query = query;
  request.body_file = file;
  request.headers["content-type"] = "application/octet-stream";
  ASSIGN_OR_RETURN(const Response response, Ask(std::move(request)));
  return ParseJson(response.body);
}

Result<Response> DssCall::Fetch(const std::string& path) const {
  Request request;
  request.method = "GET";
  request.path = "/api/v1/" + path;
  return Ask(std::move(request));
}

Result<Json> DssCall::WaitForJob(const std::string& job) const {
  bool aborted = false;
  for (;;) {
    ASSIGN_OR_RETURN(const JobRecord record, hub_.registry().jobs().Get(job));
    if (record.status != JobStatus::kQueued && record.status != JobStatus::kRunning) break;
    if (stop_ && !aborted) hub_.jobs().Abort(job);
    aborted = stop_;
    std::this_thread::sleep_for(kPoll);
  }
  ASSIGN_OR_RETURN(Json json, Get("jobs/" + job));
  const std::string status = json.value("status", "");
  if (status == "done") return json;
  std::string why = json["error"].is_string() ? json["error"].get<std::string>() : "";
  ErrorCode code = status == "aborted" ? ErrorCode::kUnavailable : ErrorCode::kInternal;
  for (const Json& activity : json["activities"]) {
    if (activity["error"].is_string()) why = activity["error"].get<std::string>();
    const Json* details = FindMember(activity, "details");
    const Json* error = details == nullptr ? nullptr : FindMember(*details, "error");
    if (error != nullptr && error->is_object()) code = ErrorCodeFromName(error->value("code", ""));
  }
  const std::string what = job + " " + (status == "aborted" ? "was aborted" : "failed");
  return Error{code, why.empty() ? what : what + ": " + why, ""};
}

Response DssOk() { return JsonResponse({{"ok", true}}); }

DssFacade::DssFacade(Hub& hub) : hub_(hub) {
  AddDssProjectCalls(this);
  AddDssModelCalls(this);
  AddDssJobCalls(this);
  AddDssServiceCalls(this);
  AddDssDeployerCalls(this);
  AddDssDeploymentCalls(this);
}

void DssFacade::Add(const char* method, const char* pattern, const char* calls,
                    DssHandler handler) {
  router_.Add({method, pattern, "signed_in", calls, [this, handler](const Request& request) {
                 return handler(DssCall(hub_, request, stop_));
               }});
}

void DssFacade::AddSlow(const char* method, const char* pattern, const char* calls,
                        DssHandler handler) {
  router_.Add({method, pattern, "signed_in", calls,
               [this, handler](const Request& request) -> Result<Response> {
                 const Slot slot(&slow_);
                 if (!slot.got())
                   return Unavailable("two calls of this kind are at work",
                                      "try again when one is done");
                 return handler(DssCall(hub_, request, stop_));
               }});
}

void DssFacade::AddMissing(const char* pattern, const char* what, const char* instead) {
  for (const char* method : kMethods) {
    router_.Add(
        {method, pattern, "signed_in", what, [what, instead](const Request&) -> Result<Response> {
           return DssNotSupported(what, instead);
         }});
  }
}

Response DssFacade::Answer(Request request, const Principal& principal) {
  if (principal.kind == Principal::Kind::kAnonymous) {
    Response response = DssError(PermissionDenied(
        "this needs an API key", "DSSClient(url, KEY); slipway key create makes one"));
    response.status = 401;
    response.headers["WWW-Authenticate"] = "Basic realm=\"slipway\", charset=\"UTF-8\"";
    return response;
  }
  const std::string asked = request.method + " " + request.path;
  request.path = DssPath(request.path);
  request.principal = &principal;
  request.who = principal.name;
  Response refusal;
  const Route* route = router_.Find(&request, &refusal);
  if (route == nullptr) return DssNotSupported("the call '" + asked.substr(0, 200) + "'", "");
  for (const auto& [name, value] : request.params) {
    if (!IsValidName(value))
      return DssError(NotFound("there is nothing named '" + value.substr(0, 200) + "'",
                               "names have letters, digits, '_', '-' and '.'"));
  }
  return DssErrorOf(Router::Run(*route, request));
}

}  // namespace slipway
