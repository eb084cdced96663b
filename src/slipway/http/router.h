// Requests, responses and the table that joins them. Knows no socket and no business word: the hub
// fills one Router; the command line calls it in process and a server will call it over HTTP.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/json_fwd.h"
#include "slipway/base/result.h"

namespace slipway {

struct Request {
  std::string method;  // "GET", "POST", ...
  std::string path;    // decoded, without the query
  std::map<std::string, std::string> query;
  std::map<std::string, std::string> headers;  // lower-case names
  std::string body;
  std::string who;                            // the authenticated caller
  std::map<std::string, std::string> params;  // filled by the router: {project} -> value
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::string file;  // not empty: the body is this file's content (large artifacts are not copied
                     // in process)
};

Response JsonResponse(const Json& json, int status = 200);
// RFC 9457 problem+json: code, message, hint.
Response ErrorResponse(const Error& error);
Json ErrorToJson(const Error& error);
// The inverse, for clients.
Error ErrorFromResponse(const Response& response);
// 404 for kNotFound and so on; one switch.
int HttpStatus(ErrorCode code);

using Handler = std::function<Result<Response>(const Request&)>;

struct Route {
  std::string method;
  std::string pattern;     // "/api/v1/projects/{project}/models"
  std::string permission;  // "read", "write", "admin": every route says one
  std::string summary;     // one line, for the API description
  Handler handler;
};

// Filled once, then immutable and thread-safe as far as the handlers are.
class Router {
 public:
  // REQUIRES: a permission and a summary.
  void Add(Route route);
  const std::vector<Route>& routes() const { return routes_; }
  // 404 for no such path, 405 for another method; exceptions of handlers become a 500.
  Response Dispatch(Request request) const;

 private:
  std::vector<Route> routes_;
};

}  // namespace slipway
