// The admin API on a connection: who may, where the body goes, which thread answers, the log.
#include <sys/statvfs.h>
#include <unistd.h>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/hash.h"
#include "slipway/base/json.h"
#include "slipway/base/secret.h"
#include "slipway/base/text.h"
#include "slipway/serve/admin_log.h"
#include "slipway/serve/admin_queue.h"
#include "slipway/serve/admin_routes.h"
#include "slipway/serve/node.h"
#include "slipway/serve/request_scan.h"

namespace slipway {
namespace {

constexpr size_t kMaxAdminBody = 1 << 20;
constexpr std::string_view kServicesPath = "/admin/api/services/";

// Decoded once; what is no escape stays as it is.
std::string DecodeUrl(std::string_view text, bool plus_is_blank) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_blank) {
      out.push_back(' ');
    } else if (text[i] == '%' && i + 2 < text.size() && HexDigit(text[i + 1]) >= 0 &&
               HexDigit(text[i + 2]) >= 0) {
      out.push_back(static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2])));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

std::map<std::string, std::string> DecodeQuery(std::string_view query) {
  std::map<std::string, std::string> out;
  for (const std::string& pair : Split(query, '&')) {
    if (pair.empty()) continue;
    const size_t equal = pair.find('=');
    out.emplace(DecodeUrl(std::string_view(pair).substr(0, equal), true),
                equal == std::string::npos
                    ? ""
                    : DecodeUrl(std::string_view(pair).substr(equal + 1), true));
  }
  return out;
}

// The one spelling that the table has: clients of DSS print /service/ for one call.
std::string CanonicalPath(std::string_view path) {
  constexpr std::string_view kSingular = "/admin/api/service/";
  std::string out = DecodeUrl(path, false);
  if (out.starts_with(kSingular)) out.replace(0, kSingular.size(), kServicesPath);
  if (out == "/admin/api/service") out = "/admin/api/services";
  return out;
}

// POST /admin/api/services/{s}/generations: the body is a package.
bool IsUpload(std::string_view method, std::string_view path) {
  constexpr std::string_view kEnd = "/generations";
  if (method != "POST" || !path.starts_with(kServicesPath) || !path.ends_with(kEnd)) return false;
  if (path.size() <= kServicesPath.size() + kEnd.size()) return false;
  return path.substr(kServicesPath.size(), path.size() - kServicesPath.size() - kEnd.size())
             .find('/') == std::string_view::npos;
}

std::string RequestId(const HttpRequest& request) {
  std::string id(request.Header("x-request-id").substr(0, 200));
  return id.empty() ? RandomId() : id;
}

// What a file in this folder may grow to; -1: unknown.
int64_t FreeBytes(const std::string& folder) {
  struct statvfs info{};
  if (::statvfs(folder.c_str(), &info) != 0 || info.f_blocks == 0) return -1;
  const auto blocks = ::geteuid() == 0 ? info.f_bfree : info.f_bavail;
  return static_cast<int64_t>(blocks * info.f_frsize);
}

// A browser that holds the key must not change a node because another site's page says so.
bool IsFromAnotherSite(const HttpRequest& request) {
  const std::string_view site = request.Header("sec-fetch-site");
  if (!site.empty()) return site != "same-origin" && site != "none";
  const std::string_view origin = request.Header("origin");
  if (origin.empty()) return false;
  const size_t scheme = origin.find("://");
  return scheme == std::string_view::npos || origin.substr(scheme + 3) != request.Header("host");
}

}  // namespace

struct AdminApi::State {
  explicit State(NodeParts* node_parts)
      : parts(node_parts),
        router(MakeAdminRouter(node_parts)),
        reads(1, 256, 5),
        changes(4, 64, 19),
        searches(1, 8, 19) {}

  // False: `reply` says why not, and so does the log.
  bool Authorize(std::string_view path, const HttpRequest& request, HttpReply* reply) const {
    const std::string secret = SecretOfAuthorization(request.Header("authorization"));
    AdminOutcome outcome;
    outcome.who = "?";
    Error error;
    if (!parts->keys->IsAdmin(secret)) {
      // No path: a stranger reads this.
      const std::string where =
          "send the admin key (admin.key in the node's home) as the user of Basic or as Bearer";
      if (const auto key = parts->keys->Find(secret, NowMicros() / 1'000'000)) {
        outcome.who = "key:" + key->id;
        outcome.status = 403;
        error = PermissionDenied("this key may score, not administer the node", where);
      } else {
        outcome.status = 401;
        error = PermissionDenied(
            secret.empty() ? "the admin API asks for the admin key" : "this is not the admin key",
            where);
        reply->AddHeader("WWW-Authenticate", "Basic realm=\"slipway-apinode admin\"");
      }
    } else if (request.method != "GET" && request.method != "HEAD" && IsFromAnotherSite(request)) {
      outcome.who = "admin";
      outcome.status = 403;
      error = PermissionDenied("a page of another site asked for this change",
                               "change the node from its own page or a program");
    } else {
      return true;
    }
    Refuse(path, request, error, std::move(outcome), reply);
    return false;
  }

