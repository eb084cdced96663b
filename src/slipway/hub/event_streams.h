// Server-sent events: what happens to jobs, to whoever listens. One thread writes for all of them;
// slow readers are dropped by the server. A stream goes by the rights of now: whoever listens is
// looked up again when something was changed, and every few seconds. An event's id is "RUN-NUMBER":
// with Last-Event-ID the stream goes on after it; an id of an earlier run of the hub begins anew
// with what is known. Thread-safe.
#pragma once

#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <thread>

#include "slipway/base/mutex.h"
#include "slipway/http/server.h"
#include "slipway/hub/hub.h"

namespace slipway {

// One event as JSON text: {"job","kind","index","activity",...}.
Json JobEventToJson(const NumberedJobEvent& event);

class EventStreams {
 public:
  explicit EventStreams(Hub& hub);
  ~EventStreams() { Stop(); }
  EventStreams(const EventStreams&) = delete;
  EventStreams& operator=(const EventStreams&) = delete;

  // Who shows the credential that a stream was opened with, as of now.
  using Caller = std::function<Result<Principal>()>;
  // `job` "": all that the caller may see. False: too many streams; nothing was sent.
  bool Add(std::unique_ptr<HttpPending> pending, Caller caller, const std::string& job,
           const std::string& last_event_id);
  void Stop();  // ends every stream, now and later

 private:
  struct Listener {
    std::shared_ptr<HttpStream> stream;
    Caller caller;
    Principal principal;  // as it was `looked_at`, after the audit record `change`
    double looked_at = -1e9;
    int64_t change = -1;
    std::string job;
    int64_t after = 0;
    bool fresh = true;
  };
  enum class Look { kKnown, kUnknown, kOver };
  void Run();
  // `tells`: something is about to be written.
  Look LookAgain(Listener& listener, bool tells);
  // False: the stream is over.
  bool Feed(Listener& listener, bool beat);
  bool FeedFromRecord(Listener& listener);

  Hub& hub_;
  const std::string run_;
  Mutex mutex_;
  std::condition_variable_any changed_;
  std::list<Listener> listeners_ GUARDED_BY(mutex_);
  bool news_ GUARDED_BY(mutex_) = false, stop_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace slipway
