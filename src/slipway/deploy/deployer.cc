// The deployer's ground: sessions with nodes, epochs, local nodes, the supervisor.
#include "slipway/deploy/deployer.h"

#include <algorithm>

#include "slipway/base/clock.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

// How far a take-over jumps: the other deployer's epochs go on rising by one a process.
constexpr int64_t kTakeOver = 1'000'000;

}  // namespace

Deployer::Deployer(Registry& registry)
    : registry_(registry), local_(registry.home().NodesFolder()) {}

Deployer::~Deployer() {
  if (!supervisor_.joinable()) return;
  supervisor_.request_stop();
  watcher_.request_stop();
  repairer_.request_stop();
  wake_.notify_all();
  supervisor_.join();
  watcher_.join();
  repairer_.join();
  if (abandoned_) return;
  if (const auto infras = registry_.infras().List(); infras.ok()) {
    for (const InfraRecord& infra : *infras) {
      if (infra.type == "local") local_.Stop(infra.name, infra.settings.local_nodes);
    }
  }
}

void Deployer::Supervise() {
  supervisor_ = std::jthread([this](const std::stop_token& stop) { SuperviseLoop(stop); });
  watcher_ = std::jthread([this](const std::stop_token& stop) { WatchLoop(stop); });
  repairer_ = std::jthread([this](const std::stop_token& stop) { RepairLoop(stop); });
}

void Deployer::RepairLoop(const std::stop_token& stop) {
  for (bool again = false; !stop.stop_requested(); again = true) {
    if (!abandoned_) {
      for (const std::string& line : Recover("slipway", again))
        std::fprintf(stderr, "%s\n", line.c_str());
    }
    std::unique_lock<std::mutex> lock(sleep_mutex_);
    wake_.wait_for(lock, stop, std::chrono::seconds(5), [] { return false; });
  }
}

// Local nodes are looked after whatever the other nodes do: watching them is another thread's.
void Deployer::SuperviseLoop(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    if (const auto infras = registry_.infras().List(); infras.ok()) {
      for (const InfraRecord& infra : *infras) {
        if (infra.type != "local" || stop.stop_requested() || abandoned_) continue;
        for (const std::string& line :
             local_.Step(infra.name, infra.settings.local_nodes, SteadySeconds()))
          std::fprintf(stderr, "%s\n", line.c_str());
      }
    }
    std::unique_lock<std::mutex> lock(sleep_mutex_);
    wake_.wait_for(lock, stop, std::chrono::seconds(1), [] { return false; });
  }
}

Result<Deployer::Session> Deployer::Open(const std::string& name, bool start) {
  ASSIGN_OR_RETURN(const InfraRecord infra, registry_.infras().Get(name));
  return Open(infra, start);
}

Result<Deployer::Session> Deployer::Open(const InfraRecord& infra, bool start) {
  Session session;
  session.infra = infra;
  const InfraSettings& settings = session.infra.settings;
  {
    const MutexLock lock(mutex_);
    std::shared_ptr<HttpClient>& http = clients_[infra.name + "\n" + infra.created_at];
    if (http == nullptr) {
      HttpClientOptions options;
      options.connect_seconds = 3;
      options.ca_file = settings.ca_file;
      options.certificate_file = settings.certificate_file;
      options.key_file = settings.key_file;
      options.insecure = settings.insecure;
      options.user_agent = "slipway-deployer";
      http = std::make_shared<HttpClient>(options);
    }
    session.http = http;
  }
  ASSIGN_OR_RETURN(const auto driver, MakeDriver(session.infra, registry_, local_));
  ASSIGN_OR_RETURN(const std::vector<NodeAddress> addresses, driver->Nodes(session.infra, start));
  for (const NodeAddress& address : addresses) {
    auto client = std::make_unique<NodeClient>(session.http.get(), address.url, address.key);
    client->set_problem(address.problem);
    session.nodes.push_back(client.get());
    session.clients.push_back(std::move(client));
  }
  return session;
}

Result<int64_t> Deployer::Epoch(Session& session, bool take_over) {
  int64_t seen = 0;
  if (take_over) {
    std::vector<int64_t> epochs(session.nodes.size());
    ForEachInParallel(session.nodes.size(), 16, [&](size_t i) {
      if (const auto metrics = session.nodes[i]->Metrics(); metrics.ok() && metrics->is_object())
        epochs[i] = metrics->value("epoch", int64_t{0});
    });
    for (const int64_t epoch : epochs) seen = std::max(seen, epoch + kTakeOver);
  }
  const MutexLock lock(mutex_);
  if (epoch_ == 0 || take_over) {
    // Commands on a shared registry work side by side, each on its own deployments (their locks):
    // none follows another, so none fences another.
    const bool together = registry_.beside_others() && !take_over;
    ASSIGN_OR_RETURN(epoch_, together ? registry_.deployments().SharedEpoch()
                                      : registry_.deployments().NextEpoch(seen));
  }
  for (NodeClient* node : session.nodes) node->set_epoch(epoch_);
  return epoch_;
}

Result<std::map<std::string, std::string>> Deployer::PackageFiles(const std::string& service,
                                                                  const DeploymentSpec& spec) {
  std::map<std::string, std::string> files;
  for (const auto& [generation, weight] : spec.generations) {
    ASSIGN_OR_RETURN(const PublishedVersion version,
                     registry_.published().GetVersion(service, generation));
    ASSIGN_OR_RETURN(files[generation], registry_.published().Path(version));
  }
  return files;
}

Result<Json> Deployer::Nodes(const InfraRecord& infra, bool start) {
  ASSIGN_OR_RETURN(Session session, Open(infra.name, start));
  Json out = Json::array();
  for (size_t i = 0; i < session.nodes.size(); ++i) out.push_back(Json::object());
  ForEachInParallel(session.nodes.size(), 16, [&](size_t i) {
    const auto metrics = session.nodes[i]->Metrics(5);
    Json node = {{"url", session.nodes[i]->url()}, {"reachable", metrics.ok()}};
    if (!metrics.ok()) node["reason"] = metrics.error().message;
    out[i] = std::move(node);
  });
  return out;
}

Status Deployer::StopNodes(const InfraRecord& infra) {
  if (infra.type != "local")
    return InvalidArgument(
        "the nodes of '" + infra.name + "' are not run by this machine's Slipway",
        "stop them where they run");
  RETURN_IF_ERROR(local_.Hold(infra.name));
  local_.Stop(infra.name, infra.settings.local_nodes);
  return {};
}

Status Deployer::RemoveInfra(const InfraRecord& infra, const std::string& who) {
  // The row first: it refuses while deployments are there.
  RETURN_IF_ERROR(registry_.infras().Delete(infra.name, who));
  ASSIGN_OR_RETURN(const auto driver, MakeDriver(infra, registry_, local_));
  return driver->Remove(infra);
}

}  // namespace slipway
