// Internal to package: the names of the fixed parts, and which parts a manifest speaks of.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "slipway/package/package.h"

namespace slipway {

inline constexpr std::string_view kPackageKind = "slipway-package";
inline constexpr std::string_view kPackageManifest = "manifest.json";
inline constexpr std::string_view kPackageOpenApi = "openapi.json";
inline constexpr std::string_view kPackageTestQueries = "test_queries.json";
inline constexpr int64_t kMaxPackageManifestBytes = int64_t{4} << 20;

// openapi.json, test_queries.json and what the endpoints name.
std::set<std::string> UsedParts(const PackageManifest& manifest);

}  // namespace slipway
