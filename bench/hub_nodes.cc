// Simulated API nodes for `./run bench hub`: one process, one loop, N ports, and behind each port
// the calls of the admin API (docs/admin-api.md) that a deployer makes. They keep what is deployed
// to them and count requests that nobody sent; they load and answer nothing. No keys.
//   hub_nodes N          prints a URL a line, then "ready"; ends with its standard input
// POST /simulate {"per_second": 50}: what every mapped generation is asked from then on.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "slipway/base/clock.h"
#include "slipway/base/hash.h"
#include "slipway/base/json.h"
#include "slipway/base/mutex.h"
#include "slipway/base/text.h"
#include "slipway/http/listen_address.h"
#include "slipway/http/server.h"

namespace slipway {
namespace {

// As a real node's: docs/admin-api.md.
constexpr double kBounds[] = {25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3,
                              25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1.0,  2.5,    5.0,  10.0};

struct Service {
  bool enabled = false;
  Json settings = Json::object();
  std::vector<std::pair<std::string, std::string>> generations;  // id, hash of its package
  std::map<std::string, double> mapping;
  std::map<std::string, double> asked;  // generation -> requests
};

struct Node {
  std::string url;
  int64_t epoch = 0;
  std::map<std::string, Service> services;
};

class Nodes final : public HttpHandler {
 public:
  void Add(int port) {
    const MutexLock lock(mutex_);
    Node& node = nodes_[port];
    node.url = "http://127.0.0.1:" + std::to_string(port);
  }

  HttpBodyPlan PlanBody(const HttpRequest&, HttpReply*) override {
    return {.max_bytes = size_t{64} << 20};
  }
  HttpOutcome Handle(const HttpRequest& request, HttpReply* reply, HttpExchange*) override {
    const std::string host(request.Header("host"));
    const auto port = ParseInt64(host.substr(host.rfind(':') + 1)).value_or(0);
    const MutexLock lock(mutex_);
    Count();
    const auto found = nodes_.find(static_cast<int>(port));
    if (request.path == "/simulate") {
      Simulate(*ParseJson(request.body), reply);
    } else if (found == nodes_.end()) {
      Fail(reply, 404, "not_found", "there is no node " + host);
    } else {
      reply->body = R"({"ok": true})";
      Answer(found->second, request, reply);
    }
    return HttpOutcome::kReplied;
  }

 private:
  static void Fail(HttpReply* reply, int status, const char* code, const std::string& message) {
    reply->status = status;
    reply->body = DumpJson({{"code", code}, {"message", message}, {"hint", ""}});
  }

  void Simulate(const Json& body, HttpReply* reply) REQUIRES_LOCK(mutex_) {
    per_second_ = body.value("per_second", 0.0);
    reply->body = R"({"ok": true})";
  }

  // What was asked since the last look, by the weights.
  void Count() REQUIRES_LOCK(mutex_) {
    const double now = SteadySeconds();
    const double requests = per_second_ * (now - counted_);
    counted_ = now;
    if (requests <= 0) return;
    for (auto& [port, node] : nodes_) {
      for (auto& [name, service] : node.services) {
        for (const auto& [generation, share] : service.mapping)
          service.asked[generation] += requests * share;
      }
    }
  }

  void Answer(Node& node, const HttpRequest& request, HttpReply* reply) REQUIRES_LOCK(mutex_) {
    if (const auto epoch = ParseInt64(request.Header("x-slipway-epoch"))) {
      if (*epoch < node.epoch)
        return Fail(reply, 409, "conflict", "this change has the epoch " + std::to_string(*epoch));
      node.epoch = *epoch;
    }
    const std::vector<std::string> path = Split(request.path, '/');  // "", admin, api, services, s
    const std::string what = path.size() > 5 ? path[5] : "";
    if (path.size() > 3 && path[3] == "metrics") {
      reply->body = DumpJson(Metrics(node));
      return;
    }
    if (path.size() < 4 || path[3] != "services")
      return Fail(reply, 404, "not_found", "there is no such call");
    if (path.size() == 4) {
      Json list = Json::array();
      for (const auto& [name, service] : node.services) {
        list.push_back(Describe(name, service));
        if (request.query == "full=true") list.back()["generationList"] = Generations(service);
      }
      reply->body = DumpJson(list);
      return;
    }
    const std::string& name = path[4];
    if (request.method == "DELETE" && what.empty()) {
      node.services.erase(name);
      return;
    }
    if (request.method == "POST" && what == "generations" && path.size() == 6) {
      Import(node.services[name], request.body);
      return;
    }
    const auto found = node.services.find(name);
    if (found == node.services.end())
      return Fail(reply, 404, "not_found", "there is no service '" + name + "'");
    Service& service = found->second;
    if (request.method == "GET" && what.empty()) {
      reply->body = DumpJson(Describe(name, service));
    } else if (request.method == "GET") {
      reply->body = DumpJson({{"generations", Generations(service)}});
    } else if (what == "settings") {
      service.settings = *ParseJson(request.body);
    } else if (path.back() == "test") {
      reply->body = "[]";
    } else if (path.back() == "disable") {
      service.enabled = false;
    } else if (path.back() == "setMapping") {
      service.mapping.clear();
      const Json body = *ParseJson(request.body);
      for (const Json& entry : body["entries"])
        service.mapping[entry["generation"].get<std::string>()] = entry["proba"].get<double>();
      service.enabled = true;
    } else if (request.method == "DELETE") {
      std::erase_if(service.generations, [&](const auto& each) { return each.first == path[6]; });
    }
  }

