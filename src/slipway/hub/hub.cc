#include "slipway/hub/hub.h"

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/registry/stray.h"

namespace slipway {
namespace {

// What nobody refers to goes: once an hour, and at once after a crash (the lock is ours and nothing
// runs yet, so nothing young is anybody's work; unless other processes write too). Housekeeping
// that fails stops nothing.
void KeepHouse(Registry& registry, bool crashed) {
  const std::string stamp = JoinPath(registry.home().LogsFolder(), "housekeeping");
  if (!crashed && PathExists(stamp) && !IsOlderThan(stamp, 3600)) return;
  (void)registry.CollectGarbage(crashed && !registry.home().shared() ? 0 : 3600).ok();
  (void)registry.idempotency().Expire().ok();
  (void)registry.accounts().Expire().ok();
  (void)WriteFileAtomic(stamp, NowText() + "\n").ok();
}

bool IsLocal(const Request& request) {
  return request.principal == nullptr || request.principal->kind == Principal::Kind::kLocal;
}

}  // namespace

Result<std::unique_ptr<Hub>> Hub::Open(const HubOptions& options) {
  std::unique_ptr<Hub> hub(new Hub());
  if (options.write) {
    ASSIGN_OR_RETURN(hub->registry_, Registry::OpenForWriting(options.home, options.command,
                                                              options.lock_seconds, options.alone));
    ASSIGN_OR_RETURN(std::vector<JobRecord> interrupted,
                     hub->registry_->jobs().MarkInterruptedJobs());
    for (const JobRecord& job : interrupted) {
      if (job.kind == "deploy") continue;  // its deployment's update says more
      std::string targets;
      for (const std::string& target : job.targets) targets += " " + job.project + "/" + target;
      hub->notices_.push_back(job.id +
                              " was interrupted and is marked failed; its outputs are as before. "
                              "Run it again: slipway build" +
                              targets);
    }
    ASSIGN_OR_RETURN(const std::vector<UpdateRecord> updates,
                     hub->registry_->deployments().MarkInterrupted([&](const std::string& name) {
                       return FileLock::IsHeld(hub->registry_->home().DeploymentLockPath(name));
                     }));
    for (const UpdateRecord& update : updates) {
      hub->notices_.push_back("an update of deployment '" + update.deployment +
                              "' was interrupted: its nodes may serve different generations. Bring "
                              "them to one state: slipway deployment update " +
                              update.deployment);
    }
    // A kill just before a job's first row or just after its last leaves only its folder.
    const auto stray = hub->registry_->jobs().StrayFolders();
    KeepHouse(*hub->registry_, !interrupted.empty() || (stray.ok() && !stray->empty()));
  } else {
    ASSIGN_OR_RETURN(hub->registry_, Registry::OpenForReading(options.home));
  }
  hub->deployer_ = std::make_unique<Deployer>(*hub->registry_);
  hub->writable_ = options.write;
  ASSIGN_OR_RETURN(hub->file_rule_,
                   FileRule::Make(options.allowed_paths, hub->registry_->home().root()));
  hub->jobs_ = std::make_unique<JobRunner>(*hub->registry_);
  AddProjectRoutes(*hub, &hub->router_);
  AddDatasetRoutes(*hub, &hub->router_);
  AddModelRoutes(*hub, &hub->router_);
  AddJobRoutes(*hub, &hub->router_);
  AddServiceRoutes(*hub, &hub->router_);
  AddDesignerRoutes(*hub, &hub->router_);
  AddInfraRoutes(*hub, &hub->router_);
  AddPublishedRoutes(*hub, &hub->router_);
  AddDeploymentRoutes(*hub, &hub->router_);
  AddLineageRoutes(*hub, &hub->router_);
  AddPeopleRoutes(*hub, &hub->router_);
  AddBackupRoutes(*hub, &hub->router_);
  AddSystemRoutes(*hub, &hub->router_);
  return hub;
}

Status Hub::CheckPaths(const Request& request, const std::vector<std::string>& paths) const {
  return IsLocal(request) ? Status() : file_rule_.CheckNamed(paths);
}

FileCheck Hub::CheckFor(const Request& request) const {
  if (IsLocal(request)) return {};
  return [this](const std::vector<std::string>& paths) { return file_rule_.CheckStored(paths); };
}

Hub::~Hub() {
  jobs_.reset();  // before the deployer that they use, and the registry that both write to
  deployer_.reset();
}

}  // namespace slipway
