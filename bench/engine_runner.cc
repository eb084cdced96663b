// Slipway's engines as the benches call them: the same doors that `slipway score` uses.
#include <fstream>
#include <iterator>
#include <mutex>

#include "runner.h"

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
  SlipwayRunner(std::unique_ptr<Engine> engine, std::string path)
      : engine_(std::move(engine)), path_(std::move(path)) {}

  int features() const override { return engine_->feature_count(); }
  int outputs() const override { return engine_->outputs(); }
  std::string name() const override { return std::string(engine_->name()); }
  std::string reason() const override { return engine_->reason(); }
  int64_t memory_bytes() const override { return static_cast<int64_t>(engine_->memory_bytes()); }

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
#ifdef SLIPWAY_BENCH_EXPLAIN
  std::mutex mutex_;
  std::unique_ptr<Explainer> explainer_;
#endif
};

Result<Forest> Load(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return NotFound("cannot open " + path);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return ParseLightGbmText(text);
}

#ifdef SLIPWAY_BENCH_EXPLAIN
bool SlipwayRunner::Explain(const double* rows, int64_t count, int threads, double* out,
                            std::string* error) {
  {
    const std::lock_guard lock(mutex_);
    if (explainer_ == nullptr) {
      auto forest = Load(path_);
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
  auto forest = Load(path);
  if (!forest.ok()) {
    *error = Describe(forest.error());
    return nullptr;
  }
  EngineHints hints;
  hints.engine = engine;
  auto compiled = CompileEngine(*forest, hints);
  if (!compiled.ok()) {
    *error = Describe(compiled.error());
    return nullptr;
  }
  return std::make_unique<SlipwayRunner>(std::move(*compiled), path);
}

}  // namespace slipway::bench
