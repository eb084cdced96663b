#include "slipway/dataset/duckdb_api.h"

#include <cstdlib>
#include <vector>

#include <dlfcn.h>

#include "slipway/base/file.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

DuckDbApi g_api;

std::vector<std::string> Candidates() {
  std::vector<std::string> out;
  const char* dir = std::getenv("SLIPWAY_LIB_DIR");
  if (dir != nullptr && *dir != '\0') out.push_back(JoinPath(dir, "libduckdb.so"));
  out.push_back(JoinPath(ExecutableDir(), "../lib/libduckdb.so"));
  out.push_back("libduckdb.so");
  return out;
}

Status Resolve(void* library, const std::string& path) {
#define SLIPWAY_RESOLVE(name)                                                               \
  g_api.name = reinterpret_cast<decltype(&duckdb_##name)>(dlsym(library, "duckdb_" #name)); \
  if (g_api.name == nullptr) {                                                              \
    return Unavailable("the data engine '" + path + "' has no function duckdb_" #name,      \
                       "install the DuckDB version that Slipway was built for");            \
  }
  SLIPWAY_DUCKDB_FUNCTIONS(SLIPWAY_RESOLVE)
#undef SLIPWAY_RESOLVE
  return {};
}

Status Load() {
  std::string tried;
  for (const std::string& path : Candidates()) {
    void* library = dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL);
    if (library != nullptr) return Resolve(library, path);
    const char* reason = dlerror();
    if (!tried.empty()) tried += "; ";
    tried += reason != nullptr ? reason : path;
  }
  return Unavailable("the data engine (libduckdb.so) could not be loaded; tried: " + tried,
                     "set SLIPWAY_LIB_DIR to the folder that holds libduckdb.so");
}

}  // namespace

Result<const DuckDbApi*> LoadDuckDb() {
  static const Status status = Load();
  if (!status.ok()) return status.error();
  return &g_api;
}

const DuckDbApi& Duck() { return g_api; }

}  // namespace slipway
