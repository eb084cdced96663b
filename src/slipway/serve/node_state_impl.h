// NodeState's implementation: how changes are ordered. For node_state.cc and its parts only.
//
// Locks, in this order: a service's turn (ServiceTurn; held through slow work, so that changes of
// one service run one after the other while others go on), commit_mutex_ (one write of desired.json
// at a time), mutex_ (what readers see; never held over slow work).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "slipway/base/file.h"
#include "slipway/base/mutex.h"
#include "slipway/serve/desired_state.h"
#include "slipway/serve/generation_reaper.h"
#include "slipway/serve/generation_store.h"
#include "slipway/serve/node_state.h"
#include "slipway/serve/space_reserve.h"

namespace slipway {

class NodeStateImpl : public NodeState {
 public:
  NodeStateImpl(const std::string& home, StatsRegistry* stats);
  ~NodeStateImpl() override;
  Status Start();

  const ServiceTableHolder& tables() const override { return tables_; }
  std::vector<ServiceInfo> Services() const override EXCLUDES_LOCK(mutex_);
  Result<ServiceInfo> Service(std::string_view id) const override EXCLUDES_LOCK(mutex_);
  bool Ready(std::string* reason) const override EXCLUDES_LOCK(mutex_);
  int64_t epoch() const override EXCLUDES_LOCK(mutex_);
  NodeMemory memory() const override;
  std::string spool_folder() const override;
  std::string import_folder() const override;

  Status SeeEpoch(Epoch epoch, bool deletes) override {
    return RaiseEpoch(epoch, deletes ? Change::kDeletion : Change::kOther);
  }
  Status CreateService(const std::string& id, Epoch epoch) override;
  Status DeleteService(const std::string& id, Epoch epoch) override;
  Result<ImportedGeneration> ImportPackage(const std::string& service, const std::string& path,
                                           bool trusted, Epoch epoch) override;
  Status Preload(const std::string& service, const std::string& generation, Epoch epoch) override;
  Status Unload(const std::string& service, const std::string& generation, Epoch epoch) override;
  Result<std::vector<TestOutcome>> Test(const std::string& service,
                                        const std::string& generation) override;
  Status SetMapping(const std::string& service, const std::vector<MappingEntry>& mapping,
                    Epoch epoch) override;
  Result<std::string> SwitchToNewest(const std::string& service, Epoch epoch) override;
  Status SetEnabled(const std::string& service, bool enabled, Epoch epoch) override;
  Status SetSettings(const std::string& service, const ServiceSettings& settings,
                     Epoch epoch) override;
  Status DeleteGeneration(const std::string& service, const std::string& generation,
                          Epoch epoch) override;
  Result<std::vector<std::string>> CleanUnused(Epoch epoch) override;

 private:
  using Key = std::pair<std::string, std::string>;  // service, generation
  using Edit = std::function<Status(DesiredState*)>;
  struct Runtime {
    std::shared_ptr<const Generation> generation;  // loaded: it passed the gate
    std::string error;                             // why it may not take traffic
  };
  using Prepared = std::map<Key, std::shared_ptr<const Generation>>;

  // A service's turn for the scope. The destructor gives it to the next.
  class ServiceTurn {
   public:
    ServiceTurn(NodeStateImpl* state, std::string service);
    ~ServiceTurn();
    ServiceTurn(const ServiceTurn&) = delete;
    ServiceTurn& operator=(const ServiceTurn&) = delete;

   private:
    NodeStateImpl* state_;
    std::string service_;
  };

  // A deletion gives back space: it may use the reserve.
  enum class Change { kOther, kDeletion };

  // Refuses a lower epoch; a higher one is durable when it returns.
  Status RaiseEpoch(Epoch epoch, Change change = Change::kOther) EXCLUDES_LOCK(mutex_);
  // Edits a copy, writes it durably, then makes it what readers see: `prepared` joins, what is not
  // wanted any more is let go, the table is published. On an error nothing has changed.
  Status Commit(Epoch epoch, const Edit& edit, Prepared prepared = {},
                Change change = Change::kOther) EXCLUDES_LOCK(mutex_);
  Status WriteDesired(const DesiredState& next, const DesiredState& previous, Change change) const;
  void Publish() REQUIRES_LOCK(mutex_);
  // When it is loaded.
  void AddServed(const std::string& generation, double probability, ServedService* service) const
      REQUIRES_LOCK(mutex_);
  void LetGo() REQUIRES_LOCK(mutex_);

  Result<DesiredService> Desired(std::string_view service) const EXCLUDES_LOCK(mutex_);
  std::shared_ptr<const Generation> Loaded(const Key& key) const EXCLUDES_LOCK(mutex_);
  void SetError(const Key& key, std::string error) EXCLUDES_LOCK(mutex_);
  // Through the gate, unless it is loaded; remembers why not.
  Status Prepare(const std::string& service, const DesiredGeneration& generation,
                 Prepared* prepared);
  Status PrepareWanted(const std::string& service, const DesiredService& wanted,
                       Prepared* prepared);
  Status MapOne(const std::string& service, const std::vector<MappingEntry>& mapping, Epoch epoch);
  Status DeleteOne(const std::string& service, const std::string& generation, Epoch epoch);
  Result<ImportedGeneration> ImportNew(const std::string& service, const std::string& path,
                                       Epoch epoch);
  // Whether there was something to repair.
  Result<bool> Repair(const std::string& service, const DesiredGeneration& known,
                      const std::string& path);
  void LoadAll();
  ServiceInfo Describe(std::string_view id, const DesiredService& service) const
      REQUIRES_LOCK(mutex_);

  // Constant after construction.
  StatsRegistry* stats_;
  const GenerationStore store_;
  const std::string desired_path_;
  const SpaceReserve reserve_;
  FileLock home_lock_;
  const std::shared_ptr<GenerationReaper> reaper_;

  ServiceTableHolder tables_;

  Mutex turns_mutex_;
  CondVar turns_changed_;
  std::set<std::string> turns_ GUARDED_BY(turns_mutex_);

  Mutex commit_mutex_;
  mutable Mutex mutex_;
  DesiredState desired_ GUARDED_BY(mutex_);
  std::map<Key, Runtime> runtime_ GUARDED_BY(mutex_);
};

}  // namespace slipway
