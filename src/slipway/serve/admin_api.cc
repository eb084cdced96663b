// The admin API on a connection: who may, where the body goes, which thread answers, the log.
#include <cassert>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/hash.h"
#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/serve/admin_queue.h"
#include "slipway/serve/admin_routes.h"
#include "slipway/serve/log.h"
#include "slipway/serve/node.h"

namespace slipway {
namespace {

constexpr size_t kMaxAdminBody = 1 << 20;
constexpr std::string_view kServices = "/admin/api/services/";

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

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
  if (out.starts_with(kSingular)) out.replace(0, kSingular.size(), kServices);
  if (out == "/admin/api/service") out = "/admin/api/services";
  return out;
}

// POST /admin/api/services/{s}/generations: the body is a package.
bool IsUpload(std::string_view method, std::string_view path) {
  constexpr std::string_view kEnd = "/generations";
  if (method != "POST" || !path.starts_with(kServices) || !path.ends_with(kEnd)) return false;
  if (path.size() <= kServices.size() + kEnd.size()) return false;
  return path.substr(kServices.size(), path.size() - kServices.size() - kEnd.size()).find('/') ==
         std::string_view::npos;
}

// A secret may be the last part of a path; logs do not show it.
std::string LoggedPath(const std::string& path) {
  constexpr std::string_view kKeys = "/admin/api/keys/";
  if (path.starts_with(kKeys)) return std::string(kKeys) + "*";
  return path.substr(0, 500);
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
      : parts(node_parts), router(MakeAdminRouter(node_parts)), reads(1, 256), changes(4, 64) {}

  // False: `reply` says why not.
  bool Authorize(const HttpRequest& request, HttpReply* reply) const {
    const std::string_view id = request.Header("x-request-id");
    const std::string secret = SecretOfAuthorization(request.Header("authorization"));
    if (!parts->keys->IsAdmin(secret)) {
      const std::string where = "the admin key is in '" +
                                JoinPath(parts->config.home, "admin.key") +
                                "' on the node; send it as the user of Basic or as Bearer";
      if (parts->keys->Find(secret, NowMicros() / 1'000'000)) {
        WriteError(403, PermissionDenied("this key may score, not administer the node", where), id,
                   reply);
        return false;
      }
      WriteError(401,
                 PermissionDenied(secret.empty() ? "the admin API asks for the admin key"
                                                 : "this is not the admin key",
                                  where),
                 id, reply);
      reply->AddHeader("WWW-Authenticate", "Basic realm=\"slipway-apinode admin\"");
      return false;
    }
    if (request.method != "GET" && request.method != "HEAD" && IsFromAnotherSite(request)) {
      WriteError(403,
                 PermissionDenied("a page of another site asked for this change",
                                  "change the node from its own page or a program"),
                 id, reply);
      return false;
    }
    return true;
  }

  void Answer(const std::string& path, HttpPending* pending) const;

  NodeParts* parts;
  const Router router;
  AdminQueue reads, changes;  // last: their threads use the rest
};

void AdminApi::State::Answer(const std::string& path, HttpPending* pending) const {
  const HttpRequest& http = pending->request();
  HttpReply* reply = pending->reply();
  AddVersionHeaders(reply);
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
  std::string id(http.Header("x-request-id").substr(0, 200));
  if (id.empty()) id = RandomId();

  const Response response = router.Dispatch(request);
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
  if (request.method == "GET" || request.method == "HEAD") return;
  const auto level = reply->status >= 500   ? LogLevel::kError
                     : reply->status >= 400 ? LogLevel::kWarning
                                            : LogLevel::kInfo;
  Log(level, "admin",
      {{"who", request.who},
       {"remote", http.remote},
       {"method", request.method},
       {"path", LoggedPath(request.path)},
       {"status", reply->status},
       {"error", problem},
       {"milliseconds", (SteadySeconds() - began) * 1e3},
       {"request_id", id}});
}

AdminApi::AdminApi(NodeParts* parts) : state_(std::make_unique<State>(parts)) {}
AdminApi::~AdminApi() = default;

HttpBodyPlan AdminApi::PlanBody(std::string_view path, const HttpRequest& head,
                                HttpReply* refusal) {
  HttpBodyPlan plan;
  plan.max_bytes = kMaxAdminBody;
  // Before a byte of the body is read: a stranger's upload must not fill the disk.
  if (!state_->Authorize(head, refusal)) {
    AddVersionHeaders(refusal);
    plan.refuse = true;
    return plan;
  }
  if (IsUpload(head.method, CanonicalPath(path))) {
    plan.max_bytes = static_cast<size_t>(state_->parts->config.upload_bytes);
    plan.spool_folder = state_->parts->state->spool_folder();
  }
  return plan;
}

HttpOutcome AdminApi::Handle(std::string_view path, const HttpRequest& request, HttpReply* reply,
                             HttpExchange* exchange) {
  if (!state_->Authorize(request, reply)) {
    AddVersionHeaders(reply);
    return HttpOutcome::kReplied;
  }
  const bool read = request.method == "GET" || request.method == "HEAD";
  const std::string id(request.Header("x-request-id").substr(0, 200));
  // Shared, as std::function copies; used by one of the two only.
  const std::shared_ptr<HttpPending> pending = exchange->Defer();
  const auto refuse = [pending, id](const std::string& why) {
    WriteError(503, Unavailable(why, "try again in a few seconds"), id, pending->reply());
    pending->reply()->AddHeader("Retry-After", "5");
    pending->Send();
  };
  const bool added = (read ? state_->reads : state_->changes)
                         .Add({[state = state_.get(), pending, where = std::string(path)] {
                                 state->Answer(where, pending.get());
                                 pending->Send();
                               },
                               [refuse] { refuse("the node is stopping"); }});
  if (!added) refuse("too many administrative calls wait already");
  return HttpOutcome::kDeferred;
}

}  // namespace slipway
