#include "slipway/serve/node_state.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "slipway/base/hash.h"
#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/serve/log.h"
#include "slipway/serve/node_state_impl.h"

namespace slipway {

Result<std::unique_ptr<NodeState>> NodeState::Open(const std::string& home, StatsRegistry* stats) {
  auto state = std::make_unique<NodeStateImpl>(AbsolutePath(home), stats);
  RETURN_IF_ERROR(state->Start());
  return std::unique_ptr<NodeState>(std::move(state));
}

NodeStateImpl::NodeStateImpl(const std::string& home, StatsRegistry* stats)
    : stats_(stats),
      store_(home),
      desired_path_(JoinPath(home, "desired.json")),
      reserve_(home),
      reaper_(GenerationReaper::Make()) {}

NodeStateImpl::~NodeStateImpl() = default;

Status NodeStateImpl::Start() {
  RETURN_IF_ERROR(store_.MakeFolders());
  const std::string lock_path = JoinPath(store_.home(), "node.lock");
  // A moment's patience: whoever asks whether a node runs holds the lock while it looks.
  Result<FileLock> lock = FileLock::Acquire(lock_path, 0.3);
  if (!lock.ok()) {
    if (!FileLock::IsHeld(lock_path)) return lock.error();
    return Unavailable("another node runs on '" + store_.home() + "'",
                       "stop it, or give this one another --home");
  }
  home_lock_ = *std::move(lock);

  DesiredState desired;
  if (PathExists(desired_path_)) {
    ASSIGN_OR_RETURN(const std::string text, ReadFile(desired_path_));
    Result<Json> json = ParseJson(text);
    Result<DesiredState> read =
        json.ok() ? DesiredStateFromJson(*json) : Result<DesiredState>(json.error());
    if (!read.ok()) {
      Error error = Corruption(read.error().message, read.error().hint).Within(desired_path_);
      if (error.hint.empty())
        error.hint = "restore it from a backup of the home; nothing in the home was changed";
      return error;
    }
    desired = *std::move(read);
  } else {
    // It is written before anything else is: a home with generations has one.
    if (store_.HasAnyGeneration())
      return Corruption("'" + desired_path_ + "' is gone, but there are generations beside it",
                        "restore it from a backup of the home, or empty the generations folder");
    RETURN_IF_ERROR(
        WriteFileAtomic(desired_path_, DumpJson(DesiredStateToJson(desired), 1) + "\n", 0600));
  }
  RETURN_IF_ERROR(store_.RemoveLeftovers(desired));
  reserve_.Fill();
  {
    MutexLock guard(mutex_);
    desired_ = std::move(desired);
  }
  LoadAll();
  return {};
}

// In parallel: a node with several services starts in the time of its slowest.
void NodeStateImpl::LoadAll() {
  struct Job {
    Key key;
    DesiredGeneration generation;
  };
  std::vector<Job> jobs;
  {
    MutexLock lock(mutex_);
    for (const auto& [id, service] : desired_.services) {
      for (const DesiredGeneration& generation : service.generations) {
        if (service.WantsLoaded(generation)) jobs.push_back({{id, generation.id}, generation});
      }
    }
  }
  std::vector<Prepared> prepared(jobs.size());
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t i = next++; i < jobs.size(); i = next++) {
      if (Status status = Prepare(jobs[i].key.first, jobs[i].generation, &prepared[i]);
          !status.ok()) {
        LogError("a generation cannot be served", {{"service", jobs[i].key.first},
                                                   {"generation", jobs[i].key.second},
                                                   {"error", status.error().message},
                                                   {"hint", status.error().hint}});
      }
    }
  };
  const size_t threads =
      std::min<size_t>(jobs.size(), std::max(1u, std::thread::hardware_concurrency()));
  std::vector<std::thread> pool;
  for (size_t i = 1; i < threads; ++i) pool.emplace_back(work);
  work();
  for (std::thread& thread : pool) thread.join();

  MutexLock lock(mutex_);
  for (Prepared& each : prepared) {
    for (auto& [key, generation] : each) runtime_[key] = {std::move(generation), ""};
  }
  Publish();
}

