#include "slipway/hub/deploy_views.h"

#include <functional>

#include "slipway/base/text.h"
#include "slipway/hub/hub.h"

namespace slipway {
namespace {

using Visit =
    std::function<void(const DeploymentRecord&, const InfraRecord&, const PublishedService&,
                       const std::string& generation, double weight, int64_t model_version)>;

// Every model version of this model that a deployment serves.
Status ForEachServed(Registry& registry, const std::string& name, const Visit& visit) {
  ASSIGN_OR_RETURN(const auto deployments, registry.deployments().List());
  for (const DeploymentRecord& deployment : deployments) {
    if (!deployment.applied || !deployment.applied->enabled) continue;
    ASSIGN_OR_RETURN(const InfraRecord infra, registry.infras().Get(deployment.infra));
    ASSIGN_OR_RETURN(const PublishedService service, registry.published().Get(deployment.service));
    for (const auto& [generation, weight] : deployment.applied->generations) {
      for (const PublishedVersion& version : service.versions) {
        if (version.version != generation) continue;
        for (const auto& [model, number] : ModelVersionsIn(version)) {
          if (model == name) visit(deployment, infra, service, generation, weight, number);
        }
      }
    }
  }
  return {};
}

// What brings a package with this model version to the deployment.
std::string MoveCommand(Registry& registry, const DeploymentRecord& deployment,
                        const PublishedService& service, const std::string& model,
                        int64_t version) {
  const std::string update = "slipway deployment update " + deployment.name + " --version ";
  for (auto it = service.versions.rbegin(); it != service.versions.rend(); ++it) {
    for (const auto& [name, number] : ModelVersionsIn(*it)) {
      if (name == model && number == version) return update + it->version;
    }
  }
  const std::string name = service.project + "/" + service.name;
  if (const auto packages = registry.packages().List(service.project, service.name);
      packages.ok()) {
    for (auto it = packages->rbegin(); it != packages->rend(); ++it) {
      for (const PackageModel& each : it->models) {
        if (each.project + "/" + each.model == model && each.version == version)
          return "slipway service publish " + name + "@" + PackageId(it->number) + " && " + update +
                 PackageId(it->number);
      }
    }
  }
  const auto next = registry.packages().NextNumber(service.project, service.name);
  return "slipway service package " + name + " && slipway service publish " + name + " && " +
         update + PackageId(next.ok() ? *next : 1);
}

}  // namespace

Resource PublishedResource(const PublishedService& service) {
  return {"service", service.project + "/" + service.name};
}

Result<Resource> ResourceOfPublished(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const PublishedService service,
                   hub.registry().published().Get(request.params.at("published")));
  return PublishedResource(service);
}

Result<PublishedService> FindSeenPublished(Hub& hub, const Request& request,
                                           const std::string& name) {
  auto found = hub.registry().published().Get(name);
  if (found.ok() ? MaySee(request, PublishedResource(*found))
                 : found.error().code != ErrorCode::kNotFound || MaySee(request, {}))
    return found;
  return NotFound("no service '" + name + "' is published, or you have no right to see it");
}

Json InfraToJson(const InfraRecord& infra) {
  Json nodes = Json::array();
  for (const InfraNode& node : infra.nodes)
    nodes.push_back({{"url", node.url}, {"has_key", node.key_secret.has_value()}});
  return {{"name", infra.name},
          {"type", infra.type},
          {"stage", infra.stage},
          {"parallel", infra.settings.parallel},
          {"local_nodes", infra.type == "local" ? Json(infra.settings.local_nodes) : Json()},
          {"ca_file", infra.settings.ca_file},
          {"certificate_file", infra.settings.certificate_file},
          {"key_file", infra.settings.key_file},
          {"insecure", infra.settings.insecure},
          {"nodes", std::move(nodes)},
          {"created_at", infra.created_at},
          {"created_by", infra.created_by}};
}

Json InfraState(const InfraRecord& infra) {
  Json out = InfraToJson(infra);
  out["admin_keys"] = Json::object();
  for (const InfraNode& node : infra.nodes) {
    if (node.key_secret) out["admin_keys"][node.url] = "no. " + std::to_string(*node.key_secret);
  }
  return out;
}

