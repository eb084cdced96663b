// One API node as the deployer sees it: the calls of its admin API (docs/admin-api.md), and
// queries. Changes carry the deployer's epoch, so that a node refuses a deployer that another has
// followed. The admin key never leaves this object but in the Authorization header. Thread-safe as
// HttpClient is.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/base/result.h"
#include "slipway/http/client.h"

namespace slipway {

struct ObservedGeneration {
  std::string id, status, error;  // status: imported | loaded | failed
  double probability = 0;
  bool mapped = false, loaded = false;
};

// A service on a node at a moment.
struct ObservedNode {
  std::string url;
  Status reachable;  // why nothing else is known
  bool has_service = false, enabled = false, serving = false;
  std::string reason;  // why it is not serving
  std::vector<ObservedGeneration> generations;
  Json settings = Json::object();

  const ObservedGeneration* Find(const std::string& generation) const;
};

// How long a node may load and test a generation.
inline constexpr double kNodePrepareSeconds = 600;

class NodeClient {
 public:
  // `http` must outlive it.
  NodeClient(HttpClient* http, std::string url, std::string key)
      : http_(http), url_(std::move(url)), key_(std::move(key)) {}

  const std::string& url() const { return url_; }
  void set_epoch(int64_t epoch) { epoch_ = epoch; }
  // Set by somebody: calls end with kCancelled.
  void set_cancel(const std::atomic<bool>* cancel) { cancel_ = cancel; }
  // Why it cannot be called at all: every call gives this then.
  void set_problem(std::string problem) { problem_ = std::move(problem); }
  // Looks at the service; never fails: ObservedNode::reachable says why it could not.
  ObservedNode Observe(const std::string& service, double seconds = 10);
  // The same of all its services, by their names, in one call.
  Result<std::map<std::string, ObservedNode>> ObserveServices(double seconds);

  Status Upload(const std::string& service, const std::string& package_file,
                const std::atomic<bool>* cancel);
  Status Preload(const std::string& service, const std::string& generation);
  // The outcomes of the packaged test queries.
  Result<Json> Test(const std::string& service, const std::string& generation,
                    double seconds = kNodePrepareSeconds);
  Status PutSettings(const std::string& service, const Json& settings);
  Status SetMapping(const std::string& service,
                    const std::vector<std::pair<std::string, double>>& generations);
  Status Disable(const std::string& service);
  Status DeleteService(const std::string& service);
  Status DeleteGeneration(const std::string& service, const std::string& generation);
  Result<Json> Metrics(double seconds = 10);
  // The lines of its query log with this request id, and how far it looked
  // (docs/admin-api.md).
  Result<Json> FindQuery(const std::string& request_id, double seconds);
  // A query of the user API: "predict" or "lookup" with this body; any status is an answer.
  Result<HttpAnswer> Query(const std::string& service, const std::string& endpoint,
                           const std::string& verb, const std::string& body);

 private:
  Result<Json> Call(HttpCall call, const std::string& path);
  Status Change(const std::string& method, const std::string& path, const Json& body,
                double seconds);

  HttpClient* http_;
  std::string url_, key_, problem_;
  const std::atomic<bool>* cancel_ = nullptr;
  int64_t epoch_ = 0;
};

// Whether the error says that the node has seen a higher epoch.
bool IsFenced(const Error& error);

}  // namespace slipway
