#include "slipway/serve/stats.h"

#include <algorithm>
#include <array>

namespace slipway {
namespace {

constexpr size_t kBounds = std::size(kLatencyBounds);

constexpr std::array<int64_t, kBounds> BoundsInNanoseconds() {
  std::array<int64_t, kBounds> out{};
  for (size_t i = 0; i < kBounds; ++i) out[i] = static_cast<int64_t>(kLatencyBounds[i] * 1e9 + 0.5);
  return out;
}
constexpr std::array<int64_t, kBounds> kBoundsNs = BoundsInNanoseconds();

// A slot has one writer, so no locked instruction is needed; readers see some recent value.
void Bump(std::atomic<int64_t>& counter, int64_t by) {
  counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

}  // namespace

struct alignas(64) EndpointStats::Block {
  std::atomic<int64_t> requests[4] = {};
  std::atomic<int64_t> records{0}, ignored{0}, failed{0}, latency_ns{0};
  std::atomic<int64_t> buckets[kBounds + 1] = {};
};

EndpointStats::EndpointStats(int slots) {
  blocks_.reserve(static_cast<size_t>(std::max(slots, 1)));
  for (int i = 0; i < std::max(slots, 1); ++i) blocks_.push_back(std::make_unique<Block>());
}

EndpointStats::~EndpointStats() = default;

void EndpointStats::Observe(int slot, Answered how, int64_t latency_ns, int64_t records,
                            int64_t ignored, int64_t failed) {
  Block& block = *blocks_[static_cast<size_t>(slot)];
  if (how == Answered::kRejected) {
    // Refused by whichever thread saw it, for another one's slot; and it took no time worth a place
    // among the answers.
    block.requests[static_cast<size_t>(how)].fetch_add(1, std::memory_order_relaxed);
    return;
  }
  Bump(block.requests[static_cast<size_t>(how)], 1);
  // Of a request that failed as a whole, no record was answered.
  if (how == Answered::kOk && records != 0) Bump(block.records, records);
  if (ignored != 0) Bump(block.ignored, ignored);
  if (failed != 0) Bump(block.failed, failed);
  latency_ns = std::max<int64_t>(latency_ns, 0);
  Bump(block.latency_ns, latency_ns);
  size_t bucket = 0;
  while (bucket < kBounds && latency_ns > kBoundsNs[bucket]) ++bucket;
  Bump(block.buckets[bucket], 1);
}

void EndpointStats::Totals::Add(const Totals& other) {
  for (size_t i = 0; i < std::size(requests); ++i) requests[i] += other.requests[i];
  records += other.records;
  ignored += other.ignored;
  failed += other.failed;
  latency_ns += other.latency_ns;
  buckets.resize(kBounds + 1);
  for (size_t i = 0; i < other.buckets.size(); ++i) buckets[i] += other.buckets[i];
}

EndpointStats::Totals EndpointStats::Sum() const {
  constexpr auto relaxed = std::memory_order_relaxed;
  Totals totals;
  totals.buckets.resize(kBounds + 1);
  for (const std::unique_ptr<Block>& block : blocks_) {
    for (size_t i = 0; i < std::size(totals.requests); ++i)
      totals.requests[i] += block->requests[i].load(relaxed);
    totals.records += block->records.load(relaxed);
    totals.ignored += block->ignored.load(relaxed);
    totals.failed += block->failed.load(relaxed);
    totals.latency_ns += block->latency_ns.load(relaxed);
    for (size_t i = 0; i <= kBounds; ++i) totals.buckets[i] += block->buckets[i].load(relaxed);
  }
  return totals;
}

double EndpointStats::Quantile(const Totals& totals, double q) {
  int64_t count = 0;
  for (int64_t bucket : totals.buckets) count += bucket;
  if (count == 0) return 0;
  const double rank = std::clamp(q, 0.0, 1.0) * static_cast<double>(count);
  double below = 0;
  for (size_t i = 0; i < totals.buckets.size(); ++i) {
    const auto here = static_cast<double>(totals.buckets[i]);
    if (here > 0 && below + here >= rank) {
      if (i >= kBounds) break;
      const double low = i == 0 ? 0 : kLatencyBounds[i - 1];
      return low + (kLatencyBounds[i] - low) * std::max(rank - below, 0.0) / here;
    }
    below += here;
  }
  return kLatencyBounds[kBounds - 1];  // beyond the last bound nothing is known
}

std::shared_ptr<EndpointStats> StatsRegistry::Get(std::string_view service,
                                                  std::string_view endpoint,
                                                  std::string_view generation) {
  MutexLock lock(mutex_);
  Key key{service, endpoint, generation};
  const auto at = rows_.find(key);
  if (at != rows_.end()) return at->second.stats;
  if (rows_.size() >= kMaxRows) FoldOldest();
  Entry entry{std::make_shared<EndpointStats>(slots_), made_++};
  return rows_.emplace(std::move(key), std::move(entry)).first->second.stats;
}

void StatsRegistry::FoldOldest() {
  auto oldest = rows_.end();
  for (auto at = rows_.begin(); at != rows_.end(); ++at) {
    // Nobody but this map holds it: nobody counts in it any more.
    if (at->second.stats.use_count() != 1) continue;
    if (oldest == rows_.end() || at->second.made < oldest->second.made) oldest = at;
  }
  if (oldest == rows_.end()) return;  // all in use: as many as are loaded, then
  std::atomic_thread_fence(std::memory_order_acquire);
  Key key{std::get<0>(oldest->first), std::get<1>(oldest->first), "other"};
  if (folded_.size() >= kMaxRows && !folded_.contains(key)) key = {"other", "other", "other"};
  folded_[key].Add(oldest->second.stats->Sum());
  rows_.erase(oldest);
}

std::vector<StatsRegistry::Row> StatsRegistry::Rows() const {
  MutexLock lock(mutex_);
  std::map<Key, EndpointStats::Totals> all = folded_;
  for (const auto& [key, entry] : rows_) all[key].Add(entry.stats->Sum());
  std::vector<Row> rows;
  rows.reserve(all.size());
  for (auto& [key, totals] : all)
    rows.push_back({std::get<0>(key), std::get<1>(key), std::get<2>(key), std::move(totals)});
  return rows;
}

void RefusalCounts::Count(std::string_view service, int status) {
  MutexLock lock(mutex_);
  std::pair<std::string, int> key{service, status};
  if (rows_.size() >= StatsRegistry::kMaxRows && !rows_.contains(key)) key.first = "other";
  ++rows_[key];
}

std::map<std::pair<std::string, int>, int64_t> RefusalCounts::Rows() const {
  MutexLock lock(mutex_);
  return rows_;
}

}  // namespace slipway
