#include "slipway/serve/query_log.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>
#include <thread>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "slipway/base/clock.h"
#include "slipway/base/mutex.h"
#include "slipway/serve/background.h"
#include "slipway/serve/log.h"
#include "slipway/serve/query_log_files.h"
#include "slipway/serve/query_log_line.h"
#include "slipway/serve/query_log_ring.h"

namespace slipway {
namespace {

constexpr const char* kNoMemory = "there is not enough memory";
constexpr int64_t kFrameBytes = 1 << 20;  // of text, then the frame is written
constexpr double kDiskRetrySeconds = 1;   // after an error of the disk
constexpr size_t kTexts = 9;
constexpr size_t kMessageBytes = 1000;

// A request in a ring: this, the texts, the names to redact, the records. A long batch is several.
struct QueryHead {
  int64_t time_micros = 0, latency_us = 0;
  int32_t status = 0;
  uint32_t first = 0, count = 0, batch = 0, redact = 0;
  uint32_t lengths[kTexts] = {};
};
struct RecordHead {
  uint32_t features = 0, result = 0, context = 0;
};

class Packer {
 public:
  explicit Packer(char* to) : to_(to) {}
  template <typename T>
  void Value(const T& value) {
    std::memcpy(to_, &value, sizeof value);
    to_ += sizeof value;
  }
  void Bytes(std::string_view bytes) {
    if (!bytes.empty()) std::memcpy(to_, bytes.data(), bytes.size());
    to_ += bytes.size();
  }

 private:
  char* to_;
};

class Unpacker {
 public:
  explicit Unpacker(std::string_view from) : from_(from) {}
  template <typename T>
  T Value() {
    T value;
    std::memcpy(&value, from_.data(), sizeof value);
    from_.remove_prefix(sizeof value);
    return value;
  }
  std::string_view Bytes(size_t size) {
    const std::string_view bytes = from_.substr(0, size);
    from_.remove_prefix(size);
    return bytes;
  }

 private:
  std::string_view from_;
};

class FileQueryLog final : public QueryLog {
 public:
  explicit FileQueryLog(const QueryLogOptions& options) : options_(options), files_(options) {
    for (int slot = 0; slot < options.slots; ++slot)
      slots_.push_back(std::make_unique<Slot>(options.ring_bytes));
    wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    stats_.disk_bytes = files_.disk_bytes();
    thread_ = std::thread([this] { Run(); });
  }

  ~FileQueryLog() override {
    stopping_.store(true, std::memory_order_release);
    Wake();
    thread_.join();
    ::close(wake_);
  }

  void Submit(int number, const LoggedQuery& query) override {
    Slot& slot = *slots_[static_cast<size_t>(number)];
    const std::string_view texts[kTexts] = {
        query.request_id, query.trace_id,   query.service,
        query.endpoint,   query.generation, query.key_label,
        query.verb,       query.error_type, query.error_message.substr(0, kMessageBytes)};
    QueryHead head;
    head.time_micros = query.time_micros;
    head.latency_us = query.latency_us;
    head.status = query.status;
    head.batch = static_cast<uint32_t>(query.records.size());
    head.redact = static_cast<uint32_t>(query.redact.size());
    size_t common = sizeof head;
    for (size_t i = 0; i < kTexts; ++i) {
      head.lengths[i] = static_cast<uint32_t>(texts[i].size());
      common += texts[i].size();
    }
    for (const std::string& name : query.redact) common += sizeof(uint32_t) + name.size();

    const size_t most = slot.ring.capacity() / 8;
    size_t first = 0;
    do {
      size_t bytes = common, end = first;
      while (end < query.records.size() && (end == first || bytes < most)) {
        const LoggedRecord& record = query.records[end++];
        bytes += sizeof(RecordHead) + record.features.size() + record.result.size() +
                 record.context.size();
      }
      head.first = static_cast<uint32_t>(first);
      head.count = static_cast<uint32_t>(end - first);
      char* to = slot.ring.Reserve(bytes);
      if (to == nullptr) {
        Drop(slot, std::max<size_t>(end - first, 1));
      } else {
        Pack(to, head, texts, query, first, end);
        slot.ring.Commit();
      }
      first = end;
    } while (first < query.records.size());

    if (slot.ring.used() > slot.ring.capacity() / 4 &&
        !woken_.exchange(true, std::memory_order_relaxed))
      Wake();
  }

  QueryLogStats stats() const override {
    MutexLock lock(mutex_);
    QueryLogStats out = stats_;
    out.dropped += DroppedByRings();
    return out;
  }

