// What every request passes through, whoever sends it: rights, conditions (ETag, If-Match),
// Idempotency-Key, the audit record of a change, pages of lists (paging.h).
#include <algorithm>

#include "slipway/base/hash.h"
#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/http/route_keys.h"
#include "slipway/hub/audit_view.h"
#include "slipway/hub/hub.h"
#include "slipway/hub/paging.h"

namespace slipway {
namespace {

constexpr size_t kMaxKeyBytes = 200;

std::string Header(const Request& request, const char* name) {
  const auto found = request.headers.find(name);
  return found == request.headers.end() ? std::string() : found->second;
}

Response WithStatus(Error error, int status) {
  Response response = ErrorResponse(error);
  Json body = ErrorToJson(error);
  body["title"] = error.message;
  body["status"] = status;
  response.body = DumpJson(body);
  response.status = status;
  return response;
}

std::string EtagOf(const Json& state) {
  return "\"" + Sha256Hex(DumpJson(state)).substr(0, 32) + "\"";
}

// A list of tags, or "*": anything that is there.
bool EtagListed(const std::string& header, const Json& state) {
  if (Trim(header) == "*") return !state.is_null();
  const std::string etag = EtagOf(state);
  for (const std::string& one : Split(header, ',')) {
    std::string_view text = Trim(one);
    if (text.starts_with("W/")) text.remove_prefix(2);
    if (text == etag) return true;
  }
  return false;
}

Response CheckAccess(const Route& route, const Request& request, const Principal& principal) {
  const auto refuse = [&](Access access, const std::string& permission) {
    if (access == Access::kUnauthenticated) {
      const std::string why =
          principal.refused.empty() ? "this needs an API key or a session" : principal.refused;
      Response response = WithStatus(
          PermissionDenied(why, "send 'Authorization: Bearer KEY'; slipway key create makes one"),
          401);
      response.headers["WWW-Authenticate"] = "Bearer realm=\"slipway\"";
      return response;
    }
    if (access == Access::kForbidden) {
      return ErrorResponse(PermissionDenied(
          "'" + principal.name + "' may not do this: it takes " + "the right '" + permission + "'",
          "an administrator grants it: slipway user grant"));
    }
    return ErrorResponse(
        NotFound("there is nothing at '" + request.path + "', or you have no right to see it"));
  };
  // Nothing is looked up for whom nobody knows.
  if (principal.kind == Principal::Kind::kAnonymous && route.permission != "public")
    return refuse(Access::kUnauthenticated, "");
  const Result<Resource> resource = ResourceOf(route, request);
  if (!resource.ok()) {
    // That there is none is told to whoever could see it if there were.
    const bool missing = resource.error().code == ErrorCode::kNotFound;
    if (missing && !May(principal, "read", Resource{})) return refuse(Access::kHidden, "");
    return ErrorResponse(resource.error());
  }
  const Access access = Authorize(route, *resource, principal);
  return access == Access::kAllowed ? Response() : refuse(access, PermissionFor(route, *resource));
}

Response Read(const Route& route, Request& request) {
  auto page = ReadPageWish(route, request);
  if (!page.ok()) return ErrorResponse(page.error());
  request.page = *std::move(page);
  Json state;
  if (route.details.etag && route.details.state) {
    state = route.details.state(request);
    const std::string known = Header(request, "if-none-match");
    if (!known.empty() && !route.details.wider && !state.is_null() && EtagListed(known, state)) {
      Response response;
      response.status = 304;
      response.headers["ETag"] = EtagOf(state);
      return response;
    }
  }
  Response response = Router::Run(route, request);
  if (response.status >= 400) return response;
  if (!state.is_null()) response.headers["ETag"] = EtagOf(state);
  return request.page ? CutPage(route, request, std::move(response)) : response;
}

// One change with what belongs to it.
class ChangingRequest {
 public:
  ChangingRequest(Hub& hub, const Route& route, const Request& request, const Principal* principal)
      : hub_(hub),
        registry_(hub.registry()),
        route_(route),
        request_(request),
        principal_(principal),
        key_(Header(request, "idempotency-key")) {}

  Response Run() {
    // What makes no sense is told before what is out of date.
    if (Status keys = CheckRouteKeys(route_, request_); !keys.ok())
      return ErrorResponse(keys.error());
    if (Status prepared = Prepare(); !prepared.ok()) return ErrorResponse(prepared.error());
    return route_.details.atomic && hub_.writable() ? RunInOneTransaction() : RunInSteps();
  }

 private:
  Status Prepare() {
    if (key_.empty()) return {};
    if (route_.details.secret) {
      return InvalidArgument("this answer is shown once and never stored",
                             "send the request without an Idempotency-Key");
    }
    if (key_.size() > kMaxKeyBytes) return InvalidArgument("the Idempotency-Key is too long");
    scope_ = request_.who + " " + request_.method + " " + request_.path;
    std::string content = request_.body;
    for (const auto& [name, value] : request_.query) content += "\n" + name + "=" + value;
    if (!request_.body_file.empty()) {
      ASSIGN_OR_RETURN(const std::string hash, Sha256HexOfFile(request_.body_file));
      content += "\n" + hash;
    }
    content_ = std::move(content);
    return {};
  }