// --- Changing ---------------------------------------------------------------------------------

NodeStateImpl::ServiceTurn::ServiceTurn(NodeStateImpl* state, std::string service)
    : state_(state), service_(std::move(service)) {
  MutexLock lock(state_->turns_mutex_);
  while (!state_->turns_.insert(service_).second) state_->turns_changed_.Wait(state_->turns_mutex_);
}

NodeStateImpl::ServiceTurn::~ServiceTurn() {
  MutexLock lock(state_->turns_mutex_);
  state_->turns_.erase(service_);
  state_->turns_changed_.NotifyAll();
}

namespace {

Status CheckEpoch(NodeState::Epoch epoch, int64_t highest) {
  if (!epoch || *epoch >= highest) return {};
  return Conflict("this change has the epoch " + std::to_string(*epoch) +
                      ", and the node has seen " + std::to_string(highest),
                  "someone newer administers this node; read its state again before changing it");
}

}  // namespace

Status NodeStateImpl::RaiseEpoch(Epoch epoch, Change change) {
  if (!epoch) return {};
  {
    MutexLock lock(mutex_);
    if (*epoch == desired_.epoch) return {};  // durable already
  }
  RETURN_IF_ERROR(Commit(epoch, [](DesiredState*) -> Status { return {}; }, {}, change));
  reserve_.Fill();
  return {};
}

Status NodeStateImpl::WriteDesired(const DesiredState& next, const DesiredState& previous,
                                   Change change) const {
  NodeStep("writing");
  const std::string text = DumpJson(DesiredStateToJson(next), 1) + "\n";
  Status status = WriteFileAtomic(desired_path_, text, 0600);
  if (!status.ok() && change == Change::kDeletion && IsDiskFull(status.error()) && reserve_.Use())
    status = WriteFileAtomic(desired_path_, text, 0600);
  if (!status.ok()) {
    // When only the last fsync failed, the new file is already there: it must not come up later.
    (void)WriteFileAtomic(desired_path_, DumpJson(DesiredStateToJson(previous), 1) + "\n", 0600)
        .ok();
    if (IsDiskFull(status.error()))
      return Error{status.error().code, status.error().message,
                   "free some disk space, for example by deleting generations without traffic "
                   "(service-delete-generation, services-clean), and try again; nothing was "
                   "changed"};
    return status;
  }
  if (change == Change::kOther) reserve_.Fill();
  NodeStep("written");
  return {};
}

Status NodeStateImpl::Commit(Epoch epoch, const Edit& edit, Prepared prepared, Change change) {
  MutexLock commit(commit_mutex_);
  DesiredState previous;
  {
    MutexLock lock(mutex_);
    previous = desired_;
  }
  RETURN_IF_ERROR(CheckEpoch(epoch, previous.epoch));
  DesiredState next = previous;
  if (epoch) next.epoch = *epoch;
  RETURN_IF_ERROR(edit(&next));
  if (DesiredStateToJson(next) != DesiredStateToJson(previous))
    RETURN_IF_ERROR(WriteDesired(next, previous, change));
  MutexLock lock(mutex_);
  desired_ = std::move(next);
  for (auto& [key, generation] : prepared) runtime_[key] = {std::move(generation), ""};
  LetGo();
  Publish();
  return {};
}

void NodeStateImpl::LetGo() {
  for (auto at = runtime_.begin(); at != runtime_.end();) {
    const DesiredService* service = desired_.Find(at->first.first);
    const DesiredGeneration* generation =
        service == nullptr ? nullptr : service->Find(at->first.second);
    if (generation == nullptr) {
      at = runtime_.erase(at);
      continue;
    }
    if (!service->WantsLoaded(*generation)) at->second.generation.reset();
    ++at;
  }
}

