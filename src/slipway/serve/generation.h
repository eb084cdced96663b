// A package imported on a node and loaded: verified, models compiled, warmed up, self-checked. The
// object that traffic may be sent to; it goes when the last request on it ends.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/package/package.h"
#include "slipway/package/test_query.h"
#include "slipway/serve/endpoint.h"

namespace slipway {

// Immutable and thread-safe.
class Generation {
 public:
  // From an unpacked package (VerifyPackageFolder runs first). Every bundle's self-check runs, and
  // every endpoint answers once, so that the first request finds everything warm. Does not run the
  // test queries.
  static Result<std::shared_ptr<const Generation>> Load(const std::string& folder);

  const PackageManifest& manifest() const { return manifest_; }
  const std::string& service() const { return manifest_.service; }
  const std::string& id() const { return manifest_.id; }
  // nullptr: there is none.
  const ServedEndpoint* Find(std::string_view endpoint) const;
  // Its place in manifest().endpoints, for per-endpoint state beside it; -1: there is none.
  int IndexOf(std::string_view endpoint) const;
  const ServedEndpoint& endpoint(int index) const {
    return *endpoints_[static_cast<size_t>(index)];
  }
  int endpoint_count() const { return static_cast<int>(endpoints_.size()); }
  const Json& openapi() const { return openapi_; }
  const std::vector<TestQuery>& test_queries() const { return test_queries_; }
  // All of them (or one endpoint's), each on a scratch of its own: no traffic is touched.
  std::vector<TestOutcome> RunTestQueries(std::string_view endpoint = {}) const;
  size_t memory_bytes() const;  // models; not the mapped tables
  int64_t mapped_bytes() const;
  const std::string& folder() const { return folder_; }

 private:
  Generation() = default;
  PackageManifest manifest_;
  std::string folder_;
  Json openapi_;
  std::vector<TestQuery> test_queries_;
  std::vector<std::unique_ptr<ServedEndpoint>> endpoints_;
};

}  // namespace slipway
