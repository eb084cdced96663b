#include "slipway/serve/generation_store.h"

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <exception>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/openat2.h>

#include "slipway/base/file.h"
#include "slipway/base/hash.h"
#include "slipway/base/json.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

// No generation's and no service's name begins with a dot.
constexpr std::string_view kUnpacking = ".unpack-", kRemoving = ".remove-";

// "query 'q1' of endpoint 'fare': ..."; how many more failed.
Status CheckOutcomes(const std::vector<TestOutcome>& outcomes) {
  size_t failed = 0;
  const TestOutcome* first = nullptr;
  for (const TestOutcome& outcome : outcomes) {
    if (outcome.ok) continue;
    ++failed;
    if (first == nullptr) first = &outcome;
  }
  if (first == nullptr) return {};
  std::string message = "test query '" + first->name + "' of endpoint '" + first->endpoint +
                        "' failed: " + first->difference;
  if (failed > 1) message += " (and " + std::to_string(failed - 1) + " more of ";
  if (failed > 1) message += std::to_string(outcomes.size()) + " queries)";
  return Corruption(std::move(message), std::string(kFailedQueryHint));
}

}  // namespace

void (*g_node_step)(const char* step) = nullptr;
void NodeStep(const char* step) {
  if (g_node_step != nullptr) g_node_step(step);
}

GenerationStore::GenerationStore(std::string home)
    : home_(std::move(home)), generations_(JoinPath(home_, "generations")) {}

Status GenerationStore::MakeFolders() const {
  RETURN_IF_ERROR(MakeDirs(home_, 0700));
  RETURN_IF_ERROR(MakeDirs(generations_, 0700));
  RETURN_IF_ERROR(MakeDirs(JoinPath(home_, "import"), 0700));
  RETURN_IF_ERROR(MakeDirs(JoinPath(home_, "spool"), 0700));
  return FsyncDir(home_);
}

bool GenerationStore::HasAnyGeneration() const {
  const Result<std::vector<std::string>> services = ListDir(generations_);
  if (!services.ok()) return false;
  for (const std::string& service : *services) {
    if (service.front() == '.') continue;
    const auto generations = ListDir(JoinPath(generations_, service));
    if (generations.ok() && !generations->empty()) return true;
  }
  return false;
}

Status GenerationStore::RemoveLeftovers(const DesiredState& state) const {
  ASSIGN_OR_RETURN(const std::vector<std::string> services, ListDir(generations_));
  for (const std::string& name : services) {
    const std::string folder = JoinPath(generations_, name);
    const DesiredService* service = state.Find(name);
    if (service == nullptr || service->generations.empty()) {
      RETURN_IF_ERROR(RemoveAll(folder));
      continue;
    }
    ASSIGN_OR_RETURN(const std::vector<std::string> generations, ListDir(folder));
    for (const std::string& generation : generations) {
      if (service->Find(generation) == nullptr)
        RETURN_IF_ERROR(RemoveAll(JoinPath(folder, generation)));
    }
  }
  const std::string spool = JoinPath(home_, "spool");
  ASSIGN_OR_RETURN(const std::vector<std::string> spooled, ListDir(spool));
  for (const std::string& name : spooled) RETURN_IF_ERROR(RemoveAll(JoinPath(spool, name)));
  // Of WriteFileAtomic.
  ASSIGN_OR_RETURN(const std::vector<std::string> files, ListDir(home_));
  for (const std::string& name : files) {
    for (std::string_view target : {"desired.json.tmp", "keys.json.tmp", "admin.key.tmp"}) {
      if (name.starts_with(target)) RETURN_IF_ERROR(RemoveAll(JoinPath(home_, name)));
    }
  }
  return {};
}

std::string GenerationStore::Folder(std::string_view service, std::string_view generation) const {
  return JoinPath(JoinPath(generations_, service), generation);
}

Result<GenerationStore::Unpacked> GenerationStore::Unpack(const std::string& path) const {
  Unpacked out;
  out.folder = JoinPath(generations_, std::string(kUnpacking) + RandomId());
  RETURN_IF_ERROR(MakeDirs(out.folder, 0700));
  NodeStep("unpacking");
  Result<PackageManifest> manifest = UnpackPackage(path, out.folder);
  if (!manifest.ok()) {
    Discard(out.folder);
    Error error = std::move(manifest).error();
    // The folder's name says nothing to anybody.
    const std::string folder = out.folder.substr(generations_.size());
    for (size_t at = error.message.find(folder); at != std::string::npos;
         at = error.message.find(folder))
      error.message.erase(at, folder.size());
    return error;
  }
  out.manifest = *std::move(manifest);
  if (Status status = FsyncDir(out.folder); !status.ok()) {
    Discard(out.folder);
    return std::move(status).error();
  }
  NodeStep("unpacked");
  return out;
}

