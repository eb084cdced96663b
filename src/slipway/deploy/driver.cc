#include "slipway/deploy/driver.h"

namespace slipway {
namespace {

class StaticDriver : public Driver {
 public:
  explicit StaticDriver(Registry& registry) : registry_(registry) {}
  Result<std::vector<NodeAddress>> Nodes(const InfraRecord& infra, bool) override {
    std::vector<NodeAddress> nodes;
    for (const InfraNode& node : infra.nodes) {
      NodeAddress address{node.url, "", ""};
      if (node.key_secret) {
        auto key = registry_.secrets().Open(*node.key_secret);
        if (key.ok()) {
          address.key = *std::move(key);
        } else {
          address.problem = "its admin key cannot be had: " + key.error().message + "; " +
                            "give it again: slipway infra nodes " + infra.name + " --add " +
                            node.url + " --key-file FILE";
        }
      }
      nodes.push_back(std::move(address));
    }
    return nodes;
  }
  Status Remove(const InfraRecord&) override { return {}; }

 private:
  Registry& registry_;
};

class LocalDriver : public Driver {
 public:
  explicit LocalDriver(LocalNodes& local) : local_(local) {}
  Result<std::vector<NodeAddress>> Nodes(const InfraRecord& infra, bool start) override {
    std::vector<NodeAddress> nodes;
    for (int number = 1; number <= infra.settings.local_nodes; ++number) {
      LocalNode node = local_.Look(infra.name, number);
      if (!node.running && start) {
        ASSIGN_OR_RETURN(node, local_.Start(infra.name, number));
      }
      if (node.running) {
        nodes.push_back({node.url, node.key, ""});
      } else if (!node.elsewhere.empty()) {
        nodes.push_back({"local:" + infra.name + "/" + std::to_string(number), "",
                         "it runs on '" + node.elsewhere + "', which is another machine"});
      } else {
        nodes.push_back(
            {"local:" + infra.name + "/" + std::to_string(number), "",
             "it is not running; start it with `slipway infra start " + infra.name + "`"});
      }
    }
    return nodes;
  }
  Status Remove(const InfraRecord& infra) override {
    return local_.Remove(infra.name, infra.settings.local_nodes);
  }

 private:
  LocalNodes& local_;
};

}  // namespace

Result<std::unique_ptr<Driver>> MakeDriver(const InfraRecord& infra, Registry& registry,
                                           LocalNodes& local) {
  if (infra.type == "static") return std::unique_ptr<Driver>(new StaticDriver(registry));
  if (infra.type == "local") return std::unique_ptr<Driver>(new LocalDriver(local));
  return InvalidArgument("infrastructures of type '" + infra.type + "' come with a later release",
                         "use 'static' or 'local'");
}

}  // namespace slipway
