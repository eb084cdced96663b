#include "slipway/serve/user_request.h"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <optional>

#include <zlib.h>

#include "slipway/base/secret.h"
#include "slipway/querylog/search.h"

namespace slipway {
namespace {

constexpr std::string_view kUserApiPrefix = "/public/api/v1/";
constexpr std::string_view kAdministrator = "administrator";  // label of HOME/admin.key

struct VerbName {
  std::string_view name;
  Verb verb;
};
constexpr VerbName kVerbs[] = {{"predict", Verb::kPredict},
                               {"predict-multi", Verb::kPredictMulti},
                               {"predict-simple", Verb::kPredictSimple},
                               {"lookup", Verb::kLookup},
                               {"lookup-multi", Verb::kLookupMulti}};

bool EqualsLower(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c =
        text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] - 'A' + 'a') : text[i];
    if (c != lower[i]) return false;
  }
  return true;
}

bool IsLowerHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// W3C trace context, version 00: 00-<32>-<16>-<2>.
bool IsTraceParent(std::string_view text) {
  return text.size() == 55 && text.starts_with("00-") && text[35] == '-' && text[52] == '-' &&
         IsLowerHex(text.substr(3, 32)) && IsLowerHex(text.substr(36, 16)) &&
         IsLowerHex(text.substr(53, 2));
}

// A list of vendors' texts: not read here, at most what everybody must pass on.
bool IsTraceState(std::string_view text) {
  return !text.empty() && text.size() <= 512 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= ' ' && c <= '~') || c == '\t';
  });
}

}  // namespace

UserRoute ParseUserRoute(std::string_view path) {
  UserRoute route;
  path.remove_prefix(std::min(path.size(), kUserApiPrefix.size()));
  const size_t first = path.find('/');
  route.service = path.substr(0, first);
  if (first == std::string_view::npos) return route;
  path.remove_prefix(first + 1);
  const size_t second = path.find('/');
  route.endpoint = path.substr(0, second);
  if (second == std::string_view::npos) {
    route.openapi = route.endpoint == "openapi.json" || route.endpoint == "swagger";
    return route;
  }
  route.verb_name = path.substr(second + 1);
  for (const VerbName& known : kVerbs) {
    if (known.name != route.verb_name) continue;
    route.verb = known.verb;
    route.known_verb = true;
  }
  return route;
}

std::string_view VerbText(Verb verb) {
  for (const VerbName& known : kVerbs) {
    if (known.verb == verb) return known.name;
  }
  return {};
}

UserHeaders ReadUserHeaders(const HttpRequest& request) {
  UserHeaders headers;
  int trace_states = 0;
  for (const HttpHeader& header : request.headers) {
    switch (header.name.size()) {
      case 10:
        if (EqualsLower(header.name, "tracestate"))
          headers.trace_state =
              ++trace_states == 1 && IsTraceState(header.value) ? header.value : std::string_view();
        break;
      case 11:
        if (EqualsLower(header.name, "traceparent") && IsTraceParent(header.value))
          headers.trace_parent = header.value;
        break;
      case 12:
        if (EqualsLower(header.name, "x-request-id") && IsRequestId(header.value))
          headers.request_id = header.value;
        break;
      case 13:
        if (EqualsLower(header.name, "authorization")) headers.authorization = header.value;
        break;
      case 16:
        if (EqualsLower(header.name, "content-encoding")) headers.content_encoding = header.value;
        break;
      default:
        break;
    }
  }
  return headers;
}

void AddAuthenticateHeaders(HttpReply* reply) {
  reply->AddHeader("WWW-Authenticate", "Basic realm=\"slipway\", charset=\"UTF-8\"");
  reply->AddHeader("WWW-Authenticate", "Bearer realm=\"slipway\"");
}

void AddTraceContext(const UserHeaders& headers, HttpReply* reply) {
  if (headers.trace_parent.empty()) return;
  reply->AddHeader("traceparent", headers.trace_parent);
  if (!headers.trace_state.empty()) reply->AddHeader("tracestate", headers.trace_state);
}

