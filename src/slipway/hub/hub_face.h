// The hub over HTTP: who calls (key, session, the home's token), what may be asked from where, and
// the Router's answers. The loops only read and write; handlers run on a few threads behind a
// bounded queue, so that no SQL ever holds a loop. Calls that wait for API nodes or processes
// (RouteDetails::waits) have threads of their own: a node that hangs holds up no other call.
// Thread-safe.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "slipway/base/mutex.h"
#include "slipway/http/host_rule.h"
#include "slipway/http/server.h"
#include "slipway/hub/dss_facade.h"
#include "slipway/hub/event_streams.h"
#include "slipway/hub/hub.h"

namespace slipway {

struct HubFaceOptions {
  std::string token;  // of HOME/hub.token: acts as `local_user`
  std::string local_user;
  std::vector<std::string> hosts;     // names that requests may be for: HostRule
  std::vector<ListenAddress> listen;  // where the server listens
  int threads = 4;
  int waiting_threads = 16;  // for calls that wait for something else
  size_t queue = 256;        // requests that wait for such a thread; more: 503
  size_t max_body_bytes = size_t{16} << 20;
  size_t max_anonymous_bytes = size_t{64} << 10;  // with neither key nor session
  size_t max_upload_bytes = size_t{4} << 30;
  std::string upload_folder;
};

class HubFace final : public HttpHandler {
 public:
  HubFace(Hub& hub, HubFaceOptions options);
  ~HubFace() override;
  HubFace(const HubFace&) = delete;
  HubFace& operator=(const HubFace&) = delete;

  HttpBodyPlan PlanBody(const HttpRequest& head, HttpReply* refusal) override;
  HttpOutcome Handle(const HttpRequest& request, HttpReply* reply, HttpExchange* exchange) override;
  void DescribeRefusal(int status, std::string_view reason, const HttpRequest* head,
                       HttpReply* reply) override;
  void SetServer(const HttpServer* server) { server_.store(server); }
  // /ready is red while the registry does not answer.
  void SetRegistryAnswers(bool answers) { registry_answers_.store(answers); }
  // /ready is red from now on, and event streams end.
  void Drain();

 private:
  // Calls and those who answer them.
  struct Lane {
    std::condition_variable_any changed;
    std::deque<std::unique_ptr<HttpPending>> calls;  // guarded by mutex_
  };

  void Work(Lane& lane);
  Lane& LaneOf(const HttpRequest& request);
  void Answer(std::unique_ptr<HttpPending> pending);
  // What a request shows of its caller; kept where the caller is looked up again.
  struct Credential {
    bool dss = false;
    std::string authorization, ticket, session;
  };
  static Credential CredentialOf(const HttpRequest& request);
  // Somebody unknown is a Principal too; an error: the registry could not be asked.
  Result<Principal> Identify(const Credential& shown) const;
  void Remember(const HttpRequest& request);
  bool Remembers(const HttpRequest& request);
  std::string MetricsText() const;

  Hub& hub_;
  const HubFaceOptions options_;
  const HostRule host_rule_;
  EventStreams streams_;
  DssFacade dss_;
  std::atomic<const HttpServer*> server_ = nullptr;
  std::atomic<bool> draining_ = false, registry_answers_ = true;
  std::atomic<int64_t> requests_ = 0, errors_ = 0, refused_ = 0;
  // What opened something within the last minutes, by hash: large files are taken from these alone.
  Mutex known_mutex_;
  std::map<std::string, double> known_ GUARDED_BY(known_mutex_);
  Mutex mutex_;
  Lane quick_, waiting_;
  bool stop_ GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace slipway
