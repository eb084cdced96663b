// The node's services and generations on disk and in memory, and the only way to change them.
//
// HOME/node.lock          one node per home
// HOME/import/            packages that importFromArchive may read
// HOME/spool/             bodies of uploads, while they come in
// HOME/generations/S/G/   unpacked packages (immutable)
// HOME/desired.json       services, mappings, settings, enabled, epoch: what this node is to serve
//
// Every change: do the slow part aside (unpack, verify, load, warm up, test queries), write
// desired.json durably, publish the table, answer. kill -9 at any moment leaves the state before or
// after; Open finishes or removes leftovers, loads what desired.json maps and publishes it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/base/result.h"
#include "slipway/package/test_query.h"
#include "slipway/serve/service_table.h"

namespace slipway {

struct GenerationInfo {
  std::string id;
  std::string created_at;  // of the package
  std::string imported_at;
  std::string status;           // "imported", "loaded", "failed"
  std::string error;            // why it may not take traffic
  std::string manifest_sha256;  // of what was imported
  bool loaded = false;
  bool mapped = false;  // also with the probability 0
  double probability = 0;
  int64_t disk_bytes = 0, memory_bytes = 0;
};

struct ServiceInfo {
  std::string id;
  bool enabled = false;
  bool serving = false;  // enabled, mapped, and every mapped generation loaded
  std::string reason;    // why not
  ServiceSettings settings;
  std::vector<GenerationInfo> generations;  // by time of import
};

struct MappingEntry {
  std::string generation;
  double probability = 0;
};

// What an import found.
struct ImportedGeneration {
  std::string id;
  bool was_there = false;  // the same package was imported before
  bool repaired = false;   // and its files were damaged: replaced
  std::string auth;        // what the package says
};

// Models in memory, now.
struct NodeMemory {
  int64_t generations = 0;  // loaded, and those that only requests in flight still hold
  int64_t bytes = 0;        // of their models; mapped tables are not counted
  int64_t freed = 0;        // generations unloaded since the start
};

// Thread-safe: changes run one after the other, reads at any time. `epoch`: of X-Slipway-Epoch;
// lower than the highest seen is kConflict, and a higher one is durable before the change.
class NodeState {
 public:
  // Loads what desired.json asks for. A generation that cannot be loaded leaves its service not
  // serving, with the reason; it is no error of Open.
  static Result<std::unique_ptr<NodeState>> Open(const std::string& home, StatsRegistry* stats);
  virtual ~NodeState() = default;

  virtual const ServiceTableHolder& tables() const = 0;
  virtual std::vector<ServiceInfo> Services() const = 0;
  virtual Result<ServiceInfo> Service(std::string_view id) const = 0;
  // True when every enabled service serves; else why not.
  virtual bool Ready(std::string* reason) const = 0;
  virtual int64_t epoch() const = 0;
  virtual NodeMemory memory() const = 0;
  // Bodies of requests may be spooled here; what a killed process left in it goes at Open.
  virtual std::string spool_folder() const = 0;
  virtual std::string import_folder() const = 0;

  using Epoch = std::optional<int64_t>;
  // For changes that are none of these (API keys): refuses a lower one, makes a higher one durable.
  // `deletes`: of a deletion, which works on a full disk too.
  virtual Status SeeEpoch(Epoch epoch, bool deletes) = 0;
  virtual Status CreateService(const std::string& id, Epoch epoch) = 0;
  virtual Status DeleteService(const std::string& id, Epoch epoch) = 0;
  // From a file below HOME/import, or (trusted) any file of this node's own command line. Gives the
  // generation's id. The same package again is no error; another one of the same id is kConflict.
  // Makes the service when there is none (an upload on the command line is one step).
  Result<std::string> Import(const std::string& service, const std::string& path, bool trusted,
                             Epoch epoch) {
    ASSIGN_OR_RETURN(ImportedGeneration imported, ImportPackage(service, path, trusted, epoch));
    return std::move(imported.id);
  }
  virtual Result<ImportedGeneration> ImportPackage(const std::string& service,
                                                   const std::string& path, bool trusted,
                                                   Epoch epoch) = 0;
  // Unpack -> verify -> load -> warm up -> test queries.
  virtual Status Preload(const std::string& service, const std::string& generation,
                         Epoch epoch) = 0;
  // Takes Preload back. kConflict: it is mapped or the shadow, and stays loaded for that.
  virtual Status Unload(const std::string& service, const std::string& generation, Epoch epoch) = 0;
  virtual Result<std::vector<TestOutcome>> Test(const std::string& service,
                                                const std::string& generation) = 0;
  // Loads what it maps; also enables the service. Probabilities must sum to 1 (1e-6).
  virtual Status SetMapping(const std::string& service, const std::vector<MappingEntry>& mapping,
                            Epoch epoch) = 0;
  // Gives the generation it switched to.
  virtual Result<std::string> SwitchToNewest(const std::string& service, Epoch epoch) = 0;
  virtual Status SetEnabled(const std::string& service, bool enabled, Epoch epoch) = 0;
  virtual Status SetSettings(const std::string& service, const ServiceSettings& settings,
                             Epoch epoch) = 0;
  virtual Status DeleteGeneration(const std::string& service, const std::string& generation,
                                  Epoch epoch) = 0;
  // Removes generations that no mapping and no newest import needs: what was removed.
  virtual Result<std::vector<std::string>> CleanUnused(Epoch epoch) = 0;
};

Json ServiceSettingsToJson(const ServiceSettings& settings);
Result<ServiceSettings> ServiceSettingsFromJson(const Json& json);  // unknown keys are errors

}  // namespace slipway