  void Flush() override {
    MutexLock lock(mutex_);
    const uint64_t wanted = ++flush_wanted_;
    Wake();
    while (flush_done_ < wanted) flushed_.Wait(mutex_);
  }

 private:
  struct alignas(64) Slot {
    explicit Slot(size_t bytes) : ring(bytes) {}
    QueryLogRing ring;
    std::atomic<int64_t> dropped{0};
  };

  static void Pack(char* to, const QueryHead& head, const std::string_view* texts,
                   const LoggedQuery& query, size_t first, size_t end) {
    Packer pack(to);
    pack.Value(head);
    for (size_t i = 0; i < kTexts; ++i) pack.Bytes(texts[i]);
    for (const std::string& name : query.redact) {
      pack.Value(static_cast<uint32_t>(name.size()));
      pack.Bytes(name);
    }
    for (const LoggedRecord& record : query.records.subspan(first, end - first)) {
      pack.Value(RecordHead{static_cast<uint32_t>(record.features.size()),
                            static_cast<uint32_t>(record.result.size()),
                            static_cast<uint32_t>(record.context.size())});
      pack.Bytes(record.features);
      pack.Bytes(record.result);
      pack.Bytes(record.context);
    }
  }

  static void Drop(Slot& slot, size_t records) {
    slot.dropped.store(slot.dropped.load(std::memory_order_relaxed) + static_cast<int64_t>(records),
                       std::memory_order_relaxed);
  }

  int64_t DroppedByRings() const {
    int64_t dropped = 0;
    for (const std::unique_ptr<Slot>& slot : slots_)
      dropped += slot->dropped.load(std::memory_order_relaxed);
    return dropped;
  }

  void Wake() const {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof one);
  }

  // The writing thread.
  void Run() {
    EnterBackground("slipway-log", 5);
    // Woken early when a ring fills: between two looks a line is at most half of flush_seconds old.
    const double half = std::max(options_.flush_seconds / 2, 0.001);
    for (;;) {
      pollfd ready{wake_, POLLIN, 0};
      (void)::poll(&ready, 1, static_cast<int>(std::min(half, 60.0) * 1000) + 1);
      uint64_t count = 0;
      [[maybe_unused]] const ssize_t got = ::read(wake_, &count, sizeof count);
      woken_.store(false, std::memory_order_relaxed);
      const bool last = stopping_.load(std::memory_order_acquire);
      uint64_t flush = 0;
      bool asked = false;
      {
        MutexLock lock(mutex_);
        flush = flush_wanted_;
        asked = flush != flush_done_;
      }
      for (const std::unique_ptr<Slot>& slot : slots_) Empty(slot->ring);
      if (last || asked || SteadySeconds() - frame_began_ >= half) EndFrame(last || asked);
      if (asked) {
        MutexLock lock(mutex_);
        flush_done_ = flush;
        flushed_.NotifyAll();
      }
      if (last) return;
    }
  }

  // What is in the ring now; not what comes meanwhile, so that every slot has its turn.
  void Empty(QueryLogRing& ring) {
    size_t left = ring.used();
    while (left > 0) {
      const std::string_view packed = ring.Front();
      if (packed.data() == nullptr) return;
      AddLines(packed);
      left -= std::min(left, packed.size());
      ring.Pop();
    }
  }

  void AddLines(std::string_view packed) {
    Unpacker from(packed);
    const auto head = from.Value<QueryHead>();
    LoggedQuery query;
    query.time_micros = head.time_micros;
    query.latency_us = head.latency_us;
    query.status = head.status;
    query.request_id = from.Bytes(head.lengths[0]);
    query.trace_id = from.Bytes(head.lengths[1]);
    query.service = from.Bytes(head.lengths[2]);
    query.endpoint = from.Bytes(head.lengths[3]);
    query.generation = from.Bytes(head.lengths[4]);
    query.key_label = from.Bytes(head.lengths[5]);
    query.verb = from.Bytes(head.lengths[6]);
    query.error_type = from.Bytes(head.lengths[7]);
    query.error_message = from.Bytes(head.lengths[8]);
    redact_.assign(options_.redact.begin(), options_.redact.end());
    for (uint32_t i = 0; i < head.redact; ++i)
      redact_.push_back(from.Bytes(from.Value<uint32_t>()));
    if (head.batch == 0) AddLine(query, nullptr, 0, 0);
    for (uint32_t i = 0; i < head.count; ++i) {
      const auto lengths = from.Value<RecordHead>();
      LoggedRecord record;
      record.features = from.Bytes(lengths.features);
      record.result = from.Bytes(lengths.result);
      record.context = from.Bytes(lengths.context);
      AddLine(query, &record, head.first + i, head.batch);
    }
  }