  // In the transaction that looks the key up.
  Result<std::optional<StoredResponse>> FindAnswer() {
    ASSIGN_OR_RETURN(hash_, registry_.secrets().KeyedHash("idempotency\n" + content_));
    return registry_.idempotency().Find(scope_, key_, hash_);
  }

  Json State() const { return route_.details.state ? route_.details.state(request_) : Json(); }

  // 412 when the object is not as the caller last saw it.
  std::optional<Response> CheckCondition(const Json& before) const {
    if (route_.details.creates && EtagListed(Header(request_, "if-none-match"), before))
      return WithStatus(
          Conflict("it is there already", "read it and send its ETag as If-Match, to change it"),
          412);
    const std::string wanted = Header(request_, "if-match");
    if (wanted.empty() || !route_.details.etag || EtagListed(wanted, before)) return std::nullopt;
    return WithStatus(
        Conflict("it has changed since you read it", "read it again, and decide again"), 412);
  }

  static Response Replayed(const StoredResponse& stored) {
    Response response;
    response.status = stored.status;
    response.body = stored.body;
    response.headers["Idempotency-Replayed"] = "true";
    return response;
  }

  Status Record(const Json& before, int status) const {
    AuditRecord record = DescribeChange(route_, request_, before, State());
    record.status = status;
    record.how = principal_ != nullptr ? principal_->how : "command line";
    return registry_.audit().Append(record);
  }

  bool audited() const {
    return route_.permission != "read" && !route_.details.asks && hub_.writable();
  }

  Response RunInOneTransaction() {
    auto transaction = registry_.Begin();
    if (!transaction.ok()) return ErrorResponse(transaction.error());
    if (!key_.empty()) {
      auto stored = FindAnswer();
      if (!stored.ok()) return ErrorResponse(stored.error());
      if (*stored) return Replayed(**stored);
    }
    const Json before = State();
    if (auto refused = CheckCondition(before)) return *std::move(refused);
    Response response = Router::Run(route_, request_);
    if (response.status >= 400) return response;
    if (route_.details.creates && before.is_null()) response.status = 201;
    if (audited()) {
      if (Status kept = Record(before, response.status); !kept.ok())
        return ErrorResponse(kept.error());
    }
    if (route_.details.etag && route_.method == "PUT") response.headers["ETag"] = EtagOf(State());
    if (!key_.empty()) {
      if (Status kept =
              registry_.idempotency().Put(scope_, key_, hash_, {response.status, response.body});
          !kept.ok())
        return ErrorResponse(kept.error());
    }
    if (Status committed = transaction->Commit(); !committed.ok())
      return ErrorResponse(committed.error());
    return response;
  }

  Response RunInSteps() {
    if (!key_.empty()) {
      auto transaction = registry_.Begin();
      if (!transaction.ok()) return ErrorResponse(transaction.error());
      auto stored = FindAnswer();
      if (!stored.ok()) return ErrorResponse(stored.error());
      if (*stored) return Replayed(**stored);
      Status reserved = registry_.idempotency().Reserve(scope_, key_, hash_);
      if (reserved.ok()) reserved = transaction->Commit();
      if (!reserved.ok()) return ErrorResponse(reserved.error());
    }
    Response response = RunUnderHook();
    if (!key_.empty()) {
      const Status kept =
          response.status < 400
              ? registry_.idempotency().Finish(scope_, key_, {response.status, response.body})
              : registry_.idempotency().Release(scope_, key_);
      if (!kept.ok() && response.status < 400) return ErrorResponse(kept.error());
    }
    return response;
  }

  Response RunUnderHook() {
    const Json before = State();
    if (auto refused = CheckCondition(before)) return *std::move(refused);
    if (!audited()) return Router::Run(route_, request_);
    // The record goes into the handler's own transaction; or follows, when it had none.
    OnNextCommit record([&] { return Record(before, route_.details.status); });
    Response response = Router::Run(route_, request_);
    if (response.status < 400 && !record.done()) {
      if (Status kept = Record(before, response.status); !kept.ok())
        return ErrorResponse(kept.error());
    }
    return response;
  }

  Hub& hub_;
  Registry& registry_;
  const Route& route_;
  const Request& request_;
  const Principal* const principal_;
  const std::string key_;
  std::string scope_, content_, hash_;
};

}  // namespace

Response Hub::Dispatch(Request request, const Principal* principal) {
  Response refusal;
  const Route* route = router_.Find(&request, &refusal);
  if (route == nullptr) return refusal;
  if (request.request_id.empty()) request.request_id = RandomId();
  request.principal = principal;
  if (principal != nullptr) {
    request.who = principal->name.empty() ? "anonymous" : principal->name;
    Response refused = CheckAccess(*route, request, *principal);
    if (refused.status >= 400) return refused;
  }
  if (route->method == "GET") return Read(*route, request);
  return ChangingRequest(*this, *route, request, principal).Run();
}

}  // namespace slipway