  // Answers and logs.
  static void Refuse(std::string_view path, const HttpRequest& request, const Error& error,
                     AdminOutcome outcome, HttpReply* reply) {
    outcome.request_id = RequestId(request);
    outcome.path = CanonicalPath(path);
    outcome.error = error.message;
    WriteError(outcome.status, error, outcome.request_id, reply);
    AddVersionHeaders(reply);
    LogAdmin(request, outcome);
  }

  void Answer(const std::string& path, HttpPending* pending) const;
  Status SeeEpoch(const Request& request) const {
    ASSIGN_OR_RETURN(const NodeState::Epoch epoch, EpochOf(request));
    return parts->state->SeeEpoch(epoch, request.method == "DELETE");
  }

  NodeParts* parts;
  const Router router;
  AdminQueue reads, changes, searches;  // last: their threads use the rest
};

void AdminApi::State::Answer(const std::string& path, HttpPending* pending) const {
  const HttpRequest& http = pending->request();
  HttpReply* reply = pending->reply();
  const double began = SteadySeconds();
  Request request;
  request.method = http.method;
  request.path = CanonicalPath(path);
  request.query = DecodeQuery(http.query);
  for (const std::string_view name : {std::string_view("content-type"), kEpochHeader}) {
    if (const std::string_view value = http.Header(name); !value.empty())
      request.headers.emplace(name, value);
  }
  if (!http.body_file.empty()) request.headers.emplace(kAdminBodyFile, http.body_file);
  request.body = http.body;
  request.who = "admin";
  const std::string id = RequestId(http);
  const bool changes_something = request.method != "GET" && request.method != "HEAD";
  const AdminChange change(*parts->state, request);

  // What a change is made of may turn out to be wrong; who asked for it is the newest all the same.
  const Status epoch = changes_something ? SeeEpoch(request) : Status();
  const Response response = epoch.ok() ? router.Dispatch(request) : ErrorResponse(epoch.error());
  std::string problem;
  if (response.status >= 400) {
    const Error error = ErrorFromResponse(response);
    const int status =
        response.status == HttpStatus(error.code) ? AdminStatus(error) : response.status;
    WriteError(status, error, id, reply);
    problem = error.message;
  } else {
    reply->status = response.status;
    reply->body = response.body;
  }
  AddVersionHeaders(reply);
  if (!changes_something) return;
  LogAdmin(http, {.who = request.who,
                  .path = request.path,
                  .status = reply->status,
                  .error = problem,
                  .change = change.Text(response),
                  .request_id = id,
                  .milliseconds = (SteadySeconds() - began) * 1e3});
}

AdminApi::AdminApi(NodeParts* parts) : state_(std::make_unique<State>(parts)) {}
AdminApi::~AdminApi() = default;

HttpBodyPlan AdminApi::PlanBody(std::string_view path, const HttpRequest& head,
                                HttpReply* refusal) {
  HttpBodyPlan plan;
  plan.max_bytes = kMaxAdminBody;
  // Before a byte of the body is read: a stranger's upload must not fill the disk.
  if (!state_->Authorize(path, head, refusal)) {
    plan.refuse = true;
    return plan;
  }
  if (IsUpload(head.method, CanonicalPath(path))) {
    plan.max_bytes = static_cast<size_t>(state_->parts->config.upload_bytes);
    plan.spool_folder = state_->parts->state->spool_folder();
    const std::optional<int64_t> bytes = ParseInt64(head.Header("content-length"));
    const int64_t room = FreeBytes(plan.spool_folder);
    if (bytes && room >= 0 && *bytes > room && *bytes <= state_->parts->config.upload_bytes) {
      AdminOutcome outcome;
      outcome.who = "admin";
      outcome.status = 507;
      State::Refuse(path, head,
                    Unavailable("the package has " + FormatBytes(*bytes) +
                                    ", and the disk of the node's home has no space for it: " +
                                    FormatBytes(room) + " are free",
                                "delete generations (services-clean), or give the home more space"),
                    std::move(outcome), refusal);
      plan.refuse = true;
    }
  }
  return plan;
}

HttpOutcome AdminApi::Handle(std::string_view path, const HttpRequest& request, HttpReply* reply,
                             HttpExchange* exchange) {
  if (!state_->Authorize(path, request, reply)) return HttpOutcome::kReplied;
  const bool read = request.method == "GET" || request.method == "HEAD";
  // Shared, as std::function copies; used by one of the two only.
  const std::shared_ptr<HttpPending> pending = exchange->Defer();
  const auto refuse = [pending, where = std::string(path)](const std::string& why) {
    AdminOutcome outcome;
    outcome.who = "admin";
    outcome.status = 503;
    State::Refuse(where, pending->request(), Unavailable(why, "try again in a few seconds"),
                  std::move(outcome), pending->reply());
    pending->reply()->AddHeader("Retry-After", "5");
    pending->Send();
  };
  // Looking through a log takes a while: listings do not wait for it.
  AdminQueue& queue = !read                            ? state_->changes
                      : path == "/admin/api/query-log" ? state_->searches
                                                       : state_->reads;
  const bool added = queue.Add({[state = state_.get(), pending, where = std::string(path)] {
                                  state->Answer(where, pending.get());
                                  pending->Send();
                                },
                                [refuse] { refuse("the node is stopping"); }});
  if (!added) refuse("too many administrative calls wait already");
  return HttpOutcome::kDeferred;
}

}  // namespace slipway
