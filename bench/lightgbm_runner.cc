// LightGBM through its C API, the fastest way that it offers for each use.
#include <dlfcn.h>

#include "runner.h"

namespace slipway::bench {
namespace {

constexpr int kFloat64 = 1;   // C_API_DTYPE_FLOAT64
constexpr int kRawScore = 1;  // C_API_PREDICT_RAW_SCORE
constexpr int kContrib = 3;   // C_API_PREDICT_CONTRIB
using Handle = void*;

struct Api {
  const char* (*LastError)() = nullptr;
  int (*FromFile)(const char*, int*, Handle*) = nullptr;
  int (*Free)(Handle) = nullptr;
  int (*Features)(Handle, int*) = nullptr;
  int (*Outputs)(Handle, int*) = nullptr;
  int (*ForMat)(Handle, const void*, int, int32_t, int32_t, int, int, int, int, const char*,
                int64_t*, double*) = nullptr;
  int (*FastInit)(Handle, int, int, int, int, int32_t, const char*, Handle*) = nullptr;
  int (*Fast)(Handle, const void*, int64_t*, double*) = nullptr;
  int (*FastFree)(Handle) = nullptr;
};

template <typename F>
bool Resolve(void* library, const char* name, F* function, std::string* error) {
  *function = reinterpret_cast<F>(dlsym(library, name));
  if (*function == nullptr) *error = std::string("lib_lightgbm.so has no function ") + name;
  return *function != nullptr;
}

bool ResolveAll(void* library, Api* api, std::string* error) {
  return Resolve(library, "LGBM_GetLastError", &api->LastError, error) &&
         Resolve(library, "LGBM_BoosterCreateFromModelfile", &api->FromFile, error) &&
         Resolve(library, "LGBM_BoosterFree", &api->Free, error) &&
         Resolve(library, "LGBM_BoosterGetNumFeature", &api->Features, error) &&
         Resolve(library, "LGBM_BoosterGetNumClasses", &api->Outputs, error) &&
         Resolve(library, "LGBM_BoosterPredictForMat", &api->ForMat, error) &&
         Resolve(library, "LGBM_BoosterPredictForMatSingleRowFastInit", &api->FastInit, error) &&
         Resolve(library, "LGBM_BoosterPredictForMatSingleRowFast", &api->Fast, error) &&
         Resolve(library, "LGBM_FastConfigFree", &api->FastFree, error);
}

class LightGbmRunner;

class FastCaller : public Caller {
 public:
  FastCaller(const Api& api, Handle booster, int features) : api_(api) {
    if (api_.FastInit(booster, kRawScore, 0, -1, kFloat64, features, "num_threads=1", &config_) !=
        0)
      config_ = nullptr;
  }
  ~FastCaller() override {
    if (config_ != nullptr) api_.FastFree(config_);
  }
  FastCaller(const FastCaller&) = delete;
  FastCaller& operator=(const FastCaller&) = delete;
  void Score(const double* rows, int64_t, double* out) override {
    int64_t length = 0;
    api_.Fast(config_, rows, &length, out);
  }
  bool ok() const { return config_ != nullptr; }

 private:
  const Api& api_;
  Handle config_ = nullptr;
};

class MatCaller : public Caller {
 public:
  MatCaller(const Api& api, Handle booster, int features)
      : api_(api), booster_(booster), features_(features) {}
  void Score(const double* rows, int64_t count, double* out) override {
    int64_t length = 0;
    api_.ForMat(booster_, rows, kFloat64, static_cast<int32_t>(count), features_, 1, kRawScore, 0,
                -1, "num_threads=1", &length, out);
  }

 private:
  const Api& api_;
  Handle booster_;
  int features_;
};

class LightGbmRunner : public Runner {
 public:
  LightGbmRunner(const Api& api, Handle booster) : api_(api), booster_(booster) {
    api_.Features(booster_, &features_);
    api_.Outputs(booster_, &outputs_);
  }
  ~LightGbmRunner() override { api_.Free(booster_); }
  LightGbmRunner(const LightGbmRunner&) = delete;
  LightGbmRunner& operator=(const LightGbmRunner&) = delete;

  int features() const override { return features_; }
  int outputs() const override { return outputs_; }
  std::string name() const override { return "lightgbm"; }

  std::unique_ptr<Caller> MakeCaller(bool single) override {
    if (!single) return std::make_unique<MatCaller>(api_, booster_, features_);
    auto caller = std::make_unique<FastCaller>(api_, booster_, features_);
    if (!caller->ok()) return nullptr;
    return caller;
  }

  void PredictParallel(const double* rows, int64_t count, int threads, double* out) override {
    Predict(rows, count, threads, kRawScore, out);
  }

  bool Explain(const double* rows, int64_t count, int threads, double* out,
               std::string* error) override {
    const bool done = Predict(rows, count, threads, kContrib, out);
    if (!done) *error = api_.LastError();
    return done;
  }

 private:
  bool Predict(const double* rows, int64_t count, int threads, int what, double* out) {
    const std::string parameter = "num_threads=" + std::to_string(threads);
    int64_t length = 0;
    return api_.ForMat(booster_, rows, kFloat64, static_cast<int32_t>(count), features_, 1, what, 0,
                       -1, parameter.c_str(), &length, out) == 0;
  }

  const Api api_;
  Handle booster_;
  int features_ = 0, outputs_ = 1;
};

}  // namespace

std::unique_ptr<Runner> OpenLightGbm(const std::string& library, const std::string& path,
                                     std::string* error) {
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);  // stays loaded
  if (handle == nullptr) {
    const char* why = dlerror();
    *error = why != nullptr ? why : library;
    return nullptr;
  }
  Api api;
  if (!ResolveAll(handle, &api, error)) return nullptr;
  int iterations = 0;
  Handle booster = nullptr;
  if (api.FromFile(path.c_str(), &iterations, &booster) != 0) {
    *error = api.LastError();
    return nullptr;
  }
  return std::make_unique<LightGbmRunner>(api, booster);
}

}  // namespace slipway::bench
