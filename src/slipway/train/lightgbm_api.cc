#include "slipway/train/lightgbm_api.h"

#include <cstdlib>

#include <dlfcn.h>

#include "slipway/base/file.h"
#include "slipway/base/mutex.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

constexpr size_t kMaxLogLines = 100;

struct Log {
  Mutex mutex;
  std::vector<std::string> lines GUARDED_BY(mutex);
  std::string partial GUARDED_BY(mutex);
};

Log& TheLog() {
  static Log* log = new Log;  // outlives every static destructor: the library may log at exit
  return *log;
}

// Called by the library, which sends a line in pieces ("[LightGBM] [Warning] ", text, "\n").
void OnLog(const char* text) noexcept {
  if (text == nullptr) return;
  try {
    Log& log = TheLog();
    MutexLock lock(log.mutex);
    log.partial += text;
    size_t end;
    while ((end = log.partial.find('\n')) != std::string::npos) {
      std::string line(Trim(std::string_view(log.partial).substr(0, end)));
      log.partial.erase(0, end + 1);
      if (!line.empty() && log.lines.size() < kMaxLogLines) log.lines.push_back(std::move(line));
    }
    if (log.partial.size() > (1 << 16)) log.partial.clear();
  } catch (...) {  // a lost log line must not end the training
  }
}

std::vector<std::string> Places() {
  constexpr std::string_view kName = "lib_lightgbm.so";
  std::vector<std::string> places;
  if (const char* dir = std::getenv("SLIPWAY_LIB_DIR"); dir != nullptr && *dir != '\0') {
    places.push_back(JoinPath(dir, kName));
  }
  places.push_back(JoinPath(ExecutableDir(), "../lib/" + std::string(kName)));
  places.emplace_back(kName);
  return places;
}

Result<LightGbm> Open() {
  std::vector<std::string> reasons;
  void* library = nullptr;
  for (const std::string& place : Places()) {
    library = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr) break;
    const char* reason = dlerror();
    reasons.emplace_back(reason != nullptr ? reason : place);
  }
  if (library == nullptr) {
    return Unavailable(
        "the LightGBM library cannot be loaded: " + Join(reasons, "; "),
        "run `./run setup`, or set SLIPWAY_LIB_DIR to the folder of lib_lightgbm.so");
  }
  LightGbm api;
  std::string missing;
#define SLIPWAY_RESOLVE(name)                                                     \
  api.name = reinterpret_cast<decltype(api.name)>(dlsym(library, "LGBM_" #name)); \
  if (api.name == nullptr) missing = "LGBM_" #name;
  SLIPWAY_LIGHTGBM_FUNCTIONS(SLIPWAY_RESOLVE)
#undef SLIPWAY_RESOLVE
  if (!missing.empty()) {
    return Unavailable("the LightGBM library has no function " + missing,
                       "version " + std::string(kLightGbmVersion) + " is expected");
  }
  api.RegisterLogCallback(&OnLog);
  return api;
}

}  // namespace

Result<const LightGbm*> LightGbm::Load() {
  static const Result<LightGbm>* loaded = new Result<LightGbm>(Open());
  if (!loaded->ok()) return loaded->error();
  return &loaded->value();
}

Status LightGbm::Check(int code) const {
  if (code == 0) return {};
  const char* message = GetLastError();
  return InvalidArgument("LightGBM: " + std::string(Trim(message != nullptr ? message : "failed")));
}

std::vector<std::string> LightGbm::TakeLog() {
  Log& log = TheLog();
  MutexLock lock(log.mutex);
  return std::exchange(log.lines, {});
}

}  // namespace slipway
