// Updates: from what is wanted to what the nodes serve, with the way back.
#include <algorithm>
#include <chrono>
#include <thread>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/deploy/deployer.h"

namespace slipway {
namespace {

const char* StatusOf(RolloutEnd end) {
  switch (end) {
    case RolloutEnd::kDone:
      return "done";
    case RolloutEnd::kUnchanged:
    case RolloutEnd::kWentBack:
      return "failed";
    case RolloutEnd::kPartial:
      return "partial";
  }
  return "failed";
}

Json GenerationsToJson(const DeploymentSpec& spec) { return SpecToJson(spec)["generations"]; }

// Unfinished: what is on the nodes is not only what this deployer last brought to an end.
bool IsUnsettled(const DeploymentRecord& record) {
  return record.state == "interrupted" || record.state == "partial";
}

}  // namespace

Error Deployer::Busy(const std::string& deployment) {
  return Conflict("an update of deployment '" + deployment + "' is running",
                  "wait until it has ended (slipway deployment show " + deployment +
                      "), or end it: slipway job ls, slipway job abort JOB");
}

RolloutResult Deployer::RunCanary(const UpdateRequest& request, Session& session,
                                  RolloutInput input, const DeploymentSpec& base,
                                  DeploymentSpec* reached) {
  const CanaryOptions& options = *request.canary;
  const DeploymentSpec desired = input.wish.desired;
  const std::string fresh = desired.generations[0].first;
  input.before = base;
  const auto count = [&] {
    ServiceCounters counters;
    Mutex mutex;
    ForEachInParallel(session.nodes.size(), 16, [&](size_t i) {
      const auto metrics = session.nodes[i]->Metrics(5);
      const MutexLock lock(mutex);
      if (metrics.ok()) counters.Add(*metrics, input.service, fresh);
    });
    return counters;
  };
  const auto go_back = [&](const std::string& why) {
    request.log("going back: " + why, 0);
    input.wish.desired = base;
    input.cancel = nullptr;
    input.best_effort = true;
    RolloutResult back = RunRollout(input);
    *reached = base;
    Error error = InvalidArgument("the canary was aborted: " + why,
                                  "every node serves " + DescribeSpec(base) + " again");
    if (back.end == RolloutEnd::kDone) return RolloutResult{RolloutEnd::kWentBack, error, 0};
    error.message += "; going back: " + back.error->message;
    error.hint =
        "slipway deployment update " + request.deployment + " brings all nodes to one state";
    return RolloutResult{RolloutEnd::kPartial, error, 0};
  };
  RolloutResult result;
  bool first = true;
  for (const double share : options.shares) {
    input.wish.desired = share >= 1 ? desired : WithShare(base, fresh, share);
    input.wish.desired.settings = desired.settings;
    // The old generation's answers are compared with the new one's, off the answers' path.
    if (share < 1) input.wish.desired.settings["shadow"] = fresh;
    const ServiceCounters start = count();
    const double began = SteadySeconds();
    result = RunRollout(input);
    // A later step finds the nodes in the mix of the one before: that is not to stay.
    if (result.end != RolloutEnd::kDone) return first ? result : go_back(result.error->message);
    first = false;
    input.wish.trust_mapped = true;
    if (share >= 1) break;
    request.log(DescribeSpec(input.wish.desired) + " is watched " + DescribeStep(options, fresh),
                share);
    for (;;) {
      const ServiceCounters now = count();
      const auto since = [](CanaryCounts a, const CanaryCounts& b) {
        // A node that started again counts from zero.
        return CanaryCounts{std::max<int64_t>(0, a.requests - b.requests),
                            std::max<int64_t>(0, a.errors - b.errors),
                            std::max(0.0, a.milliseconds - b.milliseconds)};
      };
      const CanaryLook look{
          since(now.Of(fresh), start.Of(fresh)), since(now.AllBut(fresh), start.AllBut(fresh)),
          std::max<int64_t>(0, now.equal - start.equal),
          std::max<int64_t>(0, now.different - start.different), SteadySeconds() - began};
      std::string why;
      const CanaryVerdict verdict = JudgeCanary(options, look, &why);
      if (verdict == CanaryVerdict::kGoBack) return go_back(why);
      if (verdict == CanaryVerdict::kGoOn) {
        if (look.fresh.requests == 0)
          request.log("warning: no request came to " + fresh + ": nothing was judged", share);
        request.log(DescribeSpec(input.wish.desired) + " is well: " + why, share);
        break;
      }
      if (request.cancel != nullptr && request.cancel->load())
        return go_back("the update was aborted");
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
  }
  *reached = desired;
  return result;
}

Result<Json> Deployer::Update(const UpdateRequest& given) {
  UpdateRequest request = given;
  Registry& registry = registry_;
  ASSIGN_OR_RETURN(const DeploymentRecord record, registry.deployments().Get(request.deployment));
  DeploymentSpec desired = request.desired.value_or(record.desired);
  if (request.canary) request.saved = record.desired;
  RolloutInput input;
  ASSIGN_OR_RETURN(input.packages, PackageFiles(record.service, desired));
  std::optional<DeploymentSpec> base = record.applied;
  if (request.canary) {
    if (!base || !base->enabled || base->generations.empty() || IsUnsettled(record))
      return Conflict("deployment '" + record.name +
                          "' serves nothing that a canary could be "
                          "compared with",
                      "bring it there first: slipway deployment update " + record.name);
    ASSIGN_OR_RETURN(auto more, PackageFiles(record.service, *base));
    input.packages.merge(more);
  }
  RETURN_IF_ERROR(MakeDirs(registry.home().NodesFolder(), 0700));
  const auto lock = FileLock::Acquire(registry.home().DeploymentLockPath(record.name), 0);
  if (!lock.ok()) return Busy(record.name);
  // Saved before any node is asked, so that it is not lost with this process.
  int64_t update = 0;
  {
    ASSIGN_OR_RETURN(Transaction transaction, registry.Begin());
    // Nor may a version that is wanted be unpublished in between.
    RETURN_IF_ERROR(PackageFiles(record.service, desired));
    if (desired != record.desired)
      RETURN_IF_ERROR(registry.deployments().SetDesired(record.name, desired));
    ASSIGN_OR_RETURN(update, registry.deployments().BeginUpdate(
                                 record.name, request.kind, request.who, record.applied, desired,
                                 record.epoch, request.job, request.saved));
    RETURN_IF_ERROR(transaction.Commit());
  }
  if (request.begun) request.begun();
  Session session;
  const auto open = [&]() -> Status {
    ASSIGN_OR_RETURN(session, Open(record.infra, true));
    if (session.nodes.empty())
      return Conflict("infrastructure '" + record.infra + "' has no nodes to bring it to");
    ASSIGN_OR_RETURN(const int64_t epoch, Epoch(session, request.take_over));
    return registry.deployments().SetEpoch(record.name, epoch);
  };
  const Status opened = open();
  request.log = [&registry, update, log = given.log](const std::string& line, double part) {
    (void)registry.deployments().AppendLog(update, line).ok();
    if (log) log(line, part);
  };
  request.log(DescribeSpec(desired) + " for " + record.service + " on " + record.infra + " (" +
                  std::to_string(session.nodes.size()) +
                  (session.nodes.size() == 1 ? " node)" : " nodes)"),
              0);
  input.service = record.service;
  input.wish = {desired, session.infra.settings.parallel, base && !IsUnsettled(record)};
  input.nodes = session.nodes;
  if (IsUnsettled(record)) input.before = record.applied;
  // On the way back a dead node keeps no other on what shall go.
  input.best_effort = request.kind == "rollback" || request.kind == "resume";
  input.cancel = request.cancel;
  input.log = request.log;
  DeploymentSpec reached = desired;
  const RolloutResult result =
      !opened.ok()     ? RolloutResult{RolloutEnd::kUnchanged, opened.error(), 0}
      : request.canary ? RunCanary(request, session, input, *base, &reached)
                       : RunRollout(input);
  std::optional<DeploymentSpec> applied;
  if (result.end == RolloutEnd::kDone) applied = reached;
  // What was a mix before, and was not changed, is one still.
  const bool still = result.end == RolloutEnd::kUnchanged && IsUnsettled(record);
  const std::string status = still ? "partial" : StatusOf(result.end);
  std::optional<Error> error = result.error;
  if (error) {
    if (const size_t at = error->hint.find("update NAME"); at != std::string::npos)
      error->hint.replace(at, 11, "update " + record.name);
  }
  // A canary that failed is not wanted any more; of any other update the wish stays, for a retry.
  if (request.saved && (!request.canary || result.end != RolloutEnd::kDone))
    RETURN_IF_ERROR(registry.deployments().SetDesired(record.name, *request.saved));
  if (result.end == RolloutEnd::kDone) ForgetOldGenerations(session, record, desired);
  request.log(error ? status + ": " + error->message : status, 1);
  RETURN_IF_ERROR(registry.deployments().EndUpdate(update, status, error, applied));
  if (error) return error->Within("deployment '" + record.name + "' (" + status + ")");
  return Json{{"update", update},           {"deployment", record.name},
              {"status", status},           {"generations", GenerationsToJson(reached)},
              {"enabled", desired.enabled}, {"changed", result.changed}};
}

// The nodes keep what is served and the way back; older generations only fill their disks.
void Deployer::ForgetOldGenerations(Session& session, const DeploymentRecord& before,
                                    const DeploymentSpec& now) {
  const auto published = registry_.published().Get(before.service);
  if (!published.ok()) return;
  ForEachInParallel(session.nodes.size(), 16, [&](size_t i) {
    const ObservedNode node = session.nodes[i]->Observe(before.service, 5);
    for (const ObservedGeneration& each : node.generations) {
      const auto keeps = [&](const DeploymentSpec& spec) {
        return std::any_of(spec.generations.begin(), spec.generations.end(),
                           [&](const auto& share) { return share.first == each.id; });
      };
      const bool ours =
          std::any_of(published->versions.begin(), published->versions.end(),
                      [&](const auto& version) { return version.version == each.id; });
      const bool previous = (before.applied && keeps(*before.applied)) ||
                            (before.previous && keeps(*before.previous));
      if (ours && !each.mapped && !keeps(now) && !previous)
        (void)session.nodes[i]->DeleteGeneration(before.service, each.id).ok();
    }
  });
}

Result<Json> Deployer::Plan(const std::string& name, const std::optional<DeploymentSpec>& wanted) {
  ASSIGN_OR_RETURN(const DeploymentRecord record, registry_.deployments().Get(name));
  const DeploymentSpec desired = wanted.value_or(record.desired);
  RETURN_IF_ERROR(PackageFiles(record.service, desired));
  ASSIGN_OR_RETURN(Session session, Open(record.infra, false));
  const auto nodes = ObserveAll(session.nodes, record.service, 10);
  const RolloutPlan plan = MakeRolloutPlan(
      {desired, session.infra.settings.parallel, record.applied && !IsUnsettled(record)}, nodes);
  Json steps = Json::array();
  const auto add = [&](const RolloutStep& step, int64_t wave) {
    steps.push_back({{"node", nodes[step.node].url},
                     {"step", StepKindName(step.kind)},
                     {"generation", step.generation.empty() ? Json() : Json(step.generation)},
                     {"wave", wave},
                     {"why", step.reason}});
  };
  for (const RolloutStep& step : plan.prepare) add(step, 0);
  int64_t wave = 0;
  for (const auto& steps_of_wave : plan.switches) {
    ++wave;
    for (const RolloutStep& step : steps_of_wave) add(step, wave);
  }
  return Json{{"deployment", record.name},
              {"to", DescribeSpec(desired)},
              {"steps", std::move(steps)},
              {"unreachable", plan.unreachable}};
}

Status Deployer::CheckIdle(const std::string& name) {
  RETURN_IF_ERROR(MakeDirs(registry_.home().NodesFolder(), 0700));
  const auto lock = FileLock::Acquire(registry_.home().DeploymentLockPath(name), 0);
  if (!lock.ok()) return Busy(name);
  return {};
}

Status Deployer::Remove(const std::string& name, bool force) {
  ASSIGN_OR_RETURN(const DeploymentRecord record, registry_.deployments().Get(name));
  RETURN_IF_ERROR(MakeDirs(registry_.home().NodesFolder(), 0700));
  const auto lock = FileLock::Acquire(registry_.home().DeploymentLockPath(name), 0);
  if (!lock.ok()) return Busy(name);
  ASSIGN_OR_RETURN(Session session, Open(record.infra, false));
  RETURN_IF_ERROR(Epoch(session, false));
  // All or nothing: a look first.
  const auto observed = ObserveAll(session.nodes, record.service, 10);
  for (const ObservedNode& node : observed) {
    if (node.reachable.ok() || force) continue;
    Error error = node.reachable.error();
    error.hint =
        "nothing was changed; with --force it is deleted here and on the other nodes, and "
        "the service stays on that one";
    return error;
  }
  std::vector<Status> statuses(session.nodes.size());
  ForEachInParallel(session.nodes.size(), 16, [&](size_t i) {
    if (!observed[i].reachable.ok()) return;
    statuses[i] = session.nodes[i]->DeleteService(record.service);
    if (!statuses[i].ok() && statuses[i].error().code == ErrorCode::kNotFound) statuses[i] = {};
  });
  for (Status& status : statuses) {
    if (status.ok() || force) continue;
    Error error = std::move(status).error();
    error.hint = "with --force it is deleted here, and the service stays on that node";
    return error;
  }
  RETURN_IF_ERROR(registry_.deployments().Delete(record.name));
  return RemoveAll(registry_.home().DeploymentLockPath(record.name));
}

// What is to be brought where it belongs by itself: updates that a process left unfinished, and
// ways back that a node missed. A plain update that ended in between is for a person to decide.
std::optional<UpdateRequest> Deployer::Repair(const DeploymentRecord& record) {
  if (!IsUnsettled(record)) return std::nullopt;
  const auto updates = registry_.deployments().Updates(record.name, 1);
  const std::string kind = updates.ok() && !updates->empty() ? updates->front().kind : "";
  UpdateRequest request;
  request.deployment = record.name;
  request.kind = "resume";
  // An unfinished canary has proved nothing.
  if (updates.ok() && !updates->empty() && updates->front().saved && record.applied) {
    request.desired = record.applied;
    request.saved = updates->front().saved;
  }
  if (record.state == "interrupted") return request;
  const bool back = kind == "canary" || kind == "rollback" || kind == "resume";
  return record.state == "partial" && back ? std::optional(request) : std::nullopt;
}

std::vector<std::string> Deployer::Recover(const std::string& who, bool again) {
  std::vector<std::string> lines;
  const auto all = registry_.deployments().List();
  if (!all.ok()) return {all.error().message};
  for (const DeploymentRecord& record : *all) {
    std::optional<UpdateRequest> request = Repair(record);
    if (!request) continue;
    // One that fails for another reason than a dead node is not tried, and recorded, every few
    // seconds: after 10, 20, 40, ... 600 s.
    Retry& retry = retries_[record.name + "\n" + record.created_at];
    if (again && (SteadySeconds() < retry.next || !CheckIdle(record.name).ok())) continue;
    if (again) {  // nor while a node is gone
      auto session = Open(record.infra, false);
      if (!session.ok()) continue;
      const auto nodes = ObserveAll(session->nodes, record.service, 3);
      if (!std::all_of(nodes.begin(), nodes.end(), [](const auto& n) { return n.reachable.ok(); }))
        continue;
    }
    if (again) {
      retry.wait = std::clamp(retry.wait * 2, 10.0, 600.0);
      retry.next = SteadySeconds() + retry.wait;
    }
    request->who = who;
    const DeploymentSpec wanted = request->desired.value_or(record.desired);
    const auto updated = Update(*request);
    lines.push_back("deployment " + record.name + ": an update was " +
                    (record.state == "partial" ? "not brought to every node; " : "interrupted; ") +
                    (!updated.ok()    ? updated.error().message
                     : wanted.enabled ? "every node serves " + DescribeSpec(wanted) + " now"
                                      : "it is disabled on every node"));
  }
  return lines;
}

}  // namespace slipway
