// The hub as DSS's public API, for programs written against the Dataiku client
// (docs/dss-clients.md). It only translates: every call becomes requests on the hub's own routes,
// sent as the caller, and their answers are put into DSS's words. So rights, conditions and the
// audit log hold as they do for everybody; nothing is decided here. Thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <string>

#include "slipway/base/json.h"
#include "slipway/base/result.h"
#include "slipway/http/router.h"
#include "slipway/hub/hub.h"
#include "slipway/hub/principal.h"

namespace slipway {

// One call of a client, as its handler sees it, with the hub's routes to ask.
class DssCall {
 public:
  DssCall(Hub& hub, const Request& request, const std::atomic<bool>& stop)
      : hub_(hub), request_(request), stop_(stop) {}

  using Query = std::map<std::string, std::string>;

  const Request& request() const { return request_; }
  // Of the path; valid names (kNamePattern) all of them.
  const std::string& param(const char* name) const { return request_.params.at(name); }
  // Of the query; what is sent empty counts as not sent.
  std::string query(const char* name, const std::string& fallback = "") const;
  Result<bool> flag(const char* name, bool fallback) const;
  // The body, whatever its Content-Type; none: {}.
  Result<Json> body() const;

  // "/api/v1/" and `path` is the route asked. Errors are the route's.
  Result<Json> Get(const std::string& path, const Query& query = {}) const;
  // With its ETag, for Send's `if_match`.
  Result<Json> GetToChange(const std::string& path, std::string* etag) const;
  Result<Json> Send(const std::string& method, const std::string& path, const Json& body = Json(),
                    const Query& query = {}, const std::string& if_match = "") const;
  Result<Json> SendFile(const std::string& path, const std::string& file, const Query& query) const;
  // An answer that is no JSON: a file, a log.
  Result<Response> Fetch(const std::string& path) const;
  // Blocks until the job has ended; kInternal with its error unless it is done.
  Result<Json> WaitForJob(const std::string& job) const;

 private:
  Result<Response> Ask(Request request) const;

  Hub& hub_;
  const Request& request_;
  const std::atomic<bool>& stop_;
};

using DssHandler = Result<Response> (*)(const DssCall&);

class DssFacade {
 public:
  explicit DssFacade(Hub& hub);
  DssFacade(const DssFacade&) = delete;
  DssFacade& operator=(const DssFacade&) = delete;

  // REQUIRES: IsDssPath(request.path). Errors are DSS's.
  Response Answer(Request request, const Principal& principal);
  // Calls that wait for a job give up, and the job is aborted: the hub ends.
  void Stop() { stop_ = true; }

  // One call: `calls` is its name in the client. The first that matches wins.
  void Add(const char* method, const char* pattern, const char* calls, DssHandler handler);
  // A call that waits for a job; only few do at the same time, so that others find a thread.
  void AddSlow(const char* method, const char* pattern, const char* calls, DssHandler handler);
  // Calls that are not there, by all methods: 501 says `what` is missing and what is instead.
  void AddMissing(const char* pattern, const char* what, const char* instead);

 private:
  Hub& hub_;
  Router router_;
  std::atomic<bool> stop_ = false;
  std::atomic<int> slow_ = 0;
};

// {"ok": true}: for calls whose answer the client does not look at.
Response DssOk();

// One function per subject.
void AddDssModelCalls(DssFacade* facade);
void AddDssJobCalls(DssFacade* facade);  // jobs and futures
void AddDssServiceCalls(DssFacade* facade);
void AddDssDeployerCalls(DssFacade* facade);  // stages, infrastructures, published services
void AddDssDeploymentCalls(DssFacade* facade);
void AddDssProjectCalls(DssFacade* facade);  // projects, the instance, and what is not there

// The state of a future, which is a job of the hub (`job` as its route answers).
Json DssFutureOf(const Json& job);

}  // namespace slipway