void NodeStateImpl::Publish() {
  auto table = std::make_shared<ServiceTable>();
  for (const auto& [id, service] : desired_.services) {
    ServedService served;
    served.id = id;
    served.enabled = service.enabled;
    served.SetSettings(service.settings);
    for (const MappingEntry& entry : service.mapping) {
      if (entry.probability > 0) AddServed(entry.generation, entry.probability, &served);
    }
    for (const DesiredGeneration& generation : service.generations) {
      const bool has_traffic = std::any_of(
          service.mapping.begin(), service.mapping.end(), [&](const MappingEntry& entry) {
            return entry.generation == generation.id && entry.probability > 0;
          });
      if (!has_traffic) AddServed(generation.id, 0, &served);
    }
    table->services.emplace(id, std::move(served));
  }
  tables_.Publish(std::move(table));
}

void NodeStateImpl::AddServed(const std::string& generation, double probability,
                              ServedService* service) const {
  const auto at = runtime_.find({service->id, generation});
  if (at == runtime_.end() || at->second.generation == nullptr) return;
  ServedGeneration out;
  out.generation = at->second.generation;
  out.probability = probability;
  for (int i = 0; stats_ != nullptr && i < out.generation->endpoint_count(); ++i)
    out.stats.push_back(
        stats_->Get(service->id, out.generation->endpoint(i).definition().id, generation));
  service->generations.push_back(std::move(out));
}

Result<DesiredService> NodeStateImpl::Desired(std::string_view service) const {
  MutexLock lock(mutex_);
  const DesiredService* found = desired_.Find(service);
  if (found == nullptr) return UnknownService(desired_, service);
  return *found;
}

std::shared_ptr<const Generation> NodeStateImpl::Loaded(const Key& key) const {
  MutexLock lock(mutex_);
  const auto at = runtime_.find(key);
  return at == runtime_.end() ? nullptr : at->second.generation;
}

void NodeStateImpl::SetError(const Key& key, std::string error) {
  MutexLock lock(mutex_);
  runtime_[key].error = std::move(error);
}

Status NodeStateImpl::Prepare(const std::string& service, const DesiredGeneration& generation,
                              Prepared* prepared) {
  const Key key{service, generation.id};
  if (Loaded(key) != nullptr) return {};
  Result<std::shared_ptr<const Generation>> loaded =
      store_.LoadAndTest(service, generation.id, generation.manifest_sha256);
  if (!loaded.ok()) {
    const Error& error = loaded.error();
    SetError(key,
             error.hint == kRepairHint ? error.message + " (" + error.hint + ")" : error.message);
    return loaded.error();
  }
  SetError(key, "");
  (*prepared)[key] = reaper_->Watch(*std::move(loaded));
  return {};
}

Status NodeStateImpl::PrepareWanted(const std::string& service, const DesiredService& wanted,
                                    Prepared* prepared) {
  for (const DesiredGeneration& generation : wanted.generations) {
    if (wanted.WantsLoaded(generation)) RETURN_IF_ERROR(Prepare(service, generation, prepared));
  }
  return {};
}

Status NodeStateImpl::MapOne(const std::string& service, const std::vector<MappingEntry>& mapping,
                             Epoch epoch) {
  ASSIGN_OR_RETURN(DesiredService wanted, Desired(service));
  RETURN_IF_ERROR(CheckMapping(service, wanted, mapping));
  wanted.enabled = true;
  wanted.mapping = mapping;
  // Mapped, it is no longer kept for being preloaded: once unmapped, it goes.
  for (const MappingEntry& entry : mapping) wanted.Find(entry.generation)->preloaded = false;
  Prepared prepared;
  RETURN_IF_ERROR(PrepareWanted(service, wanted, &prepared));
  return Commit(
      epoch,
      [&](DesiredState* next) -> Status {
        *next->Find(service) = wanted;
        return {};
      },
      std::move(prepared));
}

