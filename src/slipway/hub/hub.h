// The hub: one opened home and the routes over it. The command line dispatches requests in process,
// the hub's server (hub_face.h) dispatches the same ones over HTTP. Jobs run in the background;
// their events are polled or followed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/deploy/deployer.h"
#include "slipway/flow/datasets.h"
#include "slipway/flow/job_runner.h"
#include "slipway/http/router.h"
#include "slipway/hub/file_rule.h"
#include "slipway/hub/login_throttle.h"
#include "slipway/hub/principal.h"
#include "slipway/registry/registry.h"

namespace slipway {

struct HubOptions {
  std::string home;
  bool write = false;  // take the home's lock (waits up to 10 s)
  bool alone = false;  // a process that stays: no command beside it, also on a shared registry
  double lock_seconds = 10;  // how long it waits for the lock
  std::string command;       // what others are told while it is held
  // Below these, callers over HTTP may name files of this machine (file_rule.h). None: none.
  std::vector<std::string> allowed_paths;
};

// Thread-safe once opened. The destructor aborts running jobs and waits for them.
class Hub {
 public:
  static Result<std::unique_ptr<Hub>> Open(const HubOptions& options);
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  const Router& router() const { return router_; }
  // One request from anywhere: rights (principal nullptr: in process, with every right), the
  // conditions and keys of its headers, its change with its audit record, paging.
  Response Dispatch(Request request, const Principal* principal);
  // kPermissionDenied when the caller is not of this machine and may not name these files.
  Status CheckPaths(const Request& request, const std::vector<std::string>& paths) const;
  // What datasets that are there pass through before they are read for this caller, also in jobs.
  FileCheck CheckFor(const Request& request) const;
  bool writable() const { return writable_; }
  LoginThrottle& throttle() { return throttle_; }
  Registry& registry() { return *registry_; }
  JobRunner& jobs() { return *jobs_; }
  // A process that stays calls its Supervise().
  Deployer& deployer() { return *deployer_; }
  // What the opening found: jobs and updates of deployments that were interrupted.
  const std::vector<std::string>& notices() const { return notices_; }

 private:
  Hub() = default;
  std::unique_ptr<Registry> registry_;
  std::unique_ptr<JobRunner> jobs_;
  std::unique_ptr<Deployer> deployer_;
  Router router_;
  std::vector<std::string> notices_;
  FileRule file_rule_;
  bool writable_ = false;
  LoginThrottle throttle_;
};

// One function per subject adds its routes; together they are the whole API.
void AddProjectRoutes(Hub& hub, Router* router);
void AddDatasetRoutes(Hub& hub, Router* router);
void AddModelRoutes(Hub& hub, Router* router);
void AddJobRoutes(Hub& hub, Router* router);
void AddServiceRoutes(Hub& hub, Router* router);
void AddDesignerRoutes(Hub& hub, Router* router);   // services, endpoints, test queries, one by one
void AddInfraRoutes(Hub& hub, Router* router);      // stages, infrastructures, published services
void AddPublishedRoutes(Hub& hub, Router* router);  // what published services get from outside
void AddDeploymentRoutes(Hub& hub, Router* router);
void AddLineageRoutes(Hub& hub, Router* router);
void AddPeopleRoutes(Hub& hub, Router* router);
void AddBackupRoutes(Hub& hub, Router* router);
void AddSystemRoutes(Hub& hub, Router* router);

}  // namespace slipway
