#include "slipway/serve/public_notice.h"

#include <algorithm>

#include "slipway/serve/log.h"

namespace slipway {
namespace {

void NoteIgnoredPublic(const std::string& service, const std::string& generation) {
  LogWarning(
      "the package says 'auth: public', which counts on loopback alone: scoring asks for a key",
      {{"service", service},
       {"generation", generation},
       {"hint",
        "to score it without keys: the service's setting auth=public, or auth.allow_public "
        "(--allow-public) for all"}});
}

}  // namespace

void NotePublicPackage(const NodeParts& parts, const std::string& service,
                       const std::string& generation, const std::string& auth) {
  if (auth != "public" || IsOpen(parts.config)) return;
  const auto table = parts.state->tables().Get();
  const ServedService* const served = table->Find(service);
  if (served == nullptr || served->settings.auth.empty()) NoteIgnoredPublic(service, generation);
}

void NotePublicTraffic(const NodeParts& parts, const std::string& service) {
  if (IsOpen(parts.config)) return;
  const auto table = parts.state->tables().Get();
  for (const auto& [id, served] : table->services) {
    if (!service.empty() && id != service) continue;
    if (!served.enabled || !served.settings.auth.empty()) continue;
    for (const ServedGeneration& each : served.generations) {
      if (each.probability > 0 && each.generation->manifest().auth == "public")
        NoteIgnoredPublic(id, each.generation->id());
    }
  }
}

void NotePublicSettings(const NodeParts& parts, const std::string& service,
                        const ServiceSettings& settings) {
  if (IsOpen(parts.config)) return;
  const bool endpoint = std::any_of(settings.endpoints.begin(), settings.endpoints.end(),
                                    [](const auto& own) { return own.second.auth == "public"; });
  if (settings.auth != "public" && !endpoint) return;
  LogWarning(settings.auth == "public"
                 ? "by its settings, whoever reaches the node may score this service"
                 : "by its settings, whoever reaches the node may score endpoints of this service",
             {{"service", service}});
}

}  // namespace slipway