Status NodeStateImpl::SetMapping(const std::string& service,
                                 const std::vector<MappingEntry>& mapping, Epoch epoch) {
  ServiceTurn turn(this, service);
  RETURN_IF_ERROR(RaiseEpoch(epoch));
  return MapOne(service, mapping, epoch);
}

Result<std::string> NodeStateImpl::SwitchToNewest(const std::string& service, Epoch epoch) {
  ServiceTurn turn(this, service);
  RETURN_IF_ERROR(RaiseEpoch(epoch));
  ASSIGN_OR_RETURN(const DesiredService found, Desired(service));
  if (found.generations.empty())
    return Conflict("service '" + service + "' has no generation to switch to",
                    "import a package first");
  const std::string newest = found.generations.back().id;
  RETURN_IF_ERROR(MapOne(service, {{newest, 1}}, epoch));
  return newest;
}

Status NodeStateImpl::Preload(const std::string& service, const std::string& generation,
                              Epoch epoch) {
  ServiceTurn turn(this, service);
  RETURN_IF_ERROR(RaiseEpoch(epoch));
  ASSIGN_OR_RETURN(const DesiredService found, Desired(service));
  const DesiredGeneration* wanted = found.Find(generation);
  if (wanted == nullptr) return UnknownGeneration(service, found, generation);
  Prepared prepared;
  RETURN_IF_ERROR(Prepare(service, *wanted, &prepared));
  return Commit(
      epoch,
      [&](DesiredState* next) -> Status {
        DesiredService* edited = next->Find(service);
        if (!(edited->enabled && edited->Maps(generation)))
          edited->Find(generation)->preloaded = true;
        return {};
      },
      std::move(prepared));
}

Result<std::vector<TestOutcome>> NodeStateImpl::Test(const std::string& service,
                                                     const std::string& generation) {
  ServiceTurn turn(this, service);  // its folder stays
  ASSIGN_OR_RETURN(const DesiredService found, Desired(service));
  const DesiredGeneration* wanted = found.Find(generation);
  if (wanted == nullptr) return UnknownGeneration(service, found, generation);
  std::shared_ptr<const Generation> loaded = Loaded({service, generation});
  if (loaded == nullptr) {
    ASSIGN_OR_RETURN(std::shared_ptr<const Generation> fresh,
                     store_.Load(service, generation, wanted->manifest_sha256));
    loaded = reaper_->Watch(std::move(fresh));
  }
  return loaded->RunTestQueries();
}

Status NodeStateImpl::SetEnabled(const std::string& service, bool enabled, Epoch epoch) {
  ServiceTurn turn(this, service);
  RETURN_IF_ERROR(RaiseEpoch(epoch));
  ASSIGN_OR_RETURN(DesiredService wanted, Desired(service));
  wanted.enabled = enabled;
  Prepared prepared;
  if (enabled) {
    if (wanted.mapping.empty())
      return Conflict("service '" + service + "' has no generation that takes its traffic",
                      "switch to one or set a mapping, which also enables it");
    RETURN_IF_ERROR(PrepareWanted(service, wanted, &prepared));
  }
  return Commit(
      epoch,
      [&](DesiredState* next) -> Status {
        next->Find(service)->enabled = enabled;
        return {};
      },
      std::move(prepared));
}

Status NodeStateImpl::SetSettings(const std::string& service, const ServiceSettings& settings,
                                  Epoch epoch) {
  RETURN_IF_ERROR(RaiseEpoch(epoch));
  RETURN_IF_ERROR(CheckNewServiceSettings(settings));
  ServiceTurn turn(this, service);
  ASSIGN_OR_RETURN(DesiredService wanted, Desired(service));
  // One that was promoted stays named and does not run: only a new one is checked.
  const bool new_shadow = settings.shadow != wanted.settings.shadow;
  wanted.settings = settings;
  Prepared prepared;
  if (!settings.shadow.empty()) {
    const DesiredGeneration* shadow = wanted.Find(settings.shadow);
    if (shadow == nullptr) return UnknownGeneration(service, wanted, settings.shadow);
    // A deployer's mapping follows its settings: those say where the traffic will be.
    if (new_shadow && !epoch && wanted.mapping.size() == 1 && wanted.Maps(settings.shadow))
      return Conflict("'shadow' names generation '" + settings.shadow +
                          "', which has all the traffic: it would be compared with itself",
                      "name another generation, or none");
    if (wanted.WantsLoaded(*shadow)) RETURN_IF_ERROR(Prepare(service, *shadow, &prepared));
  }
  return Commit(
      epoch,
      [&](DesiredState* next) -> Status {
        next->Find(service)->settings = settings;
        return {};
      },
      std::move(prepared));
}

