#include "slipway/serve/jwt.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>

#include "slipway/base/file.h"
#include "slipway/base/hash.h"
#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/serve/jwt_fetch.h"
#include "slipway/serve/jwt_keys.h"
#include "slipway/serve/log.h"

namespace slipway {
namespace {

constexpr size_t kMaxTokenBytes = 16 << 10;
constexpr size_t kShards = 16, kTokensPerShard = 512;
constexpr double kLeastRefetchSeconds = 30, kRefetchRetrySeconds = 5;
constexpr size_t kMostTries = 4;  // keys that are tried for a token that names none

using KeySet = std::vector<JwtKey>;

struct TextHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return Xxh3(text); }
};

// Tokens that were found good. Bounded: a full shard first loses what has expired, then half.
class TokenMemory {
 public:
  std::shared_ptr<const JwtCaller> Find(std::string_view token, uint64_t keys, int64_t now) {
    Shard& shard = ShardOf(token);
    const std::lock_guard<std::mutex> lock(shard.mutex);
    const auto at = shard.tokens.find(token);
    if (at == shard.tokens.end()) return nullptr;
    if (at->second.keys == keys && at->second.caller->expires_at > now) return at->second.caller;
    shard.tokens.erase(at);
    return nullptr;
  }
  void Keep(std::string_view token, uint64_t keys, int64_t now,
            std::shared_ptr<const JwtCaller> caller) {
    Shard& shard = ShardOf(token);
    const std::lock_guard<std::mutex> lock(shard.mutex);
    if (shard.tokens.size() >= kTokensPerShard) {
      std::erase_if(shard.tokens, [&](const auto& each) {
        return each.second.keys != keys || each.second.caller->expires_at <= now;
      });
      bool other = false;
      if (shard.tokens.size() >= kTokensPerShard)
        std::erase_if(shard.tokens, [&](const auto&) { return other = !other; });
    }
    shard.tokens.insert_or_assign(std::string(token), Entry{keys, std::move(caller)});
  }
  int64_t size() {
    int64_t total = 0;
    for (Shard& shard : shards_) {
      const std::lock_guard<std::mutex> lock(shard.mutex);
      total += static_cast<int64_t>(shard.tokens.size());
    }
    return total;
  }

 private:
  struct Entry {
    uint64_t keys = 0;  // the version of the key set that it was checked with
    std::shared_ptr<const JwtCaller> caller;
  };
  struct alignas(64) Shard {
    std::mutex mutex;
    std::unordered_map<std::string, Entry, TextHash, std::equal_to<>> tokens;
  };
  Shard& ShardOf(std::string_view token) { return shards_[Xxh3(token, 1) % kShards]; }
  std::array<Shard, kShards> shards_;
};

// A token taken apart, nothing checked yet.
struct JwtParts {
  std::string_view signed_text;
  std::string signature;
  Json header, claims;
};

Result<JwtParts> TakeApart(std::string_view token) {
  const Error bad = PermissionDenied("the token is no signed JSON Web Token");
  const size_t first = token.find('.');
  const size_t second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (token.size() > kMaxTokenBytes || second == std::string_view::npos ||
      token.find('.', second + 1) != std::string_view::npos)
    return bad;
  JwtParts parts;
  parts.signed_text = token.substr(0, second);
  std::optional<std::string> signature = DecodeBase64Url(token.substr(second + 1));
  const auto json = [](std::string_view text) -> std::optional<Json> {
    const std::optional<std::string> decoded = DecodeBase64Url(text);
    if (!decoded) return std::nullopt;
    Result<Json> read = ParseJson(*decoded, {kMaxTokenBytes, 16});
    if (!read.ok() || !read->is_object()) return std::nullopt;
    return std::move(*read);
  };
  std::optional<Json> header = json(token.substr(0, first));
  std::optional<Json> claims = json(token.substr(first + 1, second - first - 1));
  if (!signature || !header || !claims) return bad;
  parts.signature = std::move(*signature);
  parts.header = std::move(*header);
  parts.claims = std::move(*claims);
  return parts;
}

std::string TextClaim(const Json& object, std::string_view name) {
  const Json* member = FindMember(object, name);
  return member != nullptr && member->is_string() ? member->get<std::string>() : std::string();
}

// Seconds since 1970; nullopt: there is no such claim, or it is no date.
std::optional<double> DateClaim(const Json& claims, std::string_view name) {
  const Json* member = FindMember(claims, name);
  if (member == nullptr || !member->is_number()) return std::nullopt;
  const double value = member->get<double>();
  // Beyond it, arithmetic on whole seconds would overflow.
  if (!std::isfinite(value) || std::fabs(value) > 1e15) return std::nullopt;
  return value;
}

