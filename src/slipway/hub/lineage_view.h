// Where versions and answers came from: from a version back to files and on to what it serves, from
// a package's endpoint back to the version.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "slipway/base/json.h"
#include "slipway/base/result.h"
#include "slipway/package/package.h"
#include "slipway/registry/registry.h"

namespace slipway {

// ["p/fares@v3", ...]: packages that took a copy of the version.
Result<Json> PackagesHolding(Registry& registry, const VersionRecord& version);
// Build record, bundle, libraries; what it scored, the packages that hold it, what serves it.
Result<Json> ModelLineage(Registry& registry, const VersionRecord& version);

// A package of this home: published, or made here and never published.
struct KnownPackage {
  std::string project, path, sha256;
  bool published = false;
  std::string published_at, published_by;
  PackageManifest manifest;
};
// The one with this manifest, where `manifest_sha256` is given and there are several; kNotFound.
// What `sees` ("PROJECT/SERVICE") says no to is as if it were not there.
Result<KnownPackage> FindPackage(Registry& registry, const std::string& service,
                                 const std::string& generation, const std::string& manifest_sha256,
                                 const std::function<bool(const std::string&)>& sees);

// {"model", "bundle_sha256", "version": ModelLineage or null, "same_bundle", "trained_on":
// [{"dataset", "fingerprint", "files"}], "tables": [{"dataset", "part", "sha256"}]}. A version that
// is deleted: what its copy in the package says of itself.
Result<Json> EndpointLineage(Registry& registry, const KnownPackage& package,
                             const PackageEndpoint& endpoint);

}  // namespace slipway
