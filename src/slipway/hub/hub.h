// The hub: one opened home and the routes over it. The command line dispatches requests in process;
// a server will dispatch the same Router over HTTP. Jobs run in the background; their events are
// polled or followed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/deploy/deployer.h"
#include "slipway/flow/job_runner.h"
#include "slipway/http/router.h"
#include "slipway/registry/registry.h"

namespace slipway {

struct HubOptions {
  std::string home;
  bool write = false;   // take the home's lock (waits up to 10 s)
  std::string command;  // what others are told while it is held
};

// Thread-safe once opened. The destructor aborts running jobs and waits for them.
class Hub {
 public:
  static Result<std::unique_ptr<Hub>> Open(const HubOptions& options);
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  const Router& router() const { return router_; }
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
};

// One function per subject adds its routes; together they are the whole API.
void AddProjectRoutes(Hub& hub, Router* router);
void AddDatasetRoutes(Hub& hub, Router* router);
void AddModelRoutes(Hub& hub, Router* router);
void AddJobRoutes(Hub& hub, Router* router);
void AddServiceRoutes(Hub& hub, Router* router);
void AddInfraRoutes(Hub& hub, Router* router);  // stages, infrastructures, published services
void AddDeploymentRoutes(Hub& hub, Router* router);

}  // namespace slipway