// A text (with blanks between several) or a list of texts.
std::vector<std::string> ListClaim(const Json& claims, std::string_view name, bool blanks) {
  std::vector<std::string> out;
  const Json* member = FindMember(claims, name);
  if (member == nullptr) return out;
  if (member->is_string()) {
    if (!blanks) return {member->get<std::string>()};
    for (std::string& each : Split(member->get<std::string>(), ' ')) {
      if (!each.empty()) out.push_back(std::move(each));
    }
  } else if (member->is_array()) {
    for (const Json& each : *member) {
      if (each.is_string()) out.push_back(each.get<std::string>());
    }
  }
  return out;
}

bool Holds(const std::vector<std::string>& list, const std::string& text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

// Letters, digits and a little more: it stands in logs and metrics.
std::string CleanLabel(std::string text) {
  text.resize(std::min<size_t>(text.size(), 128));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7F) c = '?';
  }
  return text;
}

JwtCheck Refused(int status, std::string reason) { return {nullptr, status, std::move(reason)}; }

class LiveVerifier : public JwtVerifier {
 public:
  explicit LiveVerifier(JwtOptions options) : options_(std::move(options)) {}
  ~LiveVerifier() override;
  Status Start();
  JwtCheck Check(std::string_view token, int64_t now) override;
  Counts counts() const override;
  void WaitForKeys() override;

 private:
  struct Signed {
    bool good = false, unknown_key = false;
  };
  std::shared_ptr<const KeySet> keys(uint64_t* version) const;
  Result<std::string> Read() const;
  Status Refresh();
  void Run();
  // Asks for the keys again; false: that was done a moment ago.
  bool AskAgain();
  Signed CheckSignature(const JwtParts& parts, const KeySet& keys) const;
  JwtCheck CheckClaims(const Json& claims, int64_t now) const;

  const JwtOptions options_;
  FetchUrl url_;
  mutable TokenMemory memory_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<const KeySet> keys_;  // nullptr: none yet
  std::string text_;                    // what they were read from
  std::atomic<uint64_t> version_{0};    // of keys_
  bool stop_ = false, wanted_ = false;
  std::optional<std::chrono::steady_clock::time_point> asked_;  // because of an unknown key
  int64_t fetched_ = 0, failed_ = 0;
  std::thread thread_;
};

LiveVerifier::~LiveVerifier() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Status LiveVerifier::Start() {
  if (!options_.jwks_url.empty() && !options_.jwks_file.empty())
    return InvalidArgument("both jwks_url and jwks_file are set", "set one of them");
  if (!options_.enabled())
    return InvalidArgument("neither jwks_url nor jwks_file is set", "set one of them");
  if (options_.jwks_url.empty()) {
    RETURN_IF_ERROR(Refresh());
  } else {
    ASSIGN_OR_RETURN(url_, ParseFetchUrl(options_.jwks_url));
  }
  thread_ = std::thread([this] { Run(); });
  return {};
}

Result<std::string> LiveVerifier::Read() const {
  if (!options_.jwks_file.empty()) return ReadFile(options_.jwks_file, size_t{1} << 20);
  FetchOptions fetch;
  fetch.ca_file = options_.ca_file;
  return FetchDocument(url_, fetch);
}

Status LiveVerifier::Refresh() {
  const auto read = [&]() -> Result<std::pair<std::string, std::shared_ptr<const KeySet>>> {
    ASSIGN_OR_RETURN(std::string text, Read());
    ASSIGN_OR_RETURN(KeySet keys, ParseJwks(text));
    return std::pair(std::move(text), std::make_shared<const KeySet>(std::move(keys)));
  };
  auto got = read();
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!got.ok()) {
    ++failed_;
    changed_.notify_all();
    return got.error();
  }
  ++fetched_;
  if (keys_ == nullptr || got->first != text_) {
    text_ = std::move(got->first);
    keys_ = std::move(got->second);
    ++version_;
  }
  changed_.notify_all();
  return {};
}

void LiveVerifier::Run() {
  bool fetch_now = options_.jwks_file.empty();
  for (;;) {
    double wait = std::max(1.0, options_.cache_seconds);
    if (fetch_now) {
      if (const Status fetched = Refresh(); !fetched.ok()) {
        LogWarning("the keys of tokens (JWKS) could not be had; the old ones stay",
                   {{"error", fetched.error().message}});
        wait = std::min(wait, kRefetchRetrySeconds);
      }
    }
    fetch_now = true;
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait_for(lock, std::chrono::duration<double>(wait), [&] { return stop_ || wanted_; });
    if (stop_) return;
    wanted_ = false;
  }
}

bool LiveVerifier::AskAgain() {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (asked_ && now - *asked_ < std::chrono::duration<double>(kLeastRefetchSeconds)) return false;
  asked_ = now;
  wanted_ = true;
  changed_.notify_all();
  return true;
}

std::shared_ptr<const KeySet> LiveVerifier::keys(uint64_t* version) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  *version = version_.load();
  return keys_;
}