Json PublishedVersionToJson(const PublishedVersion& version) {
  Json out = {{"service", version.service},
              {"version", version.version},
              {"bytes", version.bytes},
              {"sha256", version.blob},
              {"published_at", version.published_at},
              {"published_by", version.published_by}};
  Json models = Json::array();
  for (const auto& [model, number] : ModelVersionsIn(version))
    models.push_back(model + "@" + std::to_string(number));
  out["models"] = std::move(models);
  if (const auto manifest = ParseJson(version.manifest_json); manifest.ok()) {
    out["notes"] = manifest->value("notes", "");
    out["created_at"] = manifest->value("created_at", "");
    out["created_by"] = manifest->value("created_by", "");
    out["endpoints"] = Json::array();
    for (const Json& endpoint : (*manifest)["endpoints"])
      out["endpoints"].push_back(endpoint.value("id", ""));
  }
  return out;
}

Json UpdateToJson(const UpdateRecord& update, bool with_log) {
  Json out = {{"update", update.id},
              {"deployment", update.deployment},
              {"kind", update.kind},
              {"status", update.status},
              {"requester", update.requester},
              {"job", update.job.empty() ? Json() : Json(update.job)},
              {"started_at", update.started_at},
              {"ended_at", update.ended_at.empty() ? Json() : Json(update.ended_at)},
              {"before", update.before ? SpecToJson(*update.before) : Json()},
              {"after", SpecToJson(update.after)},
              {"error", Json()}};
  if (update.error)
    out["error"] = {{"code", ErrorCodeName(update.error->code)},
                    {"message", update.error->message},
                    {"hint", update.error->hint}};
  if (with_log) {
    out["log"] = Json::array();
    for (const std::string& line : Split(update.log, '\n')) {
      if (!line.empty()) out["log"].push_back(line);
    }
  }
  return out;
}

Result<Json> DeploymentsBehind(Registry& registry, const std::string& project,
                               const std::string& model, int64_t version) {
  const std::string name = project + "/" + model;
  Json out = Json::array();
  RETURN_IF_ERROR(ForEachServed(
      registry, name,
      [&](const DeploymentRecord& deployment, const InfraRecord& infra,
          const PublishedService& service, const std::string& generation, double, int64_t number) {
        if (number == version) return;
        out.push_back({{"deployment", deployment.name},
                       {"infra", infra.name},
                       {"stage", infra.stage},
                       {"serves", name + "@" + std::to_string(number)},
                       {"generation", generation},
                       {"command", MoveCommand(registry, deployment, service, name, version)}});
      }));
  return out;
}

Result<Json> DeploymentsServing(Registry& registry, const std::string& project,
                                const std::string& model, int64_t version) {
  Json out = Json::array();
  RETURN_IF_ERROR(ForEachServed(
      registry, project + "/" + model,
      [&](const DeploymentRecord& deployment, const InfraRecord& infra, const PublishedService&,
          const std::string& generation, double weight, int64_t number) {
        if (number == version)
          out.push_back({{"deployment", deployment.name},
                         {"infra", infra.name},
                         {"stage", infra.stage},
                         {"generation", generation},
                         {"weight", weight}});
      }));
  return out;
}

void WarnOfDeployments(const Request& request, const std::vector<DeploymentRecord>& deployments,
                       Json* answer) {
  for (const DeploymentRecord& each : deployments) {
    if (!MaySee(request, {"infra", each.infra})) continue;
    (*answer)["warnings"].push_back("deployment '" + each.name +
                                    "' goes on serving what was published; to end that: " +
                                    "slipway deployment delete " + each.name);
  }
}

Result<std::string> NormalNodeUrl(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  const bool scheme = url.starts_with("http://") || url.starts_with("https://");
  const std::string rest = scheme ? url.substr(url.find("://") + 3) : "";
  if (rest.empty() || rest.find_first_of("/?# @") != std::string::npos)
    return InvalidArgument("'" + url.substr(0, 200) + "' is not a node's URL",
                           "write it as http://HOST:PORT or https://HOST:PORT, as the node says it "
                           "when it starts");
  // HOST:PORT, [ADDRESS]:PORT; without a port the scheme's.
  const size_t colon = rest.rfind(':');
  if (colon != std::string::npos && rest.find(']', colon) == std::string::npos) {
    const auto port = ParseInt64(rest.substr(colon + 1));
    if (!port || *port < 1 || *port > 65535)
      return InvalidArgument(
          "'" + rest.substr(colon + 1, 60) + "' of '" + url.substr(0, 200) + "' is no port",
          "ports are 1 to 65535");
  }
  return url;
}

}  // namespace slipway
