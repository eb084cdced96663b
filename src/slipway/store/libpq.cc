#include "slipway/store/libpq.h"

#include <string>

#include <dlfcn.h>

namespace slipway {
namespace {

Result<Libpq> Open() {
  void* library = dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* reason = dlerror();
    return Unavailable("PostgreSQL's client library cannot be loaded: " +
                           std::string(reason != nullptr ? reason : "libpq.so.5"),
                       "install the system package libpq5");
  }
  Libpq api;
  std::string missing;
#define SLIPWAY_RESOLVE(name)                                                  \
  api.name = reinterpret_cast<decltype(api.name)>(dlsym(library, "PQ" #name)); \
  if (api.name == nullptr) missing = "PQ" #name;
  SLIPWAY_LIBPQ_FUNCTIONS(SLIPWAY_RESOLVE)
#undef SLIPWAY_RESOLVE
  if (!missing.empty()) {
    return Unavailable("libpq.so.5 has no function " + missing, "install a newer libpq5");
  }
  return api;
}

}  // namespace

Result<const Libpq*> Libpq::Load() {
  static const Result<Libpq>* loaded = new Result<Libpq>(Open());
  if (!loaded->ok()) return loaded->error();
  return &loaded->value();
}

}  // namespace slipway
