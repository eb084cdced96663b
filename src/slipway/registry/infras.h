// Stages and infrastructures: where deployments run and for what. A node belongs to one
// infrastructure; its admin key is a secret that is referenced, never given out. Thread-safe as
// Database is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/registry/secrets.h"
#include "slipway/store/database.h"

namespace slipway {

struct Stage {
  std::string name, description;
};

struct InfraNode {
  std::string url;                    // "http://10.0.0.7:12000", no slash at the end
  std::optional<int64_t> key_secret;  // of its admin key
};

// How the deployer talks to the nodes, and how it rolls out.
struct InfraSettings {
  int parallel = 1;     // nodes that are switched at a time, in the list's order
  int local_nodes = 1;  // of type local: how many
  std::string ca_file, certificate_file, key_file;
  bool insecure = false;
};

struct InfraRecord {
  std::string name, type;  // "static", "local"
  std::string stage;
  InfraSettings settings;
  std::vector<InfraNode> nodes;  // of type static
  std::string created_at, created_by;
};

struct NewInfra {
  std::string name, type, stage;
  InfraSettings settings;
  struct Node {
    std::string url, key;
  };
  std::vector<Node> nodes;
  std::string who;
};

class Infras {
 public:
  Infras(Database& database, Secrets& secrets) : database_(database), secrets_(secrets) {}

  Result<std::vector<Stage>> Stages() const;
  // In this order. A stage that an infrastructure is of cannot go.
  Status SetStages(const std::vector<Stage>& stages);

  Result<InfraRecord> Add(const NewInfra& infra);
  Result<std::vector<InfraRecord>> List() const;
  // kNotFound with a suggestion.
  Result<InfraRecord> Get(std::string_view name) const;
  // Of type static: these, in this order. Without a key, the one that is stored for the URL stays.
  struct NodeChange {
    std::string url;
    std::optional<std::string> key;  // "": none
  };
  Result<InfraRecord> SetNodes(std::string_view name, const std::vector<NodeChange>& nodes);
  // With its nodes' keys and the rights on it (ended_rights.h); kConflict while a deployment is on
  // it.
  Status Delete(std::string_view name, std::string_view who = "");

 private:
  Database& database_;
  Secrets& secrets_;
};

}  // namespace slipway
