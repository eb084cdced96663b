// The C functions that bench/runner.py calls through ctypes. Rows are row-major float64, as wide as
// the model's features; errors are text in `error`.
#include "runner.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <ctime>
#include <thread>
#include <vector>

#include <malloc.h>
#include <sys/resource.h>
#include <x86intrin.h>

namespace slipway::bench {
namespace {

void Tell(const std::string& text, char* to, int64_t size) {
  if (size <= 0) return;
  const size_t length = std::min(text.size(), static_cast<size_t>(size - 1));
  std::memcpy(to, text.data(), length);
  to[length] = '\0';
}

double ThreadSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// The fences keep work of one call out of the next one's time.
uint64_t Ticks() {
  _mm_lfence();
  const uint64_t ticks = __rdtsc();
  _mm_lfence();
  return ticks;
}

double MeasureTick() {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const uint64_t ticks = Ticks();
  while (Clock::now() - start < std::chrono::milliseconds(50)) {
  }
  const uint64_t passed = Ticks() - ticks;
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count() /
         static_cast<double>(passed);
}

double NanosecondsPerTick() {
  static const double value = MeasureTick();
  return value;
}

// How often the kernel took the processor from this thread.
int64_t Preemptions() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nivcsw;
}

// One row at a time, each call timed; `out` keeps the answers, so that nothing can be left out. A
// call in which the thread lost its processor to another program is negative: the machine's share,
// not the library's. The kernel is asked after slow calls only.
void TimeRows(Caller* caller, const double* rows, int64_t count, int features, int outputs,
              double* out, float* nanoseconds) {
  const double scale = NanosecondsPerTick();
  double least = 1e18;
  int64_t preemptions = Preemptions();
  for (int64_t row = 0; row < count; ++row) {
    const uint64_t start = Ticks();
    caller->Score(rows + row * features, 1, out + row * outputs);
    double taken = static_cast<double>(Ticks() - start) * scale;
    least = std::min(least, taken);
    if (taken > 3 * least) {
      const int64_t now = Preemptions();
      if (now != preemptions) taken = -taken;
      preemptions = now;
    }
    nanoseconds[row] = static_cast<float>(taken);
  }
}

}  // namespace
}  // namespace slipway::bench

using slipway::bench::Caller;
using slipway::bench::Runner;

extern "C" {

// `library` empty: Slipway with the engine of that name ("": its choice), else LightGBM from there.
void* runner_open(const char* library, const char* engine, const char* path, char* error,
                  int64_t size) {
  std::string why;
  auto runner = *library == '\0' ? slipway::bench::OpenSlipway(path, engine, &why)
                                 : slipway::bench::OpenLightGbm(library, path, &why);
  if (runner == nullptr) slipway::bench::Tell(why, error, size);
  return runner.release();
}

void runner_close(void* runner) { delete static_cast<Runner*>(runner); }

void runner_name(void* runner, char* name, char* reason, int64_t size) {
  slipway::bench::Tell(static_cast<Runner*>(runner)->name(), name, size);
  slipway::bench::Tell(static_cast<Runner*>(runner)->reason(), reason, size);
}

int runner_features(void* runner) { return static_cast<Runner*>(runner)->features(); }
int runner_outputs(void* runner) { return static_cast<Runner*>(runner)->outputs(); }
int64_t runner_memory(void* runner) { return static_cast<Runner*>(runner)->memory_bytes(); }

// Three numbers: Runner::open_seconds().
void runner_open_seconds(void* runner, double* seconds) {
  const auto parts = static_cast<Runner*>(runner)->open_seconds();
  std::copy(parts.begin(), parts.end(), seconds);
}

// Bytes that this process has got from malloc and not given back.
int64_t runner_allocated() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<int64_t>(info.uordblks + info.hblkhd);
}

void runner_predict(void* runner, const double* rows, int64_t count, int threads, double* out) {
  static_cast<Runner*>(runner)->PredictParallel(rows, count, threads, out);
}

int runner_explain(void* runner, const double* rows, int64_t count, int threads, double* out,
                   char* error, int64_t size) {
  std::string why;
  if (static_cast<Runner*>(runner)->Explain(rows, count, threads, out, &why)) return 0;
  slipway::bench::Tell(why, error, size);
  return -1;
}

// All rows, one a call, on `threads` threads at the same time, each with its own part of the rows.
// 0, or -1 when the library refuses single rows.
int runner_rows(void* handle, const double* rows, int64_t count, int threads, double* out,
                float* nanoseconds) {
  auto* runner = static_cast<Runner*>(handle);
  const int features = runner->features(), outputs = runner->outputs();
  slipway::bench::NanosecondsPerTick();
  std::vector<std::unique_ptr<Caller>> callers;
  for (int i = 0; i < threads; ++i) {
    callers.push_back(runner->MakeCaller(true));
    if (callers.back() == nullptr) return -1;
  }
  std::atomic<int> ready{0};
  const auto part = [&](int i) {
    const int64_t first = count * i / threads, last = count * (i + 1) / threads;
    ready.fetch_add(1);
    while (ready.load() < threads) {  // all begin together
    }
    slipway::bench::TimeRows(callers[static_cast<size_t>(i)].get(), rows + first * features,
                             last - first, features, outputs, out + first * outputs,
                             nanoseconds + first);
  };
  std::vector<std::thread> workers;
  for (int i = 1; i < threads; ++i) workers.emplace_back(part, i);
  part(0);
  for (std::thread& worker : workers) worker.join();
  return 0;
}

// The processor seconds of scoring all rows in calls of `batch` rows; below 0: refused.
double runner_batches(void* handle, const double* rows, int64_t count, int64_t batch, double* out) {
  auto* runner = static_cast<Runner*>(handle);
  const int features = runner->features(), outputs = runner->outputs();
  const auto caller = runner->MakeCaller(batch == 1);
  if (caller == nullptr) return -1;
  const double start = slipway::bench::ThreadSeconds();
  for (int64_t row = 0; row < count; row += batch) {
    caller->Score(rows + row * features, std::min(batch, count - row), out + row * outputs);
  }
  return slipway::bench::ThreadSeconds() - start;
}

// What timing a call adds to it: the median of many calls of nothing, in nanoseconds.
double runner_clock() {
  class Nothing : public Caller {
   public:
    void Score(const double*, int64_t, double* out) override { *out = 0; }
  };
  Nothing nothing;
  std::vector<float> nanoseconds(10001);
  std::vector<double> out(nanoseconds.size());
  slipway::bench::TimeRows(&nothing, out.data(), static_cast<int64_t>(out.size()), 0, 1, out.data(),
                           nanoseconds.data());
  std::nth_element(nanoseconds.begin(), nanoseconds.begin() + 5000, nanoseconds.end());
  return static_cast<double>(nanoseconds[5000]);
}

}  // extern "C"
