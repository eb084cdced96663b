// The deployer of a home: what is wanted, from the registry; the nodes, through drivers; and the
// way from one to the other. One process at a time changes nodes (the home's lock), under an epoch
// that is higher than that of every process before it.
//
// Thread-safe. Calls block on the network, each within bounded time.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/base/mutex.h"
#include "slipway/base/result.h"
#include "slipway/deploy/activity_recorder.h"
#include "slipway/deploy/canary.h"
#include "slipway/deploy/driver.h"
#include "slipway/deploy/local_nodes.h"
#include "slipway/deploy/node_metrics.h"
#include "slipway/deploy/rollout.h"
#include "slipway/http/client.h"
#include "slipway/registry/registry.h"

namespace slipway {

struct UpdateRequest {
  std::string deployment;
  std::string kind = "update";            // as UpdateRecord::kind
  std::optional<DeploymentSpec> desired;  // absent: what is saved
  std::optional<CanaryOptions> canary;    // desired has one generation then
  std::optional<DeploymentSpec> saved;    // as UpdateRecord::saved: what is wanted once it is done
  bool take_over = false;  // take an epoch above what the nodes have seen from another deployer
  std::string who;
  std::string job;
  const std::atomic<bool>* cancel = nullptr;
  std::function<void(const std::string& line, double part)> log;
  std::function<void()> begun;  // called once the wish is saved: from here on it is not lost
};

// An answer that a node gave, as its query log has it.
struct FoundAnswer {
  std::string infra, node;
  std::vector<Json> lines;      // one a record, of the newest request of this id
  int64_t count = 0;            // records of it in the log, also those beyond `lines`
  int64_t others = 0;           // lines of other requests with the same id
  std::string manifest_sha256;  // of the package that the node has as that generation; "": gone
};

struct QueryRequest {
  std::string deployment, endpoint;
  Json body;               // of predict or lookup; or
  Json record;             // the one record's fields
  std::string generation;  // forced; empty: as the mapping says
  std::string node;        // its URL; empty: the first that answers
};

class Deployer {
 public:
  explicit Deployer(Registry& registry);
  ~Deployer();  // when it supervises: stops the local nodes
  Deployer(const Deployer&) = delete;
  Deployer& operator=(const Deployer&) = delete;

  // Runs in the background until the destructor: local nodes are kept alive, updates that a process
  // before this one left unfinished are brought to an end, activity is recorded. For a process that
  // stays: the hub.
  void Supervise();
  // Another process has taken over: its nodes are left alone from now on.
  void Abandon() { abandoned_ = true; }

  // Brings the deployment to the nodes. The answer: {"update", "status", "generations", "changed"}.
  Result<Json> Update(const UpdateRequest& request);
  // What Update would do: {"steps": [{"node", "step", "generation", "why"}], "unreachable": [..]}.
  Result<Json> Plan(const std::string& deployment, const std::optional<DeploymentSpec>& desired);
  // Goes from what is wanted to nothing: the service leaves the nodes. `force`: also when a node
  // cannot be reached; else nothing is changed then.
  Status Remove(const std::string& deployment, bool force);
  static Error Busy(const std::string& deployment);
  // kConflict while an update of it runs.
  Status CheckIdle(const std::string& deployment);
  // Unfinished updates of processes that ended, and ways back that a node missed; what became of
  // each, for people. `again`: only where every node can be reached now.
  std::vector<std::string> Recover(const std::string& who, bool again = false);

