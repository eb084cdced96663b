#include "slipway/deploy/rollout.h"

#include <algorithm>
#include <set>
#include <thread>

#include "slipway/base/mutex.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

constexpr double kObserveSeconds = 10;
constexpr size_t kRolloutThreads = 32;

// The first test query that did not give what it expects.
Status CheckOutcomes(const Json& outcomes, const std::string& url, const std::string& generation) {
  for (const Json& outcome : outcomes) {
    if (!outcome.is_object() || outcome.value("ok", false)) continue;
    return InvalidArgument("test query '" + outcome.value("name", std::string()) +
                               "' of endpoint '" + outcome.value("endpoint", std::string()) +
                               "' fails with " + generation + " on node " + url + ": " +
                               outcome.value("difference", std::string()),
                           "no traffic was moved; look at the package with `slipway service test`");
  }
  return {};
}

class Rollout {
 public:
  explicit Rollout(const RolloutInput& input) : input_(input) {}

  RolloutResult Run() {
    before_ = ObserveAll(input_.nodes, input_.service, kObserveSeconds);
    plan_ = MakeRolloutPlan(input_.wish, before_);
    total_ = plan_.prepare.size();
    for (const auto& wave : plan_.switches) total_ += wave.size();
    if (input_.best_effort) return RunForEach();
    if (!plan_.unreachable.empty()) {
      return Ended(RolloutEnd::kUnchanged,
                   Unavailable("not every node can be reached: " + Join(plan_.unreachable, "; "),
                               "nothing was changed; run it again when the node is back"));
    }
    if (plan_.empty()) {
      Say(input_.wish.desired.enabled
              ? "every node serves " + DescribeSpec(input_.wish.desired) + " already"
              : "it is disabled on every node already");
      return Ended(RolloutEnd::kDone, {});
    }
    if (Status prepared = Prepare(); !prepared.ok()) {
      Say("error: " + prepared.error().message);
      CleanUp();
      return Ended(RolloutEnd::kUnchanged, prepared.error());
    }
    if (Status switched = Switch(); !switched.ok()) {
      Say("error: " + switched.error().message);
      return GoBack(switched.error());
    }
    return Ended(RolloutEnd::kDone, {});
  }

 private:
  RolloutResult Ended(RolloutEnd end, std::optional<Error> error) {
    const MutexLock lock(mutex_);
    return {end, std::move(error), static_cast<int>(done_)};
  }
  void Say(const std::string& line) {
    const MutexLock lock(mutex_);
    const double part = total_ == 0 ? 1 : static_cast<double>(done_) / static_cast<double>(total_);
    if (input_.log) input_.log(line, part);
  }
  void Done(const RolloutStep& step, const std::string& more = "") {
    {
      const MutexLock lock(mutex_);
      ++done_;
    }
    std::string line = input_.nodes[step.node]->url() + ": " + std::string(StepKindName(step.kind));
    if (!step.generation.empty()) line += " " + step.generation;
    if (step.kind == StepKind::kMap) line += " to " + DescribeSpec(input_.wish.desired);
    if (step.kind == StepKind::kUpload || step.kind == StepKind::kMap)
      line += " (" + step.reason + ")";
    Say(line + more);
  }
  size_t done_steps() {
    const MutexLock lock(mutex_);
    return done_;
  }
  bool Cancelled() const { return input_.cancel != nullptr && input_.cancel->load(); }
  Status CheckCancelled() const {
    if (Cancelled()) return ::slipway::Cancelled("the update was aborted");
    return {};
  }