// SplitMix64 (Steele, Lea, Flood 2014).
uint64_t RequestIds::Mix() {
  uint64_t z = state_ += 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

std::string_view RequestIds::Next() {
  uint64_t bits = Mix();
  for (char& c : text_) {
    c = "0123456789abcdef"[bits & 15];
    bits >>= 4;
  }
  return {text_, sizeof text_};
}

double RequestIds::Random() { return static_cast<double>(Mix() >> 11) * 0x1p-53; }

static bool PackageAsksForKeys(const ServedGeneration& served) {
  const std::string& auth = served.generation->manifest().auth;
  return !auth.empty() && auth != "public";
}

// Whether it says so itself, not only by the node's rule.
static bool AsksForKeys(const ServedService& service, const std::string& setting) {
  if (!setting.empty()) return setting != "public";
  return std::any_of(service.generations.begin(), service.generations.end(),
                     [](const ServedGeneration& served) {
                       return served.probability > 0 && PackageAsksForKeys(served);
                     });
}

// What the node's administrator says wins over the package, and a package may only ask for more
// than the node does: it opens nothing.
static bool NeedsKey(const ServedService& service, const std::string& setting, bool open) {
  return (!open && setting.empty()) || AsksForKeys(service, setting);
}

bool ServiceNeedsKey(const ServedService& service, bool open) {
  return NeedsKey(service, service.settings.auth, open);
}

bool EndpointNeedsKey(const ServedService& service, std::string_view endpoint, bool open) {
  return NeedsKey(service, service.RulesOf(endpoint).settings->auth, open);
}

Json EndpointSecurity(const ServedService& service, std::string_view endpoint, bool open) {
  const std::string& auth = service.RulesOf(endpoint).settings->auth;
  const Json bearer = {{"bearer", Json::array()}}, basic = {{"basic", Json::array()}};
  if (auth == "jwt") return Json::array({bearer});
  if (auth == "public") return Json::array({Json::object()});
  if (NeedsKey(service, auth, open)) return Json::array({bearer, basic});
  return Json::array({Json::object(), bearer, basic});  // a key is taken, and logged
}

UserAccess UserGate::Check(const ServedService& service, const CallRules& rules,
                           std::string_view authorization, std::string_view client_subject) {
  const std::string& auth = rules.settings->auth;
  UserAccess access;
  if (auth == "jwt") {
    access = CheckToken(authorization);
    if (access.status != 200 && keys_->IsAdmin(SecretOfAuthorization(authorization)))
      access = {.by_secret = true, .label = kAdministrator};
  } else if (authorization.empty() && !client_subject.empty() && !AsksForKeys(service, auth)) {
    access.label = client_subject;
  } else {
    access = CheckKey(service, auth, authorization);
  }
  if (access.status == 200 && access.label.empty()) access.label = client_subject;
  return access;
}

bool UserGate::MayUse(const ServedGeneration& generation, const CallRules& rules,
                      const UserAccess& access) {
  return access.by_secret || generation.probability > 0 || !rules.settings->auth.empty() ||
         !PackageAsksForKeys(generation);
}

UserAccess UserGate::CheckToken(std::string_view authorization) {
  UserAccess access;
  access.hint = "send a token of the identity provider as Bearer";
  const std::string_view token = TokenOfAuthorization(authorization);
  if (tokens_ == nullptr) {
    access.status = 503;
    access.reason = "the service asks for tokens, but the node knows no identity provider";
    access.hint = "set jwks_url in [auth.jwt] of the node's configuration";
  } else if (token.empty()) {
    access.status = 401;
    access.reason = "the service needs a token";
  } else {
    JwtCheck check = tokens_->Check(token, static_cast<int64_t>(std::time(nullptr)));
    access.status = check.status;
    reason_ = std::move(check.reason);
    access.reason = reason_;
    access.by_secret = check.status == 200;
    caller_ = std::move(check.caller);
    if (caller_ != nullptr) access.label = caller_->label;
  }
  return access;
}

int UserGate::SecondsToWait(const CallRules& rules, const UserAccess& access,
                            std::string_view remote, int64_t now_ns) {
  if (rates_ == nullptr || !(rules.settings->rate_per_key > 0)) return 0;
  const double seconds = rates_->Take(*rules.rated_as, access.label.empty() ? remote : access.label,
                                      rules.settings->rate_per_key, now_ns);
  return seconds > 0 ? static_cast<int>(std::min(std::ceil(seconds), 3600.0)) : 0;
}

UserAccess UserGate::CheckKey(const ServedService& service, const std::string& auth,
                              std::string_view authorization) {
  const bool needed = NeedsKey(service, auth, open_);
  UserAccess access;
  access.hint = "send the key as the user of Basic authentication, or as Bearer";
  if (authorization.empty()) {
    if (!needed) return access;
    access.status = 401;
    access.reason = "the service needs an API key";
    return access;
  }
  const uint64_t version = keys_->version();
  const int64_t now = static_cast<int64_t>(std::time(nullptr));
  const bool expired = key_ && key_->expires_at != 0 && key_->expires_at <= now;
  if (version != version_ || authorization != header_ || expired) {
    const std::string secret = SecretOfAuthorization(authorization);
    key_ = keys_->Find(secret, now);
    // Whoever may do everything to the node may ask it, too: the deployer's queries.
    if (!key_ && keys_->IsAdmin(secret)) key_ = ApiKey{.label = std::string(kAdministrator)};
    header_.assign(authorization);
    version_ = version;
  }
  const bool allowed =
      key_ && (key_->services.empty() || std::find(key_->services.begin(), key_->services.end(),
                                                   service.id) != key_->services.end());
  access.by_secret = allowed;
  if (allowed) {
    access.label = key_->label.empty() ? std::string_view(key_->id) : key_->label;
  } else if (needed) {
    access.status = key_ ? 403 : 401;
    if (key_) {
      access.reason = "the API key is for other services";
    } else if (keys_->HasExpired(SecretOfAuthorization(authorization), now)) {
      access.reason = "the API key has expired";
      access.hint = "ask the node's administrator for a new one";
    } else {
      access.reason = "the API key is not known here";
    }
  }
  return access;
}

bool IsIdentityCoding(std::string_view coding) {
  return coding.empty() || EqualsLower(coding, "identity");
}
bool IsGzipCoding(std::string_view coding) {
  return EqualsLower(coding, "gzip") || EqualsLower(coding, "x-gzip");
}
bool IsDeflateCoding(std::string_view coding) { return EqualsLower(coding, "deflate"); }

Result<std::string_view> InflateBody(std::string_view body, size_t most, std::string* out) {
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 32) != Z_OK) return Unavailable("no memory to inflate the body");
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  stream.avail_in = static_cast<uInt>(body.size());
  size_t size = 0;
  int state = Z_OK;
  bool too_large = false;
  while (state == Z_OK && !too_large) {
    if (out->size() < size + (16 << 10)) out->resize(std::max<size_t>(2 * out->size(), 64 << 10));
    stream.next_out = reinterpret_cast<Bytef*>(out->data() + size);
    stream.avail_out = static_cast<uInt>(out->size() - size);
    state = inflate(&stream, Z_NO_FLUSH);
    size = out->size() - stream.avail_out;
    too_large = size > most;
    // RFC 1952 2.2: members follow one another.
    if (state == Z_STREAM_END && stream.avail_in > 0) state = inflateReset2(&stream, 15 + 16);
    if (state == Z_OK && stream.avail_in == 0 && stream.avail_out > 0) state = Z_BUF_ERROR;
  }
  const bool whole = state == Z_STREAM_END && stream.avail_in == 0;
  inflateEnd(&stream);
  if (too_large) {
    return InvalidArgument(
        "the body is larger than " + std::to_string(most) + " bytes once it is inflated",
        "send fewer records a request");
  }
  if (!whole) return InvalidArgument("the body is not compressed as its Content-Encoding says");
  if (out->size() < size + kHttpPadding) out->resize(size + kHttpPadding);
  return std::string_view(*out).substr(0, size);
}

}  // namespace slipway
