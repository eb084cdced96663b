#include "slipway/serve/desired_state.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "slipway/base/text.h"

namespace slipway {
namespace {

constexpr int kDesiredFormat = 1;

Status OnlyKeys(const Json& object, std::initializer_list<std::string_view> keys,
                std::string_view what) {
  if (!object.is_object()) return Corruption(std::string(what) + " is not an object");
  for (const auto& [key, value] : object.items()) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end())
      return Corruption(std::string(what) + " has the unknown key '" + key + "'");
  }
  return {};
}

Result<DesiredGeneration> GenerationFromJson(const Json& json) {
  RETURN_IF_ERROR(OnlyKeys(
      json,
      {"id", "created_at", "imported_at", "manifest_sha256", "sequence", "disk_bytes", "preloaded"},
      "a generation"));
  DesiredGeneration generation;
  ASSIGN_OR_RETURN(generation.id, GetString(json, "id"));
  if (!IsValidName(generation.id))
    return Corruption("'" + generation.id + "' is no generation's id");
  ASSIGN_OR_RETURN(generation.created_at, GetString(json, "created_at"));
  ASSIGN_OR_RETURN(generation.imported_at, GetString(json, "imported_at"));
  ASSIGN_OR_RETURN(generation.manifest_sha256, GetString(json, "manifest_sha256"));
  ASSIGN_OR_RETURN(generation.sequence, GetInt(json, "sequence"));
  ASSIGN_OR_RETURN(generation.disk_bytes, GetInt(json, "disk_bytes"));
  ASSIGN_OR_RETURN(generation.preloaded, GetBool(json, "preloaded"));
  return generation;
}

Result<DesiredService> ServiceFromJson(const Json& json) {
  RETURN_IF_ERROR(OnlyKeys(json, {"enabled", "settings", "mapping", "generations"}, "a service"));
  DesiredService service;
  ASSIGN_OR_RETURN(service.enabled, GetBool(json, "enabled"));
  ASSIGN_OR_RETURN(const Json* settings, GetObject(json, "settings"));
  ASSIGN_OR_RETURN(service.settings, ServiceSettingsFromJson(*settings));
  ASSIGN_OR_RETURN(const Json* mapping, GetArray(json, "mapping"));
  for (const Json& each : *mapping) {
    RETURN_IF_ERROR(OnlyKeys(each, {"generation", "probability"}, "a mapping's entry"));
    MappingEntry entry;
    ASSIGN_OR_RETURN(entry.generation, GetString(each, "generation"));
    ASSIGN_OR_RETURN(entry.probability, GetDouble(each, "probability"));
    service.mapping.push_back(std::move(entry));
  }
  ASSIGN_OR_RETURN(const Json* generations, GetArray(json, "generations"));
  for (const Json& each : *generations) {
    ASSIGN_OR_RETURN(DesiredGeneration generation, GenerationFromJson(each));
    if (service.Find(generation.id) != nullptr)
      return Corruption("generation '" + generation.id + "' is listed twice");
    service.generations.push_back(std::move(generation));
  }
  for (const MappingEntry& entry : service.mapping) {
    if (service.Find(entry.generation) == nullptr)
      return Corruption("generation '" + entry.generation + "' is mapped but not listed");
  }
  return service;
}

Result<DesiredState> StateFromJson(const Json& json) {
  RETURN_IF_ERROR(OnlyKeys(json, {"format", "epoch", "sequence", "services"}, "the document"));
  ASSIGN_OR_RETURN(const int64_t format, GetInt(json, "format"));
  if (format != kDesiredFormat)
    return Corruption("its format is " + std::to_string(format) + ", this node reads " +
                          std::to_string(kDesiredFormat),
                      "use the slipway-apinode that wrote it, or a newer one");
  DesiredState state;
  ASSIGN_OR_RETURN(state.epoch, GetInt(json, "epoch"));
  ASSIGN_OR_RETURN(state.sequence, GetInt(json, "sequence"));
  ASSIGN_OR_RETURN(const Json* services, GetObject(json, "services"));
  for (const auto& [id, each] : services->items()) {
    if (!IsValidName(id)) return Corruption("'" + id + "' is no service's id");
    Result<DesiredService> service = ServiceFromJson(each);
    if (!service.ok()) return service.error().Within("service '" + id + "'");
    state.services.emplace(id, *std::move(service));
  }
  return state;
}

}  // namespace