  // Packages are called v1, v2, ... in the order in which they come.
  static void Import(Service& service, std::string_view body) {
    const std::string hash = Sha256Hex(body);
    for (const auto& [id, known] : service.generations) {
      if (known == hash) return;
    }
    service.generations.emplace_back("v" + std::to_string(service.generations.size() + 1), hash);
  }

  static Json Describe(const std::string& name, const Service& service) {
    Json entries = Json::array();
    for (const auto& [generation, share] : service.mapping)
      entries.push_back({{"generation", generation}, {"proba", share}});
    return {{"serviceId", name},
            {"enabled", service.enabled},
            {"serving", service.enabled},
            {"reason", ""},
            {"mapping", {{"entries", std::move(entries)}}},
            {"generations", service.generations.size()},
            {"settings", service.settings}};
  }

  static Json Generations(const Service& service) {
    Json list = Json::array();
    for (const auto& [id, hash] : service.generations) {
      const auto share = service.mapping.find(id);
      const bool mapped = share != service.mapping.end();
      list.push_back({{"generationId", id},
                      {"tag", id},
                      {"createdOn", 1767323045000},
                      {"importedOn", 1767323045000},
                      {"mounted", true},
                      {"mapped", mapped},
                      {"mappedPercent", mapped ? share->second * 100 : 0},
                      {"status", "loaded"},
                      {"error", ""},
                      {"diskBytes", 100000},
                      {"memoryBytes", 1000000}});
    }
    return list;
  }

  static Json Metrics(const Node& node) {
    Json endpoints = Json::array(), bounds = Json::array();
    for (const double bound : kBounds) bounds.push_back(bound);
    for (const auto& [name, service] : node.services) {
      for (const auto& [generation, asked] : service.asked) {
        const auto requests = static_cast<int64_t>(asked);
        Json buckets = Json::array();
        for (size_t i = 0; i <= std::size(kBounds); ++i) buckets.push_back(0);
        buckets[2] = requests - requests / 20;
        buckets[5] = requests / 20;
        endpoints.push_back({{"service", name},
                             {"endpoint", "e"},
                             {"generation", generation},
                             {"requests", requests},
                             {"errors", 0},
                             {"clientErrors", 0},
                             {"serverErrors", 0},
                             {"rejected", 0},
                             {"records", requests},
                             {"ignored", 0},
                             {"failed", 0},
                             {"meanMs", 0.1},
                             {"p50Ms", 0.08},
                             {"p95Ms", 0.5},
                             {"p99Ms", 0.9},
                             {"latencyBuckets", std::move(buckets)}});
      }
    }
    return {{"startedOn", 1767323045000},        {"latencyBounds", std::move(bounds)},
            {"endpoints", std::move(endpoints)}, {"services", Json::array()},
            {"shadows", Json::array()},          {"epoch", node.epoch}};
  }

  Mutex mutex_;
  std::map<int, Node> nodes_ GUARDED_BY(mutex_);
  double per_second_ GUARDED_BY(mutex_) = 0, counted_ GUARDED_BY(mutex_) = SteadySeconds();
};

int Run(int count) {
  Nodes nodes;
  HttpServerOptions options;
  options.loops = 1;
  options.limits.idle_seconds = 600;
  for (int i = 0; i < count; ++i) options.listen.push_back({});
  auto server = HttpServer::Start(options, &nodes);
  if (!server.ok()) {
    std::fprintf(stderr, "%s\n", server.error().message.c_str());
    return 1;
  }
  for (const ListenAddress& address : (*server)->addresses()) {
    nodes.Add(address.port);
    std::printf("http://127.0.0.1:%d\n", address.port);
  }
  std::printf("ready\n");
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  (*server)->StopAccepting();
  return 0;
}

}  // namespace
}  // namespace slipway

int main(int argc, char** argv) {
  const int count = argc == 2 ? std::atoi(argv[1]) : 0;
  if (count < 1) {
    std::fprintf(stderr, "usage: hub_nodes N\n");
    return 2;
  }
  return slipway::Run(count);
}
