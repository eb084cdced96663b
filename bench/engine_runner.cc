// Slipway's engines as the benches call them: the same doors that `slipway score` uses.
#include <chrono>
#include <mutex>

#include "runner.h"

#include "slipway/base/file.h"
#include "slipway/forest/lightgbm_text.h"
#include "slipway/score/engine.h"
#ifdef SLIPWAY_BENCH_EXPLAIN
#include "slipway/explain/explain.h"
#endif

namespace slipway::bench {
namespace {

std::string Describe(const Error& error) {
  return error.hint.empty() ? error.message : error.message + " (" + error.hint + ")";
}

class EngineCaller : public Caller {
 public:
  explicit EngineCaller(const Engine& engine) : engine_(engine) {}
  void Score(const double* rows, int64_t count, double* out) override {
    engine_.PredictRaw(rows, count, engine_.feature_count(), out);
  }

 private:
  const Engine& engine_;
};

class SlipwayRunner : public Runner {
 public:
  // `path`: the explainer, compiled when it is first asked for, reads the model again.
  SlipwayRunner(std::unique_ptr<Engine> engine, std::string path,
                const std::array<double, 3>& seconds)
      : engine_(std::move(engine)), path_(std::move(path)), seconds_(seconds) {}

  int features() const override { return engine_->feature_count(); }
  int outputs() const override { return engine_->outputs(); }
  std::string name() const override { return std::string(engine_->name()); }
  std::string reason() const override { return engine_->reason(); }
  int64_t memory_bytes() const override { return static_cast<int64_t>(engine_->memory_bytes()); }

  std::array<double, 3> open_seconds() const override { return seconds_; }

  std::unique_ptr<Caller> MakeCaller(bool) override {
    return std::make_unique<EngineCaller>(*engine_);
  }

  void PredictParallel(const double* rows, int64_t count, int threads, double* out) override {
    const int width = engine_->feature_count();
    if (threads == 1) return engine_->PredictRaw(rows, count, width, out);
    slipway::PredictParallel(*engine_, RowMajorColumns(rows, width, width), count, threads, out);
  }

  bool Explain(const double* rows, int64_t count, int threads, double* out,
               std::string* error) override;

 private:
  std::unique_ptr<Engine> engine_;
  std::string path_;
  std::array<double, 3> seconds_;
#ifdef SLIPWAY_BENCH_EXPLAIN
  std::mutex mutex_;
  std::unique_ptr<Explainer> explainer_;
#endif
};

using Clock = std::chrono::steady_clock;

double Since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Result<Forest> Load(const std::string& path, std::array<double, 3>* seconds) {
  const auto start = Clock::now();
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  (*seconds)[0] = Since(start);
  const auto read = Clock::now();
  ASSIGN_OR_RETURN(Forest forest, ParseLightGbmText(text));
  (*seconds)[1] = Since(read);
  return forest;
}

#ifdef SLIPWAY_BENCH_EXPLAIN
bool SlipwayRunner::Explain(const double* rows, int64_t count, int threads, double* out,
                            std::string* error) {
  {
    const std::lock_guard lock(mutex_);
    if (explainer_ == nullptr) {
      std::array<double, 3> seconds{};
      auto forest = Load(path_, &seconds);
      if (!forest.ok()) return *error = Describe(forest.error()), false;
      auto explainer = CompileExplainer(*forest);
      if (!explainer.ok()) return *error = Describe(explainer.error()), false;
      explainer_ = std::move(*explainer);
    }
  }
  ExplainParallel(*explainer_, rows, count, engine_->feature_count(), threads, out);
  return true;
}
#else
bool SlipwayRunner::Explain(const double*, int64_t, int, double*, std::string* error) {
  *error = "this build of Slipway has no explanations yet";
  return false;
}
#endif

}  // namespace

std::unique_ptr<Runner> OpenSlipway(const std::string& path, const std::string& engine,
                                    std::string* error) {
  std::array<double, 3> seconds{};
  auto forest = Load(path, &seconds);
  if (!forest.ok()) {
    *error = Describe(forest.error());
    return nullptr;
  }
  const auto start = Clock::now();
  EngineHints hints;
  hints.engine = engine;
  auto compiled = CompileEngine(*forest, hints);
  if (!compiled.ok()) {
    *error = Describe(compiled.error());
    return nullptr;
  }
  seconds[2] = Since(start);
  return std::make_unique<SlipwayRunner>(std::move(*compiled), path, seconds);
}

}  // namespace slipway::bench