  void AddLine(const LoggedQuery& query, const LoggedRecord* record, int64_t index, int64_t batch) {
    if (frame_lines_ == 0) frame_began_ = SteadySeconds();
    const size_t before = frame_.size();
    ++frame_lines_;
    try {
      AppendQueryLine(query, record, index, batch, redact_, &frame_);
    } catch (const std::bad_alloc&) {  // with what else is in the frame
      frame_.resize(before);
      Lose(kNoMemory);
    }
    if (frame_.size() >= frame_bytes_) EndFrame(false);
  }

  // Writes the frame, or drops and counts it. `now`: tries even shortly after an error.
  void EndFrame(bool now) {
    int64_t untold = lost_on_disk_ - told_on_disk_;
    const int64_t in_rings = DroppedByRings();
    untold += in_rings - told_in_rings_;
    if (frame_lines_ == 0 && untold == 0) return;
    const double time = SteadySeconds();
    Status status;
    if (time < retry_at_ && !now) {
      Lose({});
      return;
    }
    const int64_t lost = lost_on_disk_;
    if (untold > 0) AppendDroppedLine(NowMicros(), untold, &frame_);
    try {
      status = files_.WriteFrame(frame_);
    } catch (const std::bad_alloc&) {
      status = Unavailable(kNoMemory);
    }
    if (!status.ok()) {
      retry_at_ = time + std::min(kDiskRetrySeconds, options_.flush_seconds);
      if (!failing_) {
        LogError("the query log cannot be written; its lines are dropped and counted until it can",
                 {{"folder", options_.folder}, {"error", status.error().message}});
      }
      failing_ = true;
      Lose(status.error().message);
      return;
    }
    if (failing_) LogInfo("the query log is written again", {{"dropped", untold}});
    failing_ = false;
    told_on_disk_ = lost;
    told_in_rings_ = in_rings;
    {
      MutexLock lock(mutex_);
      stats_.written += frame_lines_;
      stats_.bytes += static_cast<int64_t>(frame_.size());
      stats_.disk_bytes = files_.disk_bytes();
      stats_.last_error.clear();
    }
    Clear();
  }

  void Lose(const std::string& error) {
    lost_on_disk_ += frame_lines_;
    {
      MutexLock lock(mutex_);
      stats_.dropped += frame_lines_;
      if (!error.empty()) stats_.last_error = error;
    }
    Clear();
  }

  void Clear() {
    frame_.clear();
    frame_lines_ = 0;
    frame_began_ = SteadySeconds();
  }

  const QueryLogOptions options_;
  std::vector<std::unique_ptr<Slot>> slots_;
  int wake_ = -1;
  std::atomic<bool> woken_{false}, stopping_{false};

  // The writing thread's own.
  QueryLogFiles files_;
  std::string frame_;
  // Small files take small frames: they and the folder end where they should.
  const size_t frame_bytes_ = static_cast<size_t>(
      std::clamp<int64_t>(std::min(options_.file_bytes, options_.total_bytes / 8), 1, kFrameBytes));
  int64_t frame_lines_ = 0;
  double frame_began_ = 0, retry_at_ = 0;
  bool failing_ = false;
  int64_t lost_on_disk_ = 0, told_on_disk_ = 0, told_in_rings_ = 0;
  std::vector<std::string_view> redact_;

  mutable Mutex mutex_;
  CondVar flushed_;
  QueryLogStats stats_ GUARDED_BY(mutex_);
  uint64_t flush_wanted_ GUARDED_BY(mutex_) = 0, flush_done_ GUARDED_BY(mutex_) = 0;
  std::thread thread_;
};

// What a node has that keeps none.
class NoQueryLog final : public QueryLog {
 public:
  void Submit(int, const LoggedQuery&) override {}
  QueryLogStats stats() const override { return {}; }
  void Flush() override {}
};

}  // namespace

Result<std::unique_ptr<QueryLog>> QueryLog::Open(const QueryLogOptions& options) {
  if (!options.enabled) return std::unique_ptr<QueryLog>(std::make_unique<NoQueryLog>());
  if (options.folder.empty() || options.slots < 1)
    return InvalidArgument("the query log needs a folder and a slot");
  return std::unique_ptr<QueryLog>(std::make_unique<FileQueryLog>(options));
}

}  // namespace slipway
