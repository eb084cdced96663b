// The user API's workers: requests that are too long for a loop's thread.
#include <algorithm>
#include <new>

#include "slipway/base/json.h"
#include "slipway/serve/user_api_parts.h"

namespace slipway {
namespace {

constexpr size_t kWellGathered = 16;

Error Overloaded(Admitted refused) {
  return Unavailable(refused == Admitted::kQueueFull ? "too many requests wait already"
                     : refused == Admitted::kTooLate ? "the request would wait too long"
                                                     : "the node is shutting down",
                     "try again later, or ask another node");
}

Error NoMemory() {
  return Unavailable("there is not enough memory for this request", "send fewer records");
}

}  // namespace

GatherQueue::Key GatherQueue::KeyOf(const DeferredCall& call) {
  return {call.call.generation->generation.get(), call.call.endpoint_index};
}

void GatherQueue::Add(const std::shared_ptr<DeferredCall>& call) {
  MutexLock lock(mutex_);
  waiting_[KeyOf(*call)].push_back(call);
}

bool GatherQueue::Remove(const DeferredCall* call) {
  MutexLock lock(mutex_);
  const auto found = waiting_.find(KeyOf(*call));
  if (found == waiting_.end()) return false;
  const size_t removed =
      found->second.remove_if([call](const auto& each) { return each.get() == call; });
  if (found->second.empty()) waiting_.erase(found);
  return removed > 0;
}

GatherQueue::Taken GatherQueue::Take(const DeferredCall* call, int workers) {
  Taken taken;
  MutexLock lock(mutex_);
  const auto found = waiting_.find(KeyOf(*call));
  if (found == waiting_.end()) return taken;
  auto& waiting = found->second;
  const auto own = std::find_if(waiting.begin(), waiting.end(),
                                [call](const auto& each) { return each.get() == call; });
  if (own == waiting.end()) return taken;
  taken.calls[taken.count++] = std::move(*own);
  waiting.erase(own);
  // Sixteen together cost little more than one; beyond, another worker would have them sooner.
  const size_t share = (waiting.size() + 1) / static_cast<size_t>(workers);
  const size_t most = std::clamp(share, kWellGathered, kMostGathered);
  while (taken.count < most && !waiting.empty()) {
    taken.calls[taken.count++] = std::move(waiting.front());
    waiting.pop_front();
  }
  if (waiting.empty()) waiting_.erase(found);
  return taken;
}

void UserApi::State::Refuse(int status, Error error, DeferredCall* deferred) {
  const UserCall& call = deferred->call;
  Fail(status, error, call, deferred->pending->reply());
  if (call.generation != nullptr) {
    const int64_t latency_ns = SteadyNanos() - deferred->pending->request().arrived_ns;
    call.generation->stats[static_cast<size_t>(call.endpoint_index)]->Observe(
        deferred->slot, Answered::kRejected, latency_ns, 0, 0, 0);
  }
  deferred->pending->Send();
}

// `reply`: with the headers of the answer so far.
HttpOutcome UserApi::State::Defer(const UserCall& call, std::shared_ptr<const ServiceTable> table,
                                  double estimate, int64_t arrived_ns, HttpReply* reply,
                                  HttpExchange* exchange) {
  const ServiceSettings& settings = *call.rules.settings;
  const double deadline =
      settings.deadline_ms > 0 ? settings.deadline_ms : parts->config.admission.deadline_ms;
  // Under overload most are refused: they cost as little as they can.
  if (const Admitted now = parts->admission->Ask(deadline); now != Admitted::kYes) {
    if (now == Admitted::kShuttingDown) reply->close = true;
    reply->overloaded = true;
    Fail(503, Overloaded(now), call, reply);
    if (call.generation != nullptr)
      call.generation->stats[static_cast<size_t>(call.endpoint_index)]->Observe(
          exchange->loop(), Answered::kRejected, SteadyNanos() - arrived_ns, 0, 0, 0);
    return HttpOutcome::kReplied;
  }
  const std::string headers = reply->headers;  // they lie in what Defer takes away
  auto deferred = std::make_shared<DeferredCall>();
  deferred->table = std::move(table);
  deferred->call = call;
  // What the call's views point to goes with the request's buffer.
  deferred->endpoint = call.endpoint;
  deferred->request_id = call.request_id;
  deferred->trace_id = call.trace_id;
  deferred->key_label = call.key_label;
  deferred->call.endpoint = deferred->endpoint;
  deferred->call.request_id = deferred->request_id;
  deferred->call.trace_id = deferred->trace_id;
  deferred->call.key_label = deferred->key_label;
  deferred->call.access = {.by_secret = call.access.by_secret};
  deferred->slot = exchange->loop();
  deferred->deferred_ns = SteadyNanos();
  deferred->pending = exchange->Defer();
  deferred->pending->reply()->headers = headers;
  auto place = running.Enter(*call.rules.running_as, settings.max_concurrent);
  if (!place) {
    Refuse(429,
           Unavailable("'" + *call.rules.running_as +
                       "' is at work on as many requests as it may be (max_concurrent)"),
           deferred.get());
    return HttpOutcome::kDeferred;
  }
  deferred->place = *std::move(place);
  if (call.generation != nullptr) {
    const ServedEndpoint& endpoint = call.generation->generation->endpoint(call.endpoint_index);
    deferred->gathers =
        endpoint.Gathers(AskedOf(call, deferred->pending->request().body, deferred->deferred_ns));
  }
  if (deferred->gathers) gather.Add(deferred);
  Admitted admitted{};
  try {
    admitted = parts->admission->Submit(
        estimate, deadline,
        [this, deferred](int worker, int64_t wait_us) { Work(worker, wait_us, deferred); },
        [this, deferred] {
          if (deferred->gathers && !gather.Remove(deferred.get())) return;
          deferred->place.Leave();
          deferred->slot = parts->loops;
          Refuse(504, DeadlineExceeded("the request waited longer than its deadline"),
                 deferred.get());
        });
  } catch (const std::bad_alloc&) {
    if (deferred->gathers) gather.Remove(deferred.get());
    throw;
  }
  if (admitted == Admitted::kYes) return HttpOutcome::kDeferred;
  if (deferred->gathers && !gather.Remove(deferred.get())) return HttpOutcome::kDeferred;
  deferred->place.Leave();
  if (admitted == Admitted::kShuttingDown) deferred->pending->reply()->close = true;
  deferred->pending->reply()->overloaded = true;
  Refuse(503, Overloaded(admitted), deferred.get());
  return HttpOutcome::kDeferred;
}

void UserApi::State::Work(int worker, int64_t wait_us,
                          const std::shared_ptr<DeferredCall>& deferred) {
  if (deferred->gathers) {
    const GatherQueue::Taken taken = gather.Take(deferred.get(), parts->admission->workers());
    if (taken.count != 1) return WorkTogether(worker, taken.span());
  }
  HttpReply* const reply = deferred->pending->reply();
  try {
    AnswerDeferred(worker, wait_us, deferred.get());
  } catch (const std::bad_alloc&) {
    AnswerNoMemory(reply, [&] { Fail(503, NoMemory(), deferred->call, reply); });
  }
  deferred->place.Leave();
  deferred->pending->Send();
}

void UserApi::State::WorkTogether(int worker,
                                  std::span<const std::shared_ptr<DeferredCall>> calls) {
  try {
    AnswerTogether(worker, calls);
  } catch (const std::bad_alloc&) {
    for (const auto& each : calls) {
      HttpReply* const reply = each->pending->reply();
      AnswerNoMemory(reply, [&] { Fail(503, NoMemory(), each->call, reply); });
    }
  }
  for (const auto& each : calls) {
    each->place.Leave();
    each->pending->Send();
  }
}

void UserApi::State::AnswerTogether(int worker,
                                    std::span<const std::shared_ptr<DeferredCall>> calls) {
  if (calls.empty()) return;
  const int slot = parts->loops + worker;
  UserThread& thread = *threads[static_cast<size_t>(slot)];
  thread.gathered.resize(kMostGathered);
  std::array<GatheredCall, kMostGathered> asked;
  std::array<DeferredCall*, kMostGathered> whose{};
  size_t count = 0;
  const int64_t now = SteadyNanos();
  for (const auto& each : calls) {
    if (IsAbandoned(each.get())) continue;
    const HttpRequest& request = each->pending->request();
    each->call.wait_us = (now - each->deferred_ns) / 1000;
    HttpReply* const reply = each->pending->reply();
    reply->body.assign(1, '{');
    thread.gathered[count].Clear();
    asked[count] = {AskedOf(each->call, request.body, request.arrived_ns), &reply->body,
                    ShouldLog(*each->call.rules.settings, &thread), &thread.gathered[count]};
    whose[count++] = each.get();
  }
  if (count == 0) return;
  const UserCall& first = whose[0]->call;  // all ask the same endpoint of the same generation
  const ServedEndpoint& endpoint = first.generation->generation->endpoint(first.endpoint_index);
  std::unique_ptr<EndpointScratch> own;
  endpoint.AnswerGathered({asked.data(), count}, endpoint.ScratchOf(slot, &own));
  for (size_t i = 0; i < count; ++i)
    FinishCall(slot, whose[i]->call, asked[i], whose[i]->pending->reply());
}

// Nobody waits for it, unless only the sending half is closed: it is told so.
bool UserApi::State::IsAbandoned(DeferredCall* deferred) const {
  if (!deferred->pending->abandoned()) return false;
  HttpReply* const reply = deferred->pending->reply();
  Fail(503, Unavailable("the connection was half closed before the request had its turn"),
       deferred->call, reply);
  reply->close = true;
  return true;
}

void UserApi::State::AnswerDeferred(int worker, int64_t wait_us, DeferredCall* deferred) {
  if (IsAbandoned(deferred)) return;
  const int slot = parts->loops + worker;
  UserThread& thread = *threads[static_cast<size_t>(slot)];
  UserCall& call = deferred->call;
  call.wait_us = wait_us;
  const HttpRequest& request = deferred->pending->request();
  HttpReply* const reply = deferred->pending->reply();
  std::string_view input = call.verb == Verb::kPredictSimple ? request.query : request.body;
  if (call.generation == nullptr) {
    const Result<std::string_view> inflated =
        InflateBody(input, parts->config.body_bytes, &thread.inflated);
    if (!inflated.ok()) {
      const bool large = inflated.error().message.find("larger") != std::string::npos;
      return Fail(large ? 413 : 400, inflated.error(), call, reply);
    }
    input = *inflated;
    if (!Choose(input, &thread, &call, reply)) return;
  }
  AnswerCall(slot, input, request.arrived_ns, call, reply);
}

}  // namespace slipway