  Status PrepareStep(const RolloutStep& step) {
    RETURN_IF_ERROR(CheckCancelled());
    NodeClient& node = *input_.nodes[step.node];
    if (step.kind == StepKind::kUpload) {
      const auto package = input_.packages.find(step.generation);
      if (package == input_.packages.end()) return Internal("no package for " + step.generation);
      RETURN_IF_ERROR(node.Upload(input_.service, package->second, input_.cancel));
      if (before_[step.node].Find(step.generation) == nullptr) {
        const MutexLock lock(mutex_);
        imported_.emplace(step.node, step.generation);
      }
      Done(step);
      return {};
    }
    RETURN_IF_ERROR(node.Preload(input_.service, step.generation));
    ASSIGN_OR_RETURN(const Json outcomes, node.Test(input_.service, step.generation));
    RETURN_IF_ERROR(CheckOutcomes(outcomes, node.url(), step.generation));
    Done(step, ": " + std::to_string(outcomes.size()) +
                   (outcomes.size() == 1 ? " test query passed" : " test queries passed"));
    return {};
  }

  // Nodes at the same time, each one's steps in order; not those that have failed.
  void PrepareEach(std::vector<Status>* statuses) {
    ForEachInParallel(input_.nodes.size(), 8, [&](size_t i) {
      Status& status = (*statuses)[i];
      for (const RolloutStep& step : plan_.prepare) {
        if (step.node == i && status.ok()) status = PrepareStep(step);
      }
    });
  }

  // All must pass.
  Status Prepare() {
    std::vector<Status> statuses(input_.nodes.size());
    PrepareEach(&statuses);
    for (Status& status : statuses) RETURN_IF_ERROR(std::move(status));
    return {};
  }

  Status SwitchStep(const RolloutStep& step) {
    NodeClient& node = *input_.nodes[step.node];
    switch (step.kind) {
      case StepKind::kSettings:
        RETURN_IF_ERROR(node.PutSettings(input_.service, input_.wish.desired.settings));
        break;
      case StepKind::kDisable:
        RETURN_IF_ERROR(node.Disable(input_.service));
        break;
      default:
        RETURN_IF_ERROR(node.SetMapping(input_.service, input_.wish.desired.generations));
    }
    Done(step);
    return {};
  }

  // Switched is only who says so afterwards.
  Status Verify(size_t i) {
    const ObservedNode now = input_.nodes[i]->Observe(input_.service, kObserveSeconds);
    if (!now.reachable.ok()) return now.reachable.error();
    if (const std::string difference = DescribeDifference(input_.wish.desired, now);
        !difference.empty())
      return Unavailable("node " + now.url + " was switched, but " + difference);
    if (input_.wish.desired.enabled && !now.serving)
      return Unavailable("node " + now.url + " was switched, but does not serve: " + now.reason);
    return {};
  }

  // The nodes of a wave at the same time; not those that have failed.
  void SwitchWave(const std::vector<RolloutStep>& wave, std::vector<Status>* statuses) {
    std::set<size_t> nodes;
    for (const RolloutStep& step : wave) nodes.insert(step.node);
    const std::vector<size_t> list(nodes.begin(), nodes.end());
    touched_.insert(list.begin(), list.end());
    ForEachInParallel(list.size(), kRolloutThreads, [&](size_t k) {
      Status& status = (*statuses)[list[k]];
      if (!status.ok()) return;
      for (const RolloutStep& step : wave) {
        if (step.node == list[k] && status.ok()) status = SwitchStep(step);
      }
      if (status.ok()) status = Verify(list[k]);
    });
  }

  Status Switch() {
    for (const auto& wave : plan_.switches) {
      RETURN_IF_ERROR(CheckCancelled());
      std::vector<Status> statuses(input_.nodes.size());
      SwitchWave(wave, &statuses);
      for (Status& status : statuses) RETURN_IF_ERROR(std::move(status));
    }
    return {};
  }

