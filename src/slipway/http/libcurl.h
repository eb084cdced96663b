// libcurl's easy interface, loaded at run time (libcurl.so.4). Thread-safe.
#pragma once

#include <span>
#include <string>

#include <curl/curl.h>

#include "slipway/base/result.h"

namespace slipway {

struct Libcurl {
  CURLcode (*global_init)(long flags);
  CURL* (*easy_init)();
  void (*easy_cleanup)(CURL* handle);
  void (*easy_reset)(CURL* handle);
  CURLcode (*easy_setopt)(CURL* handle, CURLoption option, ...);
  CURLcode (*easy_getinfo)(CURL* handle, CURLINFO info, ...);
  CURLcode (*easy_perform)(CURL* handle);
  const char* (*easy_strerror)(CURLcode code);
  curl_slist* (*slist_append)(curl_slist* list, const char* text);
  void (*slist_free_all)(curl_slist* list);
};

// Loaded and initialised at the first call; the answer stays.
Result<const Libcurl*> LoadLibcurl();
// The first of these files that can be loaded. For LoadLibcurl and its test.
Result<Libcurl> OpenLibcurl(std::span<const std::string> names);

}  // namespace slipway
