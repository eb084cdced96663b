// Drivers: how the nodes of an infrastructure are found and brought to life. `static` knows a list;
// `local` runs processes on this machine; one for Kubernetes will stand beside them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/deploy/local_nodes.h"
#include "slipway/registry/registry.h"

namespace slipway {

struct NodeAddress {
  std::string url, key;
  std::string problem;  // not empty: it does not run, and why; url is a name for people then
};

class Driver {
 public:
  virtual ~Driver() = default;
  // In the order of a rollout. `start`: what does not run is started first.
  virtual Result<std::vector<NodeAddress>> Nodes(const InfraRecord& infra, bool start) = 0;
  // For good; what the driver started is gone after it.
  virtual Status Remove(const InfraRecord& infra) = 0;
};

// By the infrastructure's type; kInvalidArgument for one that is not there yet.
Result<std::unique_ptr<Driver>> MakeDriver(const InfraRecord& infra, Registry& registry,
                                           LocalNodes& local);

}  // namespace slipway
