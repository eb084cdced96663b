#include "slipway/hub/event_streams.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "slipway/base/clock.h"
#include "slipway/base/hash.h"
#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/hub/json_view.h"

namespace slipway {
namespace {

constexpr size_t kMostStreams = 500;
constexpr auto kBeat = std::chrono::seconds(15);  // proxies close what is silent
constexpr auto kLook = std::chrono::seconds(3);   // a stream outlives its right by no more
constexpr double kKnownSeconds = 1;  // so long nobody is looked up again, unless rights changed

std::string Frame(const std::string& id, const char* name, const Json& data) {
  return (id.empty() ? "" : "id: " + id + "\n") + "event: " + name + "\ndata: " + DumpJson(data) +
         "\n\n";
}

Json ActivityJson(const ActivityRecord& activity) {
  JobRecord job;
  job.activities = {activity};
  return JobToJson(job)["activities"][0];
}

}  // namespace

Json JobEventToJson(const NumberedJobEvent& event) {
  Json out = {{"job", event.job}, {"project", event.project}};
  if (event.ended) {
    out["kind"] = "ended";
    out["status"] = event.status;
    return out;
  }
  const JobEvent::Kind kind = event.event.kind;
  out["kind"] = kind == JobEvent::Kind::kStarted    ? "started"
                : kind == JobEvent::Kind::kFinished ? "finished"
                                                    : "progress";
  out["index"] = event.event.index;
  out["activity"] = ActivityJson(event.event.activity);
  if (kind == JobEvent::Kind::kProgress) {
    const WorkerProgress& progress = event.event.progress;
    out["stage"] = progress.stage;
    out["part"] = progress.part;
    out["rows"] = progress.rows;
    out["detail"] = progress.detail;
  }
  return out;
}

EventStreams::EventStreams(Hub& hub) : hub_(hub), run_(RandomId().substr(0, 8)) {
  hub_.jobs().OnEvents([this] {
    MutexLock lock(mutex_);
    news_ = true;
    changed_.notify_one();
  });
  thread_ = std::thread([this] { Run(); });
}

void EventStreams::Stop() {
  if (!thread_.joinable()) return;
  hub_.jobs().OnEvents(nullptr);
  {
    MutexLock lock(mutex_);
    stop_ = true;
    changed_.notify_one();
  }
  thread_.join();
}

bool EventStreams::Add(std::unique_ptr<HttpPending> pending, Caller caller, const std::string& job,
                       const std::string& last_event_id) {
  MutexLock lock(mutex_);
  if (stop_ || listeners_.size() >= kMostStreams) {
    HttpReply* reply = pending->reply();
    reply->status = 503;
    reply->AddHeader("Retry-After", "5");
    reply->body = R"({"code":"unavailable","message":"too many listen to events already"})";
    reply->content_type = "application/problem+json";
    pending->Send();
    return false;
  }
  Listener listener;
  listener.caller = std::move(caller);
  listener.job = job;
  if (last_event_id.starts_with(run_ + "-"))
    listener.after = ParseInt64(last_event_id.substr(run_.size() + 1)).value_or(0);
  HttpReply* reply = pending->reply();
  reply->content_type = "text/event-stream";
  reply->AddHeader("Cache-Control", "no-store");
  listener.stream = pending->SendStream();
  listener.stream->Write(": slipway\n\n");
  listeners_.push_back(std::move(listener));
  news_ = true;
  changed_.notify_one();
  return true;
}

void EventStreams::Run() {
  auto beat_at = std::chrono::steady_clock::now() + kBeat;
  mutex_.lock();
  while (!stop_) {
    if (!news_)
      changed_.wait_until(mutex_, std::min(beat_at, std::chrono::steady_clock::now() + kLook));
    news_ = false;
    const bool beat = std::chrono::steady_clock::now() >= beat_at;
    if (beat) beat_at = std::chrono::steady_clock::now() + kBeat;
    std::list<Listener> now;
    now.swap(listeners_);  // jobs must not wait for whoever listens
    mutex_.unlock();
    for (auto it = now.begin(); it != now.end();)
      it = Feed(*it, beat) ? std::next(it) : now.erase(it);
    mutex_.lock();
    listeners_.splice(listeners_.end(), now);
  }
  listeners_.clear();  // a stream ends with its last holder
  mutex_.unlock();
}

// A job that this process does not run, or no more: its record tells how it ended.
bool EventStreams::FeedFromRecord(Listener& listener) {
  const auto job = hub_.registry().jobs().Get(listener.job);
  if (!job.ok()) return false;
  if (job->status == JobStatus::kQueued || job->status == JobStatus::kRunning) return true;
  const Json record = JobToJson(*job);
  int64_t index = 0;
  for (const Json& activity : record["activities"]) {
    if (!listener.stream->Write(Frame("", "job",
                                      {{"job", job->id},
                                       {"project", job->project},
                                       {"kind", "finished"},
                                       {"index", index++},
                                       {"activity", activity}})))
      return false;
  }
  listener.stream->Write(Frame("", "job",
                               {{"job", job->id},
                                {"project", job->project},
                                {"kind", "ended"},
                                {"status", JobStatusName(job->status)}}));
  return false;
}

EventStreams::Look EventStreams::LookAgain(Listener& listener, bool tells) {
  const double now = SteadySeconds();
  const bool recent = now - listener.looked_at < kKnownSeconds;
  if (recent && !tells) return Look::kKnown;
  // Rights change with an audit record; to ask for the last one is cheaper than to look up.
  const auto change = hub_.registry().audit().LastId();
  if (!change.ok()) return Look::kUnknown;
  if (recent && *change == listener.change) return Look::kKnown;
  Result<Principal> caller = listener.caller();
  if (!caller.ok()) return Look::kUnknown;
  if (caller->kind == Principal::Kind::kAnonymous) return Look::kOver;
  if (!listener.job.empty()) {
    const auto job = hub_.registry().jobs().Get(listener.job);
    if (!job.ok() && job.error().code != ErrorCode::kNotFound) return Look::kUnknown;
    if (!job.ok() || !May(*caller, "read", ResourceOfJob(job->scope, job->who))) return Look::kOver;
  }
  listener.principal = *std::move(caller);
  listener.looked_at = now;
  listener.change = *change;
  return Look::kKnown;
}

bool EventStreams::Feed(Listener& listener, bool beat) {
  // Before the look: what a change came before is told by the rights after it.
  const std::vector<NumberedJobEvent> events =
      hub_.jobs().EventsAfter(listener.after, listener.job);
  const Look caller = LookAgain(listener, !events.empty() || !listener.job.empty());
  if (caller == Look::kOver) {
    listener.stream->End();
    return false;
  }
  // While the registry does not answer nothing is told; later all of it is.
  if (caller == Look::kUnknown) return !beat || listener.stream->Write(": beat\n\n");
  for (const NumberedJobEvent& event : events) {
    listener.after = event.number;
    if (!May(listener.principal, "read", ResourceOfJob(event.scope, event.who))) continue;
    if (!listener.stream->Write(
            Frame(run_ + "-" + std::to_string(event.number), "job", JobEventToJson(event))))
      return false;
    if (event.ended && !listener.job.empty()) {
      listener.stream->End();
      return false;
    }
  }
  const bool look = beat || std::exchange(listener.fresh, false) ||
                    (!listener.job.empty() && !hub_.jobs().Runs(listener.job));
  if (!listener.job.empty() && look && !FeedFromRecord(listener)) {
    listener.stream->End();
    return false;
  }
  return !beat || listener.stream->Write(": beat\n\n");
}

}  // namespace slipway