Status GenerationStore::Place(const std::string& folder, std::string_view service,
                              std::string_view generation) const {
  const std::string parent = JoinPath(generations_, service);
  RETURN_IF_ERROR(MakeDirs(parent, 0700));
  RETURN_IF_ERROR(FsyncDir(generations_));
  const std::string target = JoinPath(parent, generation);
  if (PathExists(target)) {
    // Never a moment without one: the two change places.
    if (::syscall(SYS_renameat2, AT_FDCWD, folder.c_str(), AT_FDCWD, target.c_str(),
                  2u /* RENAME_EXCHANGE */) != 0)
      return FileError("replace", target, errno);
    RETURN_IF_ERROR(FsyncDir(parent));
    Discard(folder);
  } else {
    RETURN_IF_ERROR(RenameDurably(folder, target));
  }
  NodeStep("placed");
  return {};
}

void GenerationStore::Discard(const std::string& folder) const { (void)RemoveAll(folder).ok(); }

void GenerationStore::Remove(std::string_view service, std::string_view generation) const {
  const std::string folder =
      generation.empty() ? JoinPath(generations_, service) : Folder(service, generation);
  // At once out of the way, so that a half-removed one is never taken for whole.
  const std::string aside = JoinPath(generations_, std::string(kRemoving) + RandomId());
  if (::rename(folder.c_str(), aside.c_str()) != 0) return;
  NodeStep("moved aside");
  Discard(aside);
}

Result<std::shared_ptr<const Generation>> GenerationStore::Load(
    std::string_view service, std::string_view generation,
    const std::string& manifest_sha256) const {
  const std::string name =
      "generation '" + std::string(generation) + "' of service '" + std::string(service) + "'";
  const std::string folder = Folder(service, generation);
  if (!PathExists(folder))
    return Corruption(name + " is listed, but its folder is gone", std::string(kRepairHint));
  try {
    Result<std::shared_ptr<const Generation>> loaded = Generation::Load(folder);
    if (!loaded.ok()) {
      Error error = loaded.error().Within(name);
      if (error.hint.empty() &&
          (error.code == ErrorCode::kCorruption || error.code == ErrorCode::kNotFound))
        error.hint = kRepairHint;
      return error;
    }
    if ((*loaded)->id() != generation || ManifestSha256((*loaded)->manifest()) != manifest_sha256)
      return Corruption(name + " is not what was imported: its manifest is another one",
                        std::string(kRepairHint));
    return loaded;
  } catch (const std::bad_alloc&) {
    return Unavailable(name + " cannot be loaded: not enough memory",
                       "delete or unmap other generations, or give the node more memory");
  } catch (const std::exception& e) {
    return Internal(name + " cannot be loaded: " + e.what());
  }
}

Result<std::shared_ptr<const Generation>> GenerationStore::LoadAndTest(
    std::string_view service, std::string_view generation,
    const std::string& manifest_sha256) const {
  ASSIGN_OR_RETURN(std::shared_ptr<const Generation> loaded,
                   Load(service, generation, manifest_sha256));
  NodeStep("loaded");
  try {
    if (Status status = CheckOutcomes(loaded->RunTestQueries()); !status.ok())
      return status.error().Within("generation '" + std::string(generation) + "' of service '" +
                                   std::string(service) + "'");
  } catch (const std::exception& e) {
    return Internal("generation '" + std::string(generation) + "' of service '" +
                    std::string(service) + "' cannot run its test queries: " + e.what());
  }
  NodeStep("tested");
  return loaded;
}

Result<ImportFile> ImportFile::Open(const std::string& folder, const std::string& client_path) {
  const std::string hint = "put the package into '" + folder +
                           "' on the node, or upload it: POST "
                           "/admin/api/services/SERVICE/generations";
  if (client_path.empty()) return InvalidArgument("'filePath' is empty", hint);
  if (client_path.find('\0') != std::string::npos)
    return InvalidArgument("'filePath' has a NUL byte", hint);
  std::string relative = client_path;
  if (relative.front() == '/') {
    // As the node was told its home, or as that resolves: clients make paths absolute either way.
    char real[PATH_MAX];
    std::string prefix = folder + "/";
    if (!relative.starts_with(prefix) && ::realpath(folder.c_str(), real) != nullptr)
      prefix = std::string(real) + "/";
    if (!relative.starts_with(prefix))
      return PermissionDenied("'" + client_path + "' is not in the import folder", hint);
    relative.erase(0, prefix.size());
  }
  const int root = ::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return FileError("open", folder, errno);
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  ImportFile file;
  file.fd_ = static_cast<int>(::syscall(SYS_openat2, root, relative.c_str(), &how, sizeof how));
  const int error_number = errno;
  ::close(root);
  if (file.fd_ < 0) {
    if (error_number == EXDEV || error_number == ELOOP)
      return PermissionDenied("'" + client_path + "' leads out of the import folder", hint);
    Error error = FileError("open", client_path, error_number);
    error.hint = hint;
    return error;
  }
  struct stat info{};
  if (::fstat(file.fd_, &info) != 0) return FileError("look at", client_path, errno);
  if (!S_ISREG(info.st_mode)) return InvalidArgument("'" + client_path + "' is not a file", hint);
  file.path_ = "/proc/self/fd/" + std::to_string(file.fd_);
  return file;
}

ImportFile::ImportFile(ImportFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}
ImportFile::~ImportFile() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace slipway
