// What making and restoring a backup share: names in the archive, and the manifest.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/base/tar.h"
#include "slipway/registry/backup.h"
#include "slipway/registry/blobs.h"
#include "slipway/store/database.h"

namespace slipway {

inline constexpr std::string_view kRegistryName = "registry.db";
inline constexpr std::string_view kManifestName = "manifest.json";

std::string BlobName(std::string_view hash);  // "blobs/sha256/ab/<hash>"
// Only such names are in a backup.
bool IsBackupName(std::string_view name);
// "job-000001", ...
Result<std::vector<std::string>> JobIdsOf(Database& database);

std::string ManifestText(const BackupReport& report, const BackupOptions& options,
                         const std::vector<TarEntry>& entries);
// Takes a manifest and compares it with the entries that were read (without the manifest).
// kCorruption when they differ, kInvalidArgument for a newer format.
Result<BackupReport> CheckManifest(const std::string& path, const std::string& text,
                                   const std::vector<TarEntry>& entries);

}  // namespace slipway