DesiredGeneration* DesiredService::Find(std::string_view generation) {
  for (DesiredGeneration& each : generations) {
    if (each.id == generation) return &each;
  }
  return nullptr;
}
const DesiredGeneration* DesiredService::Find(std::string_view generation) const {
  for (const DesiredGeneration& each : generations) {
    if (each.id == generation) return &each;
  }
  return nullptr;
}

bool DesiredService::Maps(std::string_view generation) const {
  return std::any_of(mapping.begin(), mapping.end(),
                     [&](const MappingEntry& entry) { return entry.generation == generation; });
}

bool DesiredService::WantsLoaded(const DesiredGeneration& generation) const {
  if (generation.preloaded) return true;
  return enabled && (Maps(generation.id) || settings.shadow == generation.id);
}

DesiredService* DesiredState::Find(std::string_view service) {
  const auto at = services.find(service);
  return at == services.end() ? nullptr : &at->second;
}
const DesiredService* DesiredState::Find(std::string_view service) const {
  const auto at = services.find(service);
  return at == services.end() ? nullptr : &at->second;
}

Json DesiredStateToJson(const DesiredState& state) {
  Json services = Json::object();
  for (const auto& [id, service] : state.services) {
    Json mapping = Json::array();
    for (const MappingEntry& entry : service.mapping)
      mapping.push_back({{"generation", entry.generation}, {"probability", entry.probability}});
    Json generations = Json::array();
    for (const DesiredGeneration& generation : service.generations) {
      generations.push_back({{"id", generation.id},
                             {"created_at", generation.created_at},
                             {"imported_at", generation.imported_at},
                             {"manifest_sha256", generation.manifest_sha256},
                             {"sequence", generation.sequence},
                             {"disk_bytes", generation.disk_bytes},
                             {"preloaded", generation.preloaded}});
    }
    services[id] = {{"enabled", service.enabled},
                    {"settings", ServiceSettingsToJson(service.settings)},
                    {"mapping", std::move(mapping)},
                    {"generations", std::move(generations)}};
  }
  return {{"format", kDesiredFormat},
          {"epoch", state.epoch},
          {"sequence", state.sequence},
          {"services", std::move(services)}};
}

Result<DesiredState> DesiredStateFromJson(const Json& json) {
  Result<DesiredState> state = StateFromJson(json);
  if (state.ok()) return state;
  return Corruption(state.error().message, state.error().hint);
}

Status CheckMapping(std::string_view service_id, const DesiredService& service,
                    const std::vector<MappingEntry>& mapping) {
  constexpr std::string_view kShape = "{\"entries\": [{\"generation\": \"v1\", \"proba\": 1}]}";
  if (mapping.empty())
    return InvalidArgument("the mapping names no generation",
                           "send " + std::string(kShape) + ", or disable the service");
  double sum = 0;
  std::set<std::string_view> seen;
  for (const MappingEntry& entry : mapping) {
    if (service.Find(entry.generation) == nullptr)
      return UnknownGeneration(service_id, service, entry.generation);
    if (!seen.insert(entry.generation).second)
      return InvalidArgument("the mapping names generation '" + entry.generation + "' twice");
    if (!std::isfinite(entry.probability) || entry.probability < 0 || entry.probability > 1)
      return InvalidArgument("generation '" + entry.generation + "' has the probability " +
                                 FormatDouble(entry.probability),
                             "probabilities are from 0 to 1");
    sum += entry.probability;
  }
  if (std::abs(sum - 1) > 1e-6)
    return InvalidArgument("the probabilities sum to " + FormatDouble(sum) + ", not to 1");
  return {};
}

Error UnknownService(const DesiredState& state, std::string_view service) {
  std::vector<std::string> names;
  for (const auto& [id, each] : state.services) names.push_back(id);
  std::string hint = DidYouMean(service, names);
  if (hint.empty())
    hint = names.empty() ? "this node has no service yet" : "this node has " + QuotedList(names);
  return NotFound("there is no service '" + std::string(service) + "'", std::move(hint));
}

Error UnknownGeneration(std::string_view service_id, const DesiredService& service,
                        std::string_view generation) {
  std::vector<std::string> names;
  for (const DesiredGeneration& each : service.generations) names.push_back(each.id);
  std::string hint =
      names.empty() ? "nothing was imported into it yet" : "it has " + QuotedList(names);
  return NotFound("service '" + std::string(service_id) + "' has no generation '" +
                      std::string(generation) + "'",
                  std::move(hint));
}

}  // namespace slipway
