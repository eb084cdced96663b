// Signing in, the first administrator, the audit log, events and the API's description.
#include <algorithm>
#include <cmath>

#include "slipway/base/clock.h"
#include "slipway/base/json.h"
#include "slipway/base/names.h"
#include "slipway/base/secret.h"
#include "slipway/base/text.h"
#include "slipway/http/url.h"
#include "slipway/hub/audit_view.h"
#include "slipway/hub/hub.h"
#include "slipway/hub/hub_openapi.h"
#include "slipway/hub/paging.h"
#include "slipway/hub/route_helpers.h"

namespace slipway {
namespace {

constexpr double kSessionSeconds = 12 * 3600;

Result<Response> SignIn(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const Json body, ParseBody(request, {"account", "password"}));
  const std::string name = BodyText(body, "account");
  if (const double wait = hub.throttle().SecondsToWait(name); wait > 0) {
    Response response =
        ErrorResponse(Unavailable("too many wrong passwords for this account", "wait a while"));
    response.headers["Retry-After"] = std::to_string(static_cast<int64_t>(std::ceil(wait)));
    return response;
  }
  ASSIGN_OR_RETURN(const std::string hash, hub.registry().accounts().PasswordHash(name));
  if (!VerifyPassword(BodyText(body, "password"), hash)) {
    hub.throttle().Failed(name);
    return PermissionDenied("no account has this name and password");
  }
  hub.throttle().Succeeded(name);
  ASSIGN_OR_RETURN(const std::string token,
                   hub.registry().accounts().OpenSession(name, kSessionSeconds));
  Response response = JsonResponse({{"account", name}}, 201);
  response.headers["Set-Cookie"] = "slipway_session=" + token +
                                   "; Path=/; HttpOnly; SameSite=Strict; Max-Age=" +
                                   std::to_string(static_cast<int64_t>(kSessionSeconds));
  return response;
}

Result<Response> SignOut(Hub& hub, const Request& request) {
  if (request.principal != nullptr && !request.principal->session.empty())
    RETURN_IF_ERROR(hub.registry().accounts().CloseSession(request.principal->session));
  Response response = JsonResponse({{"signed_out", true}});
  response.headers["Set-Cookie"] = "slipway_session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0";
  return response;
}

Result<Response> WhoAmI(Hub&, const Request& request) {
  if (request.principal == nullptr) return JsonResponse({{"name", request.who}, {"admin", true}});
  const Principal& principal = *request.principal;
  Json grants = Json::array();
  for (const Grant& grant : principal.grants)
    grants.push_back({{"role", grant.role}, {"scope", grant.scope}});
  Json out = {{"name", principal.name},
              {"how", principal.how},
              {"admin", principal.admin},
              {"grants", std::move(grants)}};
  out["limit"] = principal.limit
                     ? Json({{"role", principal.limit->role}, {"scope", principal.limit->scope}})
                     : Json();
  return JsonResponse(out);
}

Result<Response> ChangeOwnPassword(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const Json body, ParseBody(request, {"current", "password"}));
  if (request.principal == nullptr || !request.principal->has_account)
    return PermissionDenied("you have no account here", "slipway user password NAME sets one's");
  const std::string& name = request.principal->name;
  if (request.principal->limit)
    return PermissionDenied("an API key does not change a password", "sign in");
  ASSIGN_OR_RETURN(const std::string old, hub.registry().accounts().PasswordHash(name));
  if (!VerifyPassword(BodyText(body, "current"), old))
    return PermissionDenied("the current password is another one");
  ASSIGN_OR_RETURN(const std::string hash, HashPassword(BodyText(body, "password")));
  RETURN_IF_ERROR(hub.registry().accounts().SetPassword(name, hash));
  return JsonResponse({{"changed", name}});
}

Result<Response> AcceptSetup(Hub& hub, const std::string& token, const std::string& name,
                             const std::string& password) {
  if (!IsValidName(name)) {
    return InvalidArgument("'" + name + "' is not a valid account name", NameRule(name));
  }
  ASSIGN_OR_RETURN(const std::string hash, HashPassword(password));
  RETURN_IF_ERROR(hub.registry().accounts().AcceptInvitation(token, name, hash));
  return JsonResponse({{"account", name}, {"admin", true}}, 201);
}

Result<Response> Setup(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const Json body, ParseBody(request, {"token", "name", "password"}));
  return AcceptSetup(hub, BodyText(body, "token"), BodyText(body, "name"),
                     BodyText(body, "password"));
}

Response Html(const std::string& body, int status = 200) {
  Response response;
  response.status = status;
  response.content_type = "text/html; charset=utf-8";
  response.body =
      "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Slipway</title>"
      "<style>body{font:16px system-ui;max-width:32rem;margin:4rem auto}label{display:block;"
      "margin:1rem 0}input{font:inherit;width:100%}</style>" +
      body + "</html>\n";
  return response;
}

