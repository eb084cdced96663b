#include "slipway/hub/lineage_view.h"

#include <set>

#include "slipway/bundle/bundle.h"
#include "slipway/hub/deploy_views.h"
#include "slipway/hub/json_view.h"

namespace slipway {
namespace {

constexpr size_t kMostBundleBytes = size_t{1} << 30;

std::string HashOf(const PackageManifest& manifest, const std::string& part) {
  const PackagePart* found = manifest.FindPart(part);
  return found != nullptr ? found->sha256 : std::string();
}

// Of the version's build record.
Json TrainedOn(const VersionRecord& version, const Json& build) {
  Json out = Json::array();
  for (const BuildInput& input : version.build.inputs) {
    Json one = {{"dataset", version.project + "/" + input.name},
                {"fingerprint", input.fingerprint},
                {"files", Json::array()}};
    // What a train recipe read: its files belong to its one input.
    if (const Json* extra = FindMember(build, "extra"); extra != nullptr) {
      if (const Json* files = FindMember(*extra, "files"); files != nullptr) one["files"] = *files;
    }
    out.push_back(std::move(one));
  }
  return out;
}

// Of a bundle that says so itself.
Json TrainedOn(const Json& info) {
  Json out = Json::array();
  const Json* lineage = FindMember(info, "lineage");
  if (lineage == nullptr || TextMember(*lineage, "dataset").empty()) return out;
  out.push_back(
      {{"dataset", TextMember(*lineage, "project") + "/" + TextMember(*lineage, "dataset")},
       {"fingerprint", TextMember(*lineage, "dataset_fingerprint")},
       {"files", Json::array()}});
  return out;
}

Result<Json> InfoInPackage(const KnownPackage& package, const std::string& part) {
  ASSIGN_OR_RETURN(const std::string bytes, ReadPackagePart(package.path, part, kMostBundleBytes));
  ASSIGN_OR_RETURN(const BundleContent bundle, ParseBundle(bytes));
  return ParseJson(bundle.info_json, {.max_bytes = kMostBundleBytes, .max_depth = 256});
}

}  // namespace

Result<Json> PackagesHolding(Registry& registry, const VersionRecord& version) {
  ASSIGN_OR_RETURN(const auto packages,
                   registry.packages().Holding(version.project, version.model, version.number));
  Json out = Json::array();
  for (const PackageRecord& package : packages)
    out.push_back(package.project + "/" + package.service + "@" + PackageId(package.number));
  return out;
}

Result<Json> ModelLineage(Registry& registry, const VersionRecord& version) {
  Json out = VersionToJson(version, true);
  const Json info = out["info"];
  Json lineage = {{"version", version.number},
                  {"project", version.project},
                  {"model", version.model},
                  {"origin", version.origin},
                  {"created_at", version.created_at},
                  {"created_by", version.created_by},
                  {"build", out["build"]},
                  {"bundle_sha256", version.bundle},
                  {"libraries", info.value("libraries", Json::object())},
                  {"lineage", info.value("lineage", Json::object())}};
  if (const Json* from = FindMember(info, "imported_from")) lineage["imported_from"] = *from;
  // On to what was scored with it.
  Json used = Json::array();
  ASSIGN_OR_RETURN(std::vector<DatasetState> datasets, registry.datasets().List(version.project));
  for (const DatasetState& state : datasets) {
    if (state.build.model == version.model && state.build.model_version == version.number) {
      used.push_back({{"dataset", state.project + "/" + state.dataset},
                      {"at", state.at},
                      {"rows", state.rows}});
    }
  }
  lineage["scored_datasets"] = std::move(used);
  ASSIGN_OR_RETURN(lineage["packages"], PackagesHolding(registry, version));
  ASSIGN_OR_RETURN(lineage["deployments"],
                   DeploymentsServing(registry, version.project, version.model, version.number));
  return lineage;
}

Result<KnownPackage> FindPackage(Registry& registry, const std::string& service,
                                 const std::string& generation, const std::string& manifest_sha256,
                                 const std::function<bool(const std::string&)>& sees) {
  const auto is_it = [&](const PackageManifest& manifest) {
    return manifest_sha256.empty() || ManifestSha256(manifest) == manifest_sha256;
  };
  if (const auto version = registry.published().GetVersion(service, generation);
      version.ok() && !generation.empty()) {
    ASSIGN_OR_RETURN(const PublishedService of, registry.published().Get(service));
    if (sees(of.project + "/" + service)) {
      KnownPackage out;
      ASSIGN_OR_RETURN(const Json manifest, ParseJson(version->manifest_json));
      ASSIGN_OR_RETURN(out.manifest, ManifestFromJson(manifest));
      ASSIGN_OR_RETURN(out.path, registry.published().Path(*version));
      out.project = of.project;
      out.sha256 = version->blob;
      out.published = true;
      out.published_at = version->published_at;
      out.published_by = version->published_by;
      if (is_it(out.manifest)) return out;
    }
  }
  ASSIGN_OR_RETURN(const auto packages, registry.packages().List(""));
  for (const PackageRecord& package : packages) {
    if (package.service != service || PackageId(package.number) != generation ||
        !sees(package.project + "/" + service))
      continue;
    KnownPackage out;
    ASSIGN_OR_RETURN(out.path, registry.packages().Path(package));
    auto manifest = ReadPackageManifest(out.path);
    if (!manifest.ok()) continue;  // damaged: another project may have it whole
    out.manifest = *std::move(manifest);
    out.project = package.project;
    out.sha256 = package.blob;
    if (is_it(out.manifest)) return out;
  }
  return NotFound("this home has no package '" + service + "@" + generation + "'" +
                      (manifest_sha256.empty() ? "" : " that is what the node has under this id"),
                  "it was made in another home: ask there, with --query-log FILE");
}

Result<Json> EndpointLineage(Registry& registry, const KnownPackage& package,
                             const PackageEndpoint& endpoint) {
  Json out = {{"model", Json()},       {"bundle_sha256", Json()},     {"version", Json()},
              {"same_bundle", Json()}, {"trained_on", Json::array()}, {"tables", Json::array()}};
  std::set<std::string> told;
  for (const auto* uses : {&endpoint.enrichments, &endpoint.tables}) {
    for (const TableUse& use : *uses) {
      if (!told.insert(use.part).second) continue;
      out["tables"].push_back({{"dataset", use.table},
                               {"part", use.part},
                               {"sha256", HashOf(package.manifest, use.part)}});
    }
  }
  if (endpoint.type != EndpointType::kPrediction) return out;
  const std::string hash = HashOf(package.manifest, endpoint.model_part);
  out["model"] = endpoint.model;
  out["bundle_sha256"] = hash;
  const auto ref = ParseModelRef(endpoint.model);
  if (ref.ok()) {
    if (const auto version = registry.models().Resolve(*ref); version.ok()) {
      ASSIGN_OR_RETURN(out["version"], ModelLineage(registry, *version));
      out["same_bundle"] = version->bundle == hash;
      // A model of another home may have the same name and number.
      if (version->bundle == hash) {
        out["trained_on"] = TrainedOn(*version, out["version"]["build"]);
        return out;
      }
    } else if (version.error().code != ErrorCode::kNotFound) {
      return version.error();
    }
  }
  ASSIGN_OR_RETURN(const Json info, InfoInPackage(package, endpoint.model_part));
  out["trained_on"] = TrainedOn(info);
  out["told_by"] = "the bundle in the package";
  return out;
}

}  // namespace slipway