// --- Reading ----------------------------------------------------------------------------------

ServiceInfo NodeStateImpl::Describe(std::string_view id, const DesiredService& service) const {
  ServiceInfo info;
  info.id = id;
  info.enabled = service.enabled;
  info.settings = service.settings;
  for (const DesiredGeneration& generation : service.generations) {
    GenerationInfo out;
    out.id = generation.id;
    out.created_at = generation.created_at;
    out.imported_at = generation.imported_at;
    out.disk_bytes = generation.disk_bytes;
    out.manifest_sha256 = generation.manifest_sha256;
    for (const MappingEntry& entry : service.mapping) {
      if (entry.generation != generation.id) continue;
      out.mapped = true;
      out.probability = entry.probability;
    }
    const auto at = runtime_.find({info.id, generation.id});
    if (at != runtime_.end()) {
      out.error = at->second.error;
      out.loaded = at->second.generation != nullptr;
      if (out.loaded)
        out.memory_bytes = static_cast<int64_t>(at->second.generation->memory_bytes());
    }
    out.status = out.loaded ? "loaded" : out.error.empty() ? "imported" : "failed";
    if (info.reason.empty() && service.Maps(generation.id) && !out.loaded && !out.error.empty())
      info.reason = out.error;
    info.generations.push_back(std::move(out));
  }
  if (!service.enabled) {
    info.reason = "disabled";
  } else if (service.mapping.empty()) {
    info.reason = "no generation is mapped";
  } else {
    info.serving = std::all_of(
        info.generations.begin(), info.generations.end(),
        [&](const GenerationInfo& each) { return each.loaded || !service.Maps(each.id); });
    if (!info.serving && info.reason.empty()) info.reason = "a mapped generation is not loaded";
  }
  if (info.serving) info.reason.clear();
  return info;
}

std::vector<ServiceInfo> NodeStateImpl::Services() const {
  MutexLock lock(mutex_);
  std::vector<ServiceInfo> out;
  for (const auto& [id, service] : desired_.services) out.push_back(Describe(id, service));
  return out;
}

Result<ServiceInfo> NodeStateImpl::Service(std::string_view id) const {
  MutexLock lock(mutex_);
  const DesiredService* service = desired_.Find(id);
  if (service == nullptr) return UnknownService(desired_, id);
  return Describe(id, *service);
}

bool NodeStateImpl::Ready(std::string* reason) const {
  MutexLock lock(mutex_);
  std::string reasons;
  for (const auto& [id, service] : desired_.services) {
    if (!service.enabled) continue;
    const ServiceInfo info = Describe(id, service);
    if (info.serving) continue;
    if (!reasons.empty()) reasons += "; ";
    reasons += "service '" + id + "' is not served: " + info.reason;
  }
  if (reason != nullptr) *reason = reasons;
  return reasons.empty();
}

int64_t NodeStateImpl::epoch() const {
  MutexLock lock(mutex_);
  return desired_.epoch;
}

NodeMemory NodeStateImpl::memory() const {
  const GenerationReaper::Counts counts = reaper_->counts();
  return {counts.alive, counts.alive_bytes, counts.freed};
}

std::string NodeStateImpl::spool_folder() const { return JoinPath(store_.home(), "spool"); }
std::string NodeStateImpl::import_folder() const { return JoinPath(store_.home(), "import"); }

}  // namespace slipway