std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&' || c == '<' || c == '>' || c == '"' || c == '\'') {
      out += "&#" + std::to_string(static_cast<int>(c)) + ";";
    } else {
      out += c;
    }
  }
  return out;
}

// The page of the printed link: no script.
Result<Response> SetupPage(Hub&, const Request& request) {
  const auto token = request.query.find("token");
  return Html(
      "<h1>The first administrator</h1><form method=\"post\" action=\"/setup\">"
      "<input type=\"hidden\" name=\"token\" value=\"" +
      Escaped(token == request.query.end() ? "" : token->second) +
      "\"><label>Name <input name=\"name\" required autofocus></label>"
      "<label>Password, at least 10 characters <input name=\"password\" type=\"password\" "
      "minlength=\"10\" required autocomplete=\"new-password\"></label>"
      "<button>Make the account</button></form>");
}

Result<Response> SetupForm(Hub& hub, const Request& request) {
  std::map<std::string, std::string> form;
  for (const std::string& pair : Split(request.body, '&')) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos) continue;
    form[PercentDecode(pair.substr(0, equals), true)] =
        PercentDecode(pair.substr(equals + 1), true);
  }
  auto made = AcceptSetup(hub, form["token"], form["name"], form["password"]);
  if (!made.ok()) {
    return Html("<h1>That did not work</h1><p>" + Escaped(made.error().message) + ". " +
                    Escaped(made.error().hint) + "</p>",
                HttpStatus(made.error().code));
  }
  return Html("<h1>Welcome, " + Escaped(form["name"]) +
                  "</h1><p>The account is made. On the command line, make a key for yourself: "
                  "<code>slipway key create --label laptop</code></p>",
              201);
}

// "24h", "7d", "90m", "30s" or a number of seconds.
std::optional<double> ParseSpan(const std::string& text) {
  if (text.empty()) return std::nullopt;
  double unit = 1;
  std::string number = text;
  switch (text.back()) {
    case 'd':
      unit = 86'400;
      break;
    case 'h':
      unit = 3600;
      break;
    case 'm':
      unit = 60;
      break;
    case 's':
      unit = 1;
      break;
    default:
      number += 's';
  }
  number.pop_back();
  const auto value = ParseInt64(number);
  if (!value || *value < 0 || *value > 100'000'000) return std::nullopt;
  return static_cast<double>(*value) * unit;
}

// What a job for a project did may be another scope's: an infrastructure's.
Result<bool> MaySeeRecord(Hub& hub, const Request& request, const AuditRecord& record) {
  static constexpr std::string_view kJobs = "/api/v1/jobs/";
  if (!record.path.starts_with(kJobs) || MaySee(request, Resource{})) return true;
  const std::string id = record.path.substr(kJobs.size());
  const auto job = hub.registry().jobs().Get(id.substr(0, id.find('/')));
  if (!job.ok() && job.error().code == ErrorCode::kNotFound) return false;
  RETURN_IF_ERROR(job);
  return MaySee(request, ResourceOfJob(job->scope, job->who));
}

// The newest that the caller may see; one more than `limit` when there are more.
Result<std::vector<AuditRecord>> FindAudit(Hub& hub, const Request& request, AuditFilter filter,
                                           int64_t limit) {
  std::vector<AuditRecord> out;
  // Who may not see all reads in larger steps, as most of one may be hidden.
  filter.limit = MaySee(request, Resource{}) ? limit + 1 : std::max<int64_t>(limit + 1, 100);
  for (;;) {
    ASSIGN_OR_RETURN(std::vector<AuditRecord> page, hub.registry().audit().List(filter));
    for (AuditRecord& record : page) {
      filter.before = record.id;
      ASSIGN_OR_RETURN(const bool seen, MaySeeRecord(hub, request, record));
      if (seen) out.push_back(std::move(record));
      if (std::ssize(out) > limit) return out;
    }
    if (std::ssize(page) < filter.limit) return out;
  }
}