  // As stored, without a look at the nodes.
  Result<Json> Describe(const DeploymentRecord& record);
  static Json Describe(const DeploymentRecord& record, const InfraRecord& infra);
  // With a look at every node: health, generations, endpoints.
  Result<Json> Examine(const std::string& deployment);
  // The same of many; every node is asked once, whatever is deployed on it. A list in their order.
  Result<Json> ExamineAll(const std::vector<DeploymentRecord>& records);
  // The packaged test queries on every node: a list of {"endpoint", "query", "ok", "answer",
  // "expected", "difference", "generation", "node", "milliseconds"}.
  Result<Json> Test(const std::string& deployment);
  // The answer as the node gave it, with "node" and "request_id".
  Result<Json> Query(const QueryRequest& request);
  // Who answered the request: the query logs of the nodes of these infrastructures, all at once.
  // Of a local node that does not run, its files. kNotFound says how far each was looked through.
  Result<FoundAnswer> FindAnswer(const std::string& request_id,
                                 const std::vector<std::string>& infras);
  // The nodes' counters: [{"deployment", "stage", "endpoint", "generation", "requests", "errors",
  // "p50_ms", "p95_ms", "p99_ms", "nodes"}], since each node started.
  Result<Json> Activity(const std::string& deployment);
  // What a supervising deployer has recorded since then (seconds since 1970): the same rows, each
  // with "series": [{"at", "requests", "errors", "p50_ms", "p95_ms", "p99_ms"}] and the seconds of
  // its spans. Percentiles are those of the requests of the span.
  Result<Json> ActivitySince(const std::string& deployment, int64_t since);

  // Of type local: whether each node runs; starting and stopping them.
  Result<Json> Nodes(const InfraRecord& infra, bool start);
  Status StopNodes(const InfraRecord& infra);
  Status RemoveInfra(const InfraRecord& infra, const std::string& who);

 private:
  // The nodes of an infrastructure, ready to be called.
  struct Session {
    InfraRecord infra;
    std::shared_ptr<HttpClient> http;
    std::vector<std::unique_ptr<NodeClient>> clients;
    std::vector<NodeClient*> nodes;
  };
  Result<Session> Open(const std::string& infra, bool start);
  Result<Session> Open(const InfraRecord& infra, bool start);
  // What the nodes of one infrastructure said.
  struct Seen {
    InfraRecord infra;
    struct Node {
      std::string url;
      Status reachable;
      std::map<std::string, ObservedNode> services;
      NodeMetrics metrics;
    };
    std::vector<Node> nodes;
  };
  // All nodes at the same time, so that one that does not answer keeps nobody but itself waiting.
  // By the infrastructure's name; one that cannot be asked (its keys cannot be read) is left out.
  Result<std::map<std::string, Seen>> Look(const std::set<std::string>& infras, bool services,
                                           double seconds);
  // "running" and a message, of a deployment that is being updated.
  void TellRunning(const DeploymentRecord& record, Json* out);
  Result<int64_t> Epoch(Session& session, bool take_over) EXCLUDES_LOCK(mutex_);
  Result<std::map<std::string, std::string>> PackageFiles(const std::string& service,
                                                          const DeploymentSpec& spec);
  RolloutResult RunCanary(const UpdateRequest& request, Session& session, RolloutInput input,
                          const DeploymentSpec& base, DeploymentSpec* reached);
  void ForgetOldGenerations(Session& session, const DeploymentRecord& before,
                            const DeploymentSpec& now);
  std::optional<UpdateRequest> Repair(const DeploymentRecord& record);
  void SuperviseLoop(const std::stop_token& stop);
  void RepairLoop(const std::stop_token& stop);
  void WatchLoop(const std::stop_token& stop);
  void RecordActivity(ActivityRecorder& recorder);

  Registry& registry_;
  LocalNodes local_;
  Mutex mutex_;
  std::map<std::string, std::shared_ptr<HttpClient>> clients_ GUARDED_BY(mutex_);
  int64_t epoch_ GUARDED_BY(mutex_) = 0;
  struct Retry {
    double wait = 0, next = 0;
  };
  std::map<std::string, Retry> retries_;  // of Recover, which one thread calls
  std::atomic<bool> abandoned_ = false;
  std::atomic<int> searches_ = 0;  // of query logs, now
  std::mutex sleep_mutex_;
  std::condition_variable_any wake_;
  std::jthread supervisor_, watcher_, repairer_;
};

// Health of a node and of a deployment, from what was seen; pure.
struct NodeHealth {
  std::string health;  // healthy | warning | error | unknown
  std::string reason;
};
NodeHealth JudgeNode(const DeploymentRecord& record, const ObservedNode& node);
std::string JudgeDeployment(const DeploymentRecord& record, const std::vector<NodeHealth>& nodes);

}  // namespace slipway
