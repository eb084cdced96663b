// Deployments: one published service on one infrastructure: what is wanted of its nodes, what was
// last brought to all of them, and the history of updates. Every change is one transaction.
// Thread-safe as Database is.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/base/result.h"
#include "slipway/store/database.h"

namespace slipway {

// What the nodes shall serve.
struct DeploymentSpec {
  std::vector<std::pair<std::string, double>> generations;  // version -> weight; they sum to 1
  Json settings = Json::object();                           // of the service on a node
  bool enabled = true;

  bool operator==(const DeploymentSpec& other) const = default;
};
Json SpecToJson(const DeploymentSpec& spec);
Result<DeploymentSpec> SpecFromJson(const Json& json);
// "v1 90 %, v2 10 %", "v3", "disabled".
std::string DescribeSpec(const DeploymentSpec& spec);

struct DeploymentRecord {
  int64_t id = 0;
  std::string name, service, infra;
  DeploymentSpec desired;
  std::optional<DeploymentSpec> applied;  // what all nodes got last
  // And before that, enabled: where a rollback goes. Disabling and enabling do not change it.
  std::optional<DeploymentSpec> previous;
  int64_t revision = 0;  // counts changes of `desired`
  std::string state;     // new | deployed | updating | failed | partial | interrupted
  std::string reason;    // of the last three
  int64_t epoch = 0;     // of the last update
  std::string created_at, created_by, updated_at;
};

struct UpdateRecord {
  int64_t id = 0;
  std::string deployment;
  std::string kind;    // update | rollback | canary | enable | disable | resume | delete
  std::string status;  // running | done | failed | partial | interrupted
  std::string requester, started_at, ended_at;
  std::optional<DeploymentSpec> before;
  DeploymentSpec after;
  std::optional<Error> error;
  std::string log;
  std::string job;  // "": it ran in none
  // Of a canary, or of what takes one back: what was wanted before it, and is again without it.
  std::optional<DeploymentSpec> saved;
};

class Deployments {
 public:
  explicit Deployments(Database& database) : database_(database) {}

  Result<DeploymentRecord> Create(std::string_view name, std::string_view service,
                                  std::string_view infra, const DeploymentSpec& desired,
                                  std::string_view who);
  Result<std::vector<DeploymentRecord>> List() const;
  // kNotFound with a suggestion.
  Result<DeploymentRecord> Get(std::string_view name) const;
  // What is wanted from now on; nothing is pushed by it.
  Status SetDesired(std::string_view name, const DeploymentSpec& desired);
  Status Delete(std::string_view name);

  // A number above all that were given: who takes over takes the next one. `at_least`: and above
  // this one.
  Result<int64_t> NextEpoch(int64_t at_least = 0);
  // The last one given, or the first: of processes that write side by side and do not follow each
  // other.
  Result<int64_t> SharedEpoch();

  // An update begins: the deployment is "updating" until EndUpdate. kConflict while one runs.
  Result<int64_t> BeginUpdate(std::string_view name, std::string_view kind,
                              std::string_view requester,
                              const std::optional<DeploymentSpec>& before,
                              const DeploymentSpec& after, int64_t epoch, std::string_view job = "",
                              const std::optional<DeploymentSpec>& saved = {});
  // The epoch with which nodes are told from now on.
  Status SetEpoch(std::string_view name, int64_t epoch);
  Status AppendLog(int64_t update, std::string_view line);
  // `applied`: what all nodes have now (the one before it becomes `previous`).
  Status EndUpdate(int64_t update, std::string_view status, const std::optional<Error>& error,
                   const std::optional<DeploymentSpec>& applied);
  // Updates whose process has ended are marked "interrupted", and their deployments with them;
  // gives these. `runs` says of a deployment whether another process updates it now.
  Result<std::vector<UpdateRecord>> MarkInterrupted(
      const std::function<bool(const std::string& deployment)>& runs = {});
  // Newest first.
  Result<std::vector<UpdateRecord>> Updates(std::string_view name, int64_t limit = 50) const;

 private:
  Database& database_;
};

}  // namespace slipway