Result<Response> ListAudit(Hub& hub, const Request& request) {
  const auto get = [&](const char* key) {
    const auto found = request.query.find(key);
    return found == request.query.end() ? std::string() : found->second;
  };
  AuditFilter filter;
  filter.project = get("project");
  filter.who = get("who");
  if (const std::string since = get("since"); !since.empty()) {
    const auto seconds = ParseSpan(since);
    if (!seconds)
      return InvalidArgument("'since' must be a span of time", "24h, 7d or 90m, for example");
    filter.since = NowMicros() - static_cast<int64_t>(*seconds * 1e6);
  }
  if (const std::string limit = get("limit"); !limit.empty()) {
    filter.limit = ParseInt64(limit).value_or(filter.limit);  // in its range: declared
  }
  if (const std::string cursor = get("cursor"); !cursor.empty()) {
    ASSIGN_OR_RETURN(const std::string key, KeyOfCursor(request, cursor));
    const auto id = ParseInt64(key);
    if (!id || *id < 1) return InvalidArgument("this 'cursor' is none of ours");
    filter.before = *id;
  }
  const int64_t limit = filter.limit;
  ASSIGN_OR_RETURN(auto records, FindAudit(hub, request, filter, limit));
  const bool more = std::ssize(records) > limit;
  if (more) records.pop_back();
  Json out = Json::array();
  for (const AuditRecord& record : records) out.push_back(AuditToJson(record, request));
  Response response = JsonResponse(out);
  if (more)
    response.headers["Link"] = LinkToNextPage(request, limit, std::to_string(records.back().id));
  return response;
}

Result<Response> Events(Hub& hub, const Request& request) {
  if (const auto job = request.query.find("job"); job != request.query.end())
    RETURN_IF_ERROR(hub.registry().jobs().Get(job->second));
  Response response;
  response.content_type = "text/event-stream";  // the server goes on from here
  return response;
}

}  // namespace

void AddSystemRoutes(Hub& hub, Router* router) {
  const auto add = [&](const char* method, const std::string& pattern, const char* permission,
                       const char* summary, Result<Response> (*handler)(Hub&, const Request&),
                       RouteDetails details) {
    router->Add({method, pattern, permission, summary,
                 [&hub, handler](const Request& r) { return handler(hub, r); },
                 std::move(details)});
  };
  // Rights on what is about one project, or about all there is.
  const auto queried_project = [](const Request& request) -> Result<Resource> {
    const auto project = request.query.find("project");
    if (project == request.query.end()) return Resource{};
    return Resource{"project", project->second};
  };
  const auto queried_job = [&hub](const Request& request) -> Result<Resource> {
    const auto id = request.query.find("job");
    if (id == request.query.end()) return Resource{};
    ASSIGN_OR_RETURN(JobRecord job, hub.registry().jobs().Get(id->second));
    return ResourceOfJob(job.scope, job.who);
  };
  add("POST", "/api/v1/sessions", "public", "signs in: a session cookie", SignIn,
      {.body = Keys({{"account", "string", true, "its name"},
                     {"password", "string", true, "", "", 0, 1024}}),
       .query = NoKeys(),
       .status = 201,
       .secret = true});
  add("DELETE", "/api/v1/sessions", "signed_in", "signs out", SignOut, {.query = NoKeys()});
  add("GET", "/api/v1/whoami", "signed_in", "who you are to the hub, and what you may do", WhoAmI,
      {.query = NoKeys()});
  add("PUT", "/api/v1/whoami/password", "signed_in", "changes your password; ends your sessions",
      ChangeOwnPassword,
      {.body = Keys({{"current", "string", true, "", "", 0, 1024},
                     {"password", "string", true, "10 to 1,024 bytes", "", 10, 1024}}),
       .query = NoKeys()});
  add("POST", "/api/v1/setup", "public", "makes the first administrator with the printed token",
      Setup,
      {.body = Keys({{"token", "string", true},
                     {"name", "string", true, "the account's", kNamePattern},
                     {"password", "string", true, "10 to 1,024 bytes", "", 10, 1024}}),
       .query = NoKeys(),
       .status = 201,
       .secret = true});
  add("GET", "/setup", "public", "the page of the printed link", SetupPage, {});
  add("POST", "/setup", "public", "its form", SetupForm, {.body = std::nullopt});
  add("GET", "/api/v1/audit", "admin", "changes: who, when, before and after; newest first",
      ListAudit,
      {.query = Keys({{"project", "string", false, "only this project's", kNamePattern},
                      {"who", "string", false, "only this one's"},
                      {"since", "string", false, "24h, 7d, 90m", "^[0-9]{1,8}[dhms]?$"},
                      {"limit", "integer", false, "at most so many (100)", "", 1, 1000},
                      {"cursor", "string", false, "goes on after a page: from its Link header",
                       "^c([0-9a-f]{2}){16,500}$"}}),
       .resource = queried_project});
  add("GET", "/api/v1/events", "read", "server-sent events of jobs; ?job: of this one, to its end",
      Events,
      {.query = Keys({{"job", "string", false, "only this job's, to its end", kNamePattern}}),
       .filtered = true,
       .content_type = "text/event-stream",
       .resource = queried_job});
  router->Add({"GET",
               "/api/v1/openapi.json",
               "public",
               "this description",
               [&hub](const Request&) -> Result<Response> {
                 return JsonResponse(HubOpenApi(hub.router().routes()));
               },
               {.query = NoKeys()}});
}

}  // namespace slipway
