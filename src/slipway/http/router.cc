#include "slipway/http/router.h"

#include <cassert>
#include <exception>

#include "slipway/base/json.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

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
  assert(!route.permission.empty() && !route.summary.empty());
  routes_.push_back(std::move(route));
}

Response Router::Dispatch(Request request) const {
  bool path_known = false;
  for (const Route& route : routes_) {
    if (!Matches(route.pattern, request.path, &request.params)) continue;
    path_known = true;
    if (route.method != request.method) continue;
    try {
      Result<Response> response = route.handler(request);
      return response.ok() ? *std::move(response) : ErrorResponse(response.error());
    } catch (const std::exception& e) {
      return ErrorResponse(Internal(std::string("unexpected failure: ") + e.what()));
    }
  }
  if (path_known) {
    Response response =
        ErrorResponse(InvalidArgument("'" + request.path + "' does not take " + request.method));
    response.status = 405;
    return response;
  }
  return ErrorResponse(NotFound("there is nothing at '" + request.path + "'"));
}

}  // namespace slipway