LiveVerifier::Signed LiveVerifier::CheckSignature(const JwtParts& parts, const KeySet& keys) const {
  Signed out;
  const JwtAlgorithm* algorithm = FindJwtAlgorithm(TextClaim(parts.header, "alg"));
  const std::string id = TextClaim(parts.header, "kid");
  // Extensions that one must understand: we know none (RFC 7515, 4.1.11).
  if (algorithm == nullptr || FindMember(parts.header, "crit") != nullptr) return out;
  size_t tried = 0;
  bool named = id.empty();
  for (const JwtKey& key : keys) {
    if (!id.empty() && key.id() != id) continue;
    named = true;
    if (!key.Suits(*algorithm) || ++tried > kMostTries) continue;
    if (key.Verify(*algorithm, parts.signed_text, parts.signature)) {
      out.good = true;
      return out;
    }
  }
  out.unknown_key = !named;
  return out;
}

JwtCheck LiveVerifier::CheckClaims(const Json& claims, int64_t now) const {
  const auto time = static_cast<double>(now);
  const std::optional<double> expires = DateClaim(claims, "exp");
  if (!expires) return Refused(401, "the token does not say when it expires (exp)");
  if (*expires + options_.leeway_seconds <= time) return Refused(401, "the token has expired");
  if (FindMember(claims, "nbf") != nullptr) {
    const std::optional<double> begins = DateClaim(claims, "nbf");
    if (!begins || *begins - options_.leeway_seconds > time)
      return Refused(401, "the token is not valid yet (nbf)");
  }
  if (!options_.issuer.empty() && TextClaim(claims, "iss") != options_.issuer)
    return Refused(401, "the token is of another issuer (iss)");
  if (!options_.audience.empty()) {
    const std::vector<std::string> audience = ListClaim(claims, "aud", false);
    const bool meant = std::any_of(options_.audience.begin(), options_.audience.end(),
                                   [&](const std::string& each) { return Holds(audience, each); });
    if (!meant) return Refused(401, "the token is for another audience (aud)");
  }
  if (!options_.scopes.empty()) {
    const std::vector<std::string> scopes = ListClaim(claims, options_.scope_claim, true);
    for (const std::string& scope : options_.scopes) {
      if (!Holds(scopes, scope)) return Refused(403, "the token lacks the scope '" + scope + "'");
    }
  }
  JwtCaller caller;
  caller.expires_at = static_cast<int64_t>(*expires + options_.leeway_seconds);
  if (!options_.client_claim.empty()) {
    caller.label = TextClaim(claims, options_.client_claim);
  } else {
    for (const char* name : {"client_id", "azp", "sub"}) {
      if (caller.label.empty()) caller.label = TextClaim(claims, name);
    }
  }
  caller.label = CleanLabel(std::move(caller.label));
  return {std::make_shared<const JwtCaller>(std::move(caller)), 200, ""};
}

JwtCheck LiveVerifier::Check(std::string_view token, int64_t now) {
  uint64_t version = 0;
  const std::shared_ptr<const KeySet> set = keys(&version);
  if (set == nullptr) return Refused(503, "the keys of the identity provider are not here yet");
  if (std::shared_ptr<const JwtCaller> known = memory_.Find(token, version, now))
    return {std::move(known), 200, ""};
  const Result<JwtParts> parts = TakeApart(token);
  if (!parts.ok()) return Refused(401, parts.error().message);
  const Signed checked = CheckSignature(*parts, *set);
  if (checked.unknown_key) {
    // Providers change their keys; whoever asks again in a moment is answered.
    if (AskAgain()) return Refused(503, "the token's key is not known here yet; keys are fetched");
    return Refused(401, "the token's key is not one of the identity provider's");
  }
  if (!checked.good) return Refused(401, "the token's signature is not one that is accepted here");
  JwtCheck result = CheckClaims(parts->claims, now);
  if (result.caller != nullptr) memory_.Keep(token, version, now, result.caller);
  return result;
}

JwtVerifier::Counts LiveVerifier::counts() const {
  Counts counts;
  counts.remembered = memory_.size();
  const std::lock_guard<std::mutex> lock(mutex_);
  counts.keys = keys_ == nullptr ? 0 : static_cast<int64_t>(keys_->size());
  counts.fetched = fetched_;
  counts.failed = failed_;
  return counts;
}

void LiveVerifier::WaitForKeys() {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [&] { return keys_ != nullptr || failed_ > 0; });
}

}  // namespace

Result<std::unique_ptr<JwtVerifier>> JwtVerifier::Make(const JwtOptions& options) {
  auto verifier = std::make_unique<LiveVerifier>(options);
  RETURN_IF_ERROR(verifier->Start());
  return std::unique_ptr<JwtVerifier>(std::move(verifier));
}

std::string_view TokenOfAuthorization(std::string_view header) {
  constexpr std::string_view kScheme = "bearer ";
  if (header.size() <= kScheme.size() || ToLower(header.substr(0, kScheme.size())) != kScheme)
    return {};
  return Trim(header.substr(kScheme.size()));
}

}  // namespace slipway
