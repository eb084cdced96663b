#include "slipway/http/router.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/http/route_keys.h"

namespace slipway {
namespace {

const std::string kGet = "GET";

bool Matches(std::string_view pattern, std::string_view path,
             std::map<std::string, std::string>* params) {
  const std::vector<std::string> want = Split(pattern, '/');
  const std::vector<std::string> have = Split(path, '/');
  if (want.size() != have.size()) return false;
  params->clear();
  for (size_t i = 0; i < want.size(); ++i) {
    if (want[i].size() > 2 && want[i].front() == '{') {
      if (have[i].empty()) return false;
      (*params)[want[i].substr(1, want[i].size() - 2)] = have[i];
    } else if (want[i] != have[i]) {
      return false;
    }
  }
  return true;
}

}  // namespace

int HttpStatus(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return 400;
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kConflict:
      return 409;
    case ErrorCode::kPermissionDenied:
      return 403;
    case ErrorCode::kCorruption:
      return 500;
    case ErrorCode::kUnavailable:
      return 503;
    case ErrorCode::kDeadlineExceeded:
      return 504;
    case ErrorCode::kCancelled:
      return 499;
    case ErrorCode::kInternal:
      return 500;
  }
  return 500;
}

bool ComesAfter(ListOrder order, std::string_view key, std::string_view other) {
  if (order == ListOrder::kNumbers || order == ListOrder::kNumbersDown) {
    const auto number = [](std::string_view text) {
      const size_t at = text.find_first_of("0123456789");
      return at == std::string_view::npos ? 0 : ParseInt64(text.substr(at)).value_or(0);
    };
    const int64_t a = number(key), b = number(other);
    return order == ListOrder::kNumbers ? a > b : a < b;
  }
  // '/' parts names: before all that a name may hold.
  return std::lexicographical_compare(
      other.begin(), other.end(), key.begin(), key.end(), [](char a, char b) {
        const auto rank = [](char c) { return c == '/' ? 0 : static_cast<unsigned char>(c); };
        return rank(a) < rank(b);
      });
}

Response JsonResponse(const Json& json, int status) {
  Response response;
  response.status = status;
  response.body = DumpJson(json);
  return response;
}

Json ErrorToJson(const Error& error) {
  return {{"code", ErrorCodeName(error.code)}, {"message", error.message}, {"hint", error.hint}};
}

Response ErrorResponse(const Error& error) {
  Json body = ErrorToJson(error);
  body["title"] = error.message;
  body["status"] = HttpStatus(error.code);
  Response response = JsonResponse(body, HttpStatus(error.code));
  response.content_type = "application/problem+json";
  return response;
}

Error ErrorFromResponse(const Response& response) {
  auto body = ParseJson(response.body);
  if (!body.ok() || !body->is_object()) {
    return Internal("the server answered " + std::to_string(response.status) + " without a reason");
  }
  Error error;
  error.code = ErrorCodeFromName(body->value("code", ""));
  error.message = body->value("message", "");
  error.hint = body->value("hint", "");
  return error;
}

void Router::Add(Route route) {
  static constexpr std::string_view kPermissions[] = {"read",  "write",     "deploy",
                                                      "admin", "signed_in", "public"};
  const bool known = std::find(std::begin(kPermissions), std::end(kPermissions),
                               route.permission) != std::end(kPermissions);
  if (!known || route.summary.empty() || !route.handler) {
    std::fprintf(stderr, "route '%s %s' has no permission, summary or handler\n",
                 route.method.c_str(), route.pattern.c_str());
    std::abort();
  }
  routes_.push_back(std::move(route));
}

const Route* Router::Find(Request* request, Response* refusal) const {
  const std::string& method = request->method == "HEAD" ? kGet : request->method;
  std::vector<std::string> allowed;
  for (const Route& route : routes_) {
    std::map<std::string, std::string> params;
    if (!Matches(route.pattern, request->path, &params)) continue;
    if (route.method == method) {
      request->params = std::move(params);
      return &route;
    }
    if (std::find(allowed.begin(), allowed.end(), route.method) == allowed.end())
      allowed.push_back(route.method);
  }
  if (allowed.empty()) {
    *refusal = ErrorResponse(NotFound("there is nothing at '" + request->path + "'"));
    return nullptr;
  }
  *refusal =
      ErrorResponse(InvalidArgument("'" + request->path + "' does not take " + request->method,
                                    "it takes " + Join(allowed, ", ")));
  refusal->status = 405;
  refusal->headers["Allow"] = Join(allowed, ", ");
  return nullptr;
}

Response Router::Run(const Route& route, const Request& request) {
  try {
    if (Status keys = CheckRouteKeys(route, request); !keys.ok())
      return ErrorResponse(keys.error());
    Result<Response> response = route.handler(request);
    return response.ok() ? *std::move(response) : ErrorResponse(response.error());
  } catch (const std::exception& e) {
    return ErrorResponse(Internal(std::string("unexpected failure: ") + e.what()));
  }
}

Response Router::Dispatch(Request request) const {
  Response refusal;
  const Route* route = Find(&request, &refusal);
  return route == nullptr ? refusal : Run(*route, request);
}

}  // namespace slipway