  RolloutResult RunForEach() {
    std::vector<Status> statuses(input_.nodes.size());
    for (size_t i = 0; i < statuses.size(); ++i) statuses[i] = before_[i].reachable;
    PrepareEach(&statuses);
    for (const auto& wave : plan_.switches) SwitchWave(wave, &statuses);
    std::vector<std::string> left;
    std::string why;
    for (size_t i = 0; i < statuses.size(); ++i) {
      if (statuses[i].ok()) continue;
      left.push_back(input_.nodes[i]->url());
      if (why.empty()) why = statuses[i].error().message;
      Say(left.back() + ": left as it is: " + statuses[i].error().message);
    }
    if (left.empty()) return Ended(RolloutEnd::kDone, {});
    if (left.size() == statuses.size() && done_steps() == 0)
      return Ended(RolloutEnd::kUnchanged,
                   Unavailable("no node can be reached: " + Join(plan_.unreachable, "; "),
                               "nothing was changed; run it again when a node is back"));
    return Ended(
        RolloutEnd::kPartial,
        Unavailable("the other nodes serve " + DescribeSpec(input_.wish.desired) + ", but " +
                        QuotedList(left) + " could not be brought there: " + why,
                    "when it can be reached again: slipway deployment update NAME brings "
                    "all nodes to one state"));
  }

  Status RestoreNode(size_t i) {
    NodeClient& node = *input_.nodes[i];
    const DeploymentSpec to = input_.before ? *input_.before : SpecOfNode(before_[i]);
    if (!before_[i].has_service) return node.DeleteService(input_.service);
    if (!to.enabled) return node.Disable(input_.service);
    RETURN_IF_ERROR(node.PutSettings(input_.service, to.settings));
    return node.SetMapping(input_.service, to.generations);
  }

  RolloutResult GoBack(const Error& cause) {
    std::vector<std::string> stuck;
    for (const size_t i : touched_) {
      Status restored = RestoreNode(i);
      if (restored.ok()) {
        Say(input_.nodes[i]->url() + ": went back to " +
            (input_.before ? DescribeSpec(*input_.before) : DescribeNode(before_[i])));
        continue;
      }
      Say(input_.nodes[i]->url() + ": could not go back: " + restored.error().message);
      stuck.push_back(input_.nodes[i]->url());
    }
    if (stuck.empty()) {
      CleanUp();
      Error error = cause;
      error.message += "; every node went back to what it served before";
      return Ended(RolloutEnd::kWentBack, error);
    }
    Error error = cause;
    error.message += "; the other nodes serve what they served before, but what " +
                     QuotedList(stuck) + (stuck.size() == 1 ? " serves" : " serve") +
                     " is not known";
    error.hint =
        "when it can be reached again: slipway deployment update NAME brings all nodes to "
        "one state";
    return Ended(RolloutEnd::kPartial, error);
  }

  // What was imported for nothing holds memory and disk: best effort.
  void CleanUp() {
    std::set<std::pair<size_t, std::string>> imported;
    {
      const MutexLock lock(mutex_);
      imported = imported_;
    }
    for (const auto& [node, generation] : imported) {
      if (before_[node].has_service) {
        (void)input_.nodes[node]->DeleteGeneration(input_.service, generation).ok();
      } else if (touched_.count(node) == 0) {
        (void)input_.nodes[node]->DeleteService(input_.service).ok();
      }
    }
  }

  const RolloutInput& input_;
  std::vector<ObservedNode> before_;
  RolloutPlan plan_;
  size_t total_ = 0;
  std::set<size_t> touched_;
  Mutex mutex_;
  size_t done_ GUARDED_BY(mutex_) = 0;
  std::set<std::pair<size_t, std::string>> imported_ GUARDED_BY(mutex_);
};

}  // namespace

void ForEachInParallel(size_t count, size_t threads, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next{0};
  const auto run = [&] {
    for (size_t i = next++; i < count; i = next++) work(i);
  };
  std::vector<std::jthread> others;
  for (size_t t = 1; t < std::min(threads, count); ++t) others.emplace_back(run);
  run();
}

std::vector<ObservedNode> ObserveAll(const std::vector<NodeClient*>& nodes,
                                     const std::string& service, double seconds) {
  std::vector<ObservedNode> out(nodes.size());
  ForEachInParallel(nodes.size(), kRolloutThreads,
                    [&](size_t i) { out[i] = nodes[i]->Observe(service, seconds); });
  return out;
}

RolloutResult RunRollout(const RolloutInput& input) { return Rollout(input).Run(); }

}  // namespace slipway
