#include "slipway/http/libcurl.h"

#include <dlfcn.h>

namespace slipway {
namespace {

Result<const Libcurl*> Load() {
  // Debian's second build of it, over GnuTLS, has the same functions.
  static const std::string kNames[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};
  static Libcurl library;
  ASSIGN_OR_RETURN(library, OpenLibcurl(kNames));
  if (library.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    return Unavailable("libcurl could not be initialised");
  return &library;
}

}  // namespace

Result<Libcurl> OpenLibcurl(std::span<const std::string> names) {
  std::string reasons;
  void* library = nullptr;
  for (const std::string& name : names) {
    library = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library != nullptr) break;
    const char* reason = ::dlerror();
    reasons += (reasons.empty() ? "" : "; ") + (reason != nullptr ? std::string(reason) : name);
  }
  if (library == nullptr) {
    return Unavailable("HTTP requests need libcurl, which could not be loaded: " + reasons,
                       "install it (Debian, Ubuntu: apt-get install libcurl4)");
  }
  Libcurl api{};
  const auto resolve = [&]<typename T>(T* function, const char* name) {
    *function = reinterpret_cast<T>(::dlsym(library, name));
    if (*function == nullptr && reasons.empty()) reasons = name;
  };
  reasons.clear();
  resolve(&api.global_init, "curl_global_init");
  resolve(&api.easy_init, "curl_easy_init");
  resolve(&api.easy_cleanup, "curl_easy_cleanup");
  resolve(&api.easy_reset, "curl_easy_reset");
  resolve(&api.easy_setopt, "curl_easy_setopt");
  resolve(&api.easy_getinfo, "curl_easy_getinfo");
  resolve(&api.easy_perform, "curl_easy_perform");
  resolve(&api.easy_strerror, "curl_easy_strerror");
  resolve(&api.slist_append, "curl_slist_append");
  resolve(&api.slist_free_all, "curl_slist_free_all");
  if (!reasons.empty()) {
    return Unavailable("the loaded libcurl has no function " + reasons,
                       "install libcurl 7.85 or newer");
  }
  return api;
}

Result<const Libcurl*> LoadLibcurl() {
  static const Result<const Libcurl*> library = Load();
  return library;
}

}  // namespace slipway
