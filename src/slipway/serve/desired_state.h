// desired.json: what a node is to serve, and which generations it holds. The one thing on disk that
// decides; a folder that it does not list is a leftover. Pure values and their JSON.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/base/result.h"
#include "slipway/serve/node_state.h"

namespace slipway {

struct DesiredGeneration {
  std::string id, created_at, imported_at;
  std::string manifest_sha256;  // of the manifest, hence of every part
  int64_t sequence = 0;         // of the import: the greatest is the newest
  int64_t disk_bytes = 0;
  bool preloaded = false;  // kept loaded without being mapped
};

struct DesiredService {
  bool enabled = false;
  ServiceSettings settings;
  std::vector<MappingEntry> mapping;
  std::vector<DesiredGeneration> generations;  // by sequence

  DesiredGeneration* Find(std::string_view generation);
  const DesiredGeneration* Find(std::string_view generation) const;
  bool Maps(std::string_view generation) const;
  // Whether the generation belongs in memory: mapped or shadow of an enabled service, or preloaded.
  bool WantsLoaded(const DesiredGeneration& generation) const;
};

struct DesiredState {
  int64_t epoch = 0;
  int64_t sequence = 0;
  std::map<std::string, DesiredService, std::less<>> services;

  DesiredService* Find(std::string_view service);
  const DesiredService* Find(std::string_view service) const;
};

Json DesiredStateToJson(const DesiredState& state);
// Strict: what this version does not know is kCorruption, not ignored and lost by the next write.
Result<DesiredState> DesiredStateFromJson(const Json& json);

// Known, finite, unique, summing to 1 (1e-6).
Status CheckMapping(std::string_view service_id, const DesiredService& service,
                    const std::vector<MappingEntry>& mapping);
Status CheckServiceSettings(const ServiceSettings& settings);
// The same and what is refused of new ones alone: a node starts with what it was once given.
Status CheckNewServiceSettings(const ServiceSettings& settings);

Error UnknownService(const DesiredState& state, std::string_view service);
Error UnknownGeneration(std::string_view service_id, const DesiredService& service,
                        std::string_view generation);

}  // namespace slipway
