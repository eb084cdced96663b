// Requests, responses and the table that joins them. Knows no socket and no business word: the hub
// fills one Router; the command line calls it in process, the hub's server over HTTP. The table is
// also the source of the API's description and of what a caller must be allowed to do.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/json_fwd.h"
#include "slipway/base/result.h"

namespace slipway {

struct Principal;  // who calls: the hub's word

// How the items of a list follow each other.
enum class ListOrder {
  kListed,       // as the handler gives them; new ones come at the end
  kNames,        // a text, ascending; with '/' in it, part by part
  kNumbers,      // an integer (the one in "job-000012" too), ascending
  kNumbersDown,  // descending
};
// The member of an item that tells it from the others, and orders them. "": its place does, in a
// list that only grows at its end.
struct ListKey {
  std::string member;
  ListOrder order = ListOrder::kNames;
};
// Whether an item with this key comes after one with the other, in this order (not kListed).
bool ComesAfter(ListOrder order, std::string_view key, std::string_view other);

// The page that a list's caller wants. A handler may leave out what cannot be on it: what does not
// come after `after`, and all but the first limit + 1 of the rest.
struct PageWish {
  int64_t limit = 100;
  bool follows = false;  // another page: begins after the item with the key `after`,
  std::string after;
  int64_t position = 0;  // which was so many places from the start of the list then
};

struct Request {
  std::string method;  // "GET", "POST", ...
  std::string path;    // decoded, without the query
  std::map<std::string, std::string> query;
  std::map<std::string, std::string> headers;  // lower-case names
  std::string body;
  std::string body_file;  // instead of `body`: an upload on disk, removed after the answer
  std::string who;        // the authenticated caller
  const Principal* principal = nullptr;       // nullptr: in process, with every right
  std::string request_id;                     // "" in process
  std::map<std::string, std::string> params;  // filled by the router: {project} -> value
  std::optional<PageWish> page;               // of a list
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::string file;  // not empty: the body is this file's content (large artifacts are not copied
                     // in process)
  std::map<std::string, std::string> headers;  // further ones
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

// A key of a request's JSON body or query.
struct RouteKey {
  std::string name;
  std::string type = "string";  // string, boolean, integer, object, strings; a|b|c: one of these
  bool required = false;
  std::string about = "";
  std::string pattern = "";  // what a handler takes of it, for the description
  std::optional<int64_t> least = std::nullopt,
                         most = std::nullopt;  // of an integer; a text's bytes
};

// Names of things, as IsValidName takes them.
inline constexpr const char* kNamePattern = "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$";

// What a request is about, for the decision on rights: {"project", "shop"}, {"service",
// "shop/prices"}, {"infra", "production"}; {"", ""}: the whole instance.
struct Resource {
  std::string kind, name;
  std::string owner = "";  // this account may read it, whatever its roles
  std::string takes = "";  // a change of it takes this right instead of the route's
};

// A body that keys cannot describe: its JSON Schema, and what says what is wrong with one.
struct BodyRule {
  std::function<Json()> schema;
  std::function<Status(const Json&)> check;
};

// What is true of few routes.
struct RouteDetails {
  std::optional<std::vector<RouteKey>> body = std::nullopt;   // absent: any JSON object
  std::optional<std::vector<RouteKey>> query = std::nullopt;  // absent: not checked
  int status = 200;                                           // of success
  std::optional<ListKey> paged = std::nullopt;  // a list that takes ?limit and ?cursor
  bool etag = false;   // the state of an object: GET answers its ETag, If-Match is heeded
  bool wider = false;  // GET answers more than the state: its ETag is for changes, there is no 304
  bool creates = false;  // a PUT that makes what was not there: 201, heeds If-None-Match: *
  bool filtered =
      false;  // a list of all there is: the handler leaves out what the caller may not see
  bool atomic =
      false;          // quick, and in the database alone: runs in one transaction with its records
  bool asks = false;  // changes nothing, whatever its method: the audit log leaves it out
  bool secret = false;  // the answer holds a secret: it is not stored for an Idempotency-Key
  bool upload = false;  // the body is a file (application/octet-stream)
  std::optional<BodyRule> rule = std::nullopt;  // instead of `body`
  std::function<Json()> answer = nullptr;       // the JSON Schema of success, for the description
  // "": JSON.
  std::string content_type = "";
  // Instead of the path's {project}, {service} and {infra}.
  std::function<Result<Resource>(const Request&)> resource = nullptr;
  // What the route changes, as it is now: for ETags and for the audit log, without secrets.
  std::function<Json(const Request&)> state = nullptr;
  // Of a call that asks other machines or starts a process, and may take seconds: such calls wait
  // for each other only.
  std::function<bool(const Request&)> waits = nullptr;
};

struct Route {
  std::string method;
  std::string pattern;     // "/api/v1/projects/{project}/models"
  std::string permission;  // read, write, deploy, admin; signed_in: anybody known; public: anybody
  std::string summary;     // one line, for the API description
  Handler handler;
  RouteDetails details = {};
};

// Filled once, then immutable and thread-safe as far as the handlers are.
class Router {
 public:
  // A route without a known permission, a summary or a handler ends the process: it must never be
  // served.
  void Add(Route route);
  const std::vector<Route>& routes() const { return routes_; }
  // The route of the request, whose params are filled; nullptr and the refusal: 404 for no such
  // path, 405 for another method. HEAD is GET.
  const Route* Find(Request* request, Response* refusal) const;
  // The handler's answer, after the declared body and query are checked; exceptions become a 500.
  static Response Run(const Route& route, const Request& request);
  // Both, with every right: what the command line does in process.
  Response Dispatch(Request request) const;

 private:
  std::vector<Route> routes_;
};

}  // namespace slipway
