// Which node gave an answer: asked of their query logs.
#include <algorithm>

#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/deploy/deployer.h"
#include "slipway/querylog/search.h"

namespace slipway {
namespace {

constexpr int kSearches = 2;
constexpr double kNodeSeconds = 30;    // a node looks for 20
constexpr double kFolderSeconds = 20;  // of a local node that does not run

struct Asked {
  std::string infra, node;
  Status reachable;
  Json answer;
};

// The same members as the node's own answer.
Result<Json> LookIntoFolder(const std::string& folder, const std::string& request_id) {
  Json out = {{"enabled", true}};
  FoundQueries found;
  if (IsDirectory(folder)) {
    ASSIGN_OR_RETURN(found,
                     FindInQueryLog(folder, {.request_id = request_id, .seconds = kFolderSeconds}));
  }
  out["lines"] = found.lines;
  out["count"] = found.count;
  out["files"] = found.files;
  out["complete"] = found.complete;
  out["since"] = found.since;
  return out;
}

// Why a log has nothing: for the one who looks for it.
std::string WhyNothing(const Asked& asked) {
  if (!asked.reachable.ok()) return asked.reachable.error().message;
  const Json& answer = asked.answer;
  std::string why = asked.node + ": ";
  if (!answer.value("enabled", true)) return why + "it keeps no query log (query_log.enabled)";
  const std::string since = TextMember(answer, "since");
  if (since.empty()) return why + "its query log is empty";
  why +=
      std::string(answer.value("complete", true) ? "its log begins"
                                                 : "its log was looked through in time back to") +
      " at " + since;
  if (answer.value("sample", 1.0) < 1)
    why += ", and has " + FormatDouble(answer.value("sample", 1.0) * 100) + " % of the requests";
  if (const int64_t dropped = answer.value("dropped", int64_t{0}); dropped > 0)
    why += ", and " + FormatCount(dropped) + " lines were dropped since the node started";
  return why;
}

FoundAnswer Newest(const Asked& asked) {
  FoundAnswer found;
  found.infra = asked.infra;
  found.node = asked.node;
  const auto lines = asked.answer["lines"].get<std::vector<Json>>();
  const Json& last = lines.back();
  found.lines = LastRequest(lines);
  found.others = static_cast<int64_t>(lines.size() - found.lines.size());
  found.count = std::max(static_cast<int64_t>(found.lines.size()),
                         asked.answer.value("count", int64_t{0}) - found.others);
  for (const Json& each : asked.answer.value("generations", Json::array())) {
    if (TextMember(each, "service") == TextMember(last, "service") &&
        TextMember(each, "generation") == TextMember(last, "generation"))
      found.manifest_sha256 = TextMember(each, "manifestSha256");
  }
  return found;
}

}  // namespace

Result<FoundAnswer> Deployer::FindAnswer(const std::string& request_id,
                                         const std::vector<std::string>& infras) {
  if (!IsRequestId(request_id))
    return InvalidArgument("'" + request_id.substr(0, 200) + "' is no request id",
                           "it is what the answer's header X-Request-Id says");
  // They take a while: a hub's few threads are not all for them.
  struct Turn {
    explicit Turn(std::atomic<int>& running) : count(running), mine(++running) {}
    ~Turn() { --count; }
    std::atomic<int>& count;
    const int mine;
  } const turn(searches_);
  if (turn.mine > kSearches)
    return Unavailable("query logs are being looked through already", "try again in a few seconds");
  std::vector<std::string> why;
  std::vector<Session> sessions;
  std::vector<std::pair<size_t, size_t>> nodes;  // session, its node
  for (const std::string& infra : infras) {
    auto opened = Open(infra, false);
    if (!opened.ok()) {  // one that cannot be asked hides no other
      why.push_back(infra + ": " + opened.error().message);
      continue;
    }
    Session session = *std::move(opened);
    for (size_t i = 0; i < session.nodes.size(); ++i) nodes.emplace_back(sessions.size(), i);
    sessions.push_back(std::move(session));
  }
  std::vector<Asked> asked(nodes.size());
  ForEachInParallel(nodes.size(), 16, [&](size_t i) {
    Session& session = sessions[nodes[i].first];
    NodeClient& node = *session.nodes[nodes[i].second];
    asked[i].infra = session.infra.name;
    asked[i].node = node.url();
    const bool stopped_local = session.infra.type == "local" && node.url().starts_with("local:");
    Result<Json> answer = stopped_local
                              ? LookIntoFolder(JoinPath(registry_.home().NodesFolder(),
                                                        node.url().substr(6) + "/query-log"),
                                               request_id)
                              : node.FindQuery(request_id, kNodeSeconds);
    if (answer.ok()) {
      asked[i].answer = *std::move(answer);
    } else {
      asked[i].reachable = answer.error();
    }
  });
  const Asked* newest = nullptr;
  const auto time_of = [](const Asked& each) {
    return TextMember(each.answer["lines"].back(), "time");
  };
  for (const Asked& each : asked) {
    if (!each.answer.is_object() || each.answer["lines"].empty()) {
      why.push_back(WhyNothing(each));
    } else if (newest == nullptr || time_of(each) > time_of(*newest)) {
      newest = &each;
    }
  }
  if (newest != nullptr) return Newest(*newest);
  if (asked.empty() && why.empty())
    return NotFound("there is no node whose query log could have request '" + request_id + "'",
                    "a node's log, wherever it lies: --query-log FILE");
  return NotFound("no query log has request '" + request_id + "'", Join(why, "; "));
}

}  // namespace slipway
