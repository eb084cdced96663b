// The node's folders: unpacked packages below HOME/generations, and the step from a folder to a
// generation that may take traffic. Nothing appears under its own name before it is whole and
// durable; what a killed process left is removed by RemoveLeftovers.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "slipway/base/result.h"
#include "slipway/package/package.h"
#include "slipway/serve/desired_state.h"
#include "slipway/serve/generation.h"

namespace slipway {

// For tests: called with the name of each step of a change on disk, so that the process can be
// ended there. nullptr: nothing.
extern void (*g_node_step)(const char* step);
void NodeStep(const char* step);

// Of errors about a generation whose files are damaged or gone.
inline constexpr std::string_view kRepairHint =
    "import the same package again: it replaces the damaged files";

// Thread-safe as far as callers do not touch one generation at the same time.
class GenerationStore {
 public:
  explicit GenerationStore(std::string home);
  // HOME/generations, HOME/import and HOME/spool (0700).
  Status MakeFolders() const;
  // What `state` does not list, half-done work, spooled bodies of a former process.
  Status RemoveLeftovers(const DesiredState& state) const;

  const std::string& home() const { return home_; }
  std::string Folder(std::string_view service, std::string_view generation) const;
  bool HasAnyGeneration() const;

  // A package at `path`, unpacked, verified and durable, in a folder of no name yet; the caller
  // places or discards it.
  struct Unpacked {
    PackageManifest manifest;
    std::string folder;
  };
  Result<Unpacked> Unpack(const std::string& path) const;
  // Under its name, durably; replaces what may lie there.
  Status Place(const std::string& folder, std::string_view service,
               std::string_view generation) const;
  void Discard(const std::string& folder) const;
  // The whole service when `generation` is empty. Failing to remove is no error: the folder is not
  // listed any more, and the next start removes it.
  void Remove(std::string_view service, std::string_view generation) const;

  // Verified, compiled, warmed up, self-checked, and all its test queries answered as expected:
  // may take traffic. Errors say which part or query failed. `manifest_sha256`: what was imported.
  Result<std::shared_ptr<const Generation>> LoadAndTest(std::string_view service,
                                                        std::string_view generation,
                                                        const std::string& manifest_sha256) const;
  Result<std::shared_ptr<const Generation>> Load(std::string_view service,
                                                 std::string_view generation,
                                                 const std::string& manifest_sha256) const;

 private:
  std::string home_, generations_;
};

// The hint of LoadAndTest when a test query fails; the command line knows it by that.
inline constexpr std::string_view kFailedQueryHint =
    "it takes no traffic; `slipway-apinode admin service-test-generation` on the node shows every "
    "answer";

// A file below `folder` by a path a client gave: relative, or absolute within it; no symbolic link
// on the way, a regular file. Opened; `path` names it for reading as long as the object lives.
class ImportFile {
 public:
  static Result<ImportFile> Open(const std::string& folder, const std::string& client_path);
  ImportFile(ImportFile&& other) noexcept;
  ImportFile& operator=(ImportFile&&) = delete;
  ~ImportFile();
  const std::string& path() const { return path_; }

 private:
  ImportFile() = default;
  int fd_ = -1;
  std::string path_;
};

}  // namespace slipway
