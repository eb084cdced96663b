// API nodes on this machine: slipway-apinode processes with their homes in HOME/nodes/<infra>/<n>.
// They are processes of their own: a node that another process of this home started, or that
// outlived a kill -9, is adopted (its home's lock and node.json tell). Thread-safe.
//
// A command starts the nodes that it needs and leaves them running. A hub supervises them: it
// starts again what has ended, after 1, 2, 4, ... 60 s, and stops them when it stops. Those that a
// person stopped (Hold) stay so until something starts them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <sys/types.h>

#include "slipway/base/mutex.h"
#include "slipway/base/result.h"

namespace slipway {

struct LocalNode {
  bool running = false;
  std::string url, key;  // when it runs
  pid_t pid = -1;
  std::string elsewhere;  // the machine that it runs on, which is not this one; not `running` here
};

class LocalNodes {
 public:
  explicit LocalNodes(std::string folder) : folder_(std::move(folder)) {}

  // Looks only. `number` from 1.
  LocalNode Look(const std::string& infra, int number) const;
  // Starts it when it does not run, and waits until it is ready.
  Result<LocalNode> Start(const std::string& infra, int number) EXCLUDES_LOCK(mutex_);
  // Step leaves the infrastructure alone from now on, across restarts, until Start.
  Status Hold(const std::string& infra) EXCLUDES_LOCK(mutex_);
  // SIGTERM, and SIGKILL after a while; waits until they have ended.
  void Stop(const std::string& infra, int count) EXCLUDES_LOCK(mutex_);
  // And their homes are gone.
  Status Remove(const std::string& infra, int count) EXCLUDES_LOCK(mutex_);
  // One look of the supervisor: starts what has ended and whose time has come. Lines for the log.
  std::vector<std::string> Step(const std::string& infra, int count, double now)
      EXCLUDES_LOCK(mutex_);

 private:
  std::string HomeOf(const std::string& infra, int number) const;
  std::string HeldPath(const std::string& infra) const;
  Result<LocalNode> Launch(const std::string& infra, int number) REQUIRES_LOCK(mutex_);
  void Reap() REQUIRES_LOCK(mutex_);

  struct Backoff {
    double wait = 0, next = 0;
  };
  const std::string folder_;
  Mutex mutex_;
  std::vector<pid_t> children_ GUARDED_BY(mutex_);
  std::map<std::string, Backoff> backoff_ GUARDED_BY(mutex_);
};

}  // namespace slipway
