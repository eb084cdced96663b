// LightGBM's C API, loaded with dlopen on first use, so that a process which does not train pays
// nothing for it. Looked for in $SLIPWAY_LIB_DIR, in ../lib beside the executable, then where the
// loader looks. The table is immutable and lives as long as the process; LightGBM itself is not
// thread-safe per dataset or booster. Source: LightGBM 4.7.0, include/LightGBM/c_api.h.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <LightGBM/c_api.h>

#include "slipway/base/result.h"

namespace slipway {

inline constexpr std::string_view kLightGbmVersion = "4.7.0";  // the pinned part

// Every function that we call, by its name without the prefix.
// clang-format off: it does not settle on lists of macros.
#define SLIPWAY_LIGHTGBM_FUNCTIONS(X) \
  X(GetLastError) X(DumpParamAliases) X(RegisterLogCallback) X(GetSampleCount) X(SampleIndices) \
  X(DatasetCreateFromSampledColumn) X(DatasetCreateByReference) X(DatasetPushRows) \
  X(DatasetFree) X(DatasetSetField) X(DatasetSetFeatureNames) X(BoosterCreate) X(BoosterFree) \
  X(BoosterAddValidData) X(BoosterUpdateOneIter) X(BoosterGetEvalCounts) X(BoosterGetEvalNames) \
  X(BoosterGetEval) X(BoosterSaveModelToString) X(BoosterFeatureImportance) \
  X(BoosterNumberOfTotalModel)
// clang-format on

class LightGbm {
 public:
  // The one table of the process. Error: kUnavailable with the places that were tried.
  static Result<const LightGbm*> Load();

#define SLIPWAY_DECLARE(name) decltype(&LGBM_##name) name = nullptr;
  SLIPWAY_LIGHTGBM_FUNCTIONS(SLIPWAY_DECLARE)
#undef SLIPWAY_DECLARE

  // ok when `code` is 0, else kInvalidArgument with the library's own message after "LightGBM: ".
  Status Check(int code) const;

  // The library's log lines since the last call (warnings and worse), trimmed; at most 100 are
  // kept.
  static std::vector<std::string> TakeLog();
};

// A dataset or booster of the library, freed by the destructor. Movable.
class LightGbmHandle {
 public:
  using Free = int (*)(void*);
  LightGbmHandle() = default;
  explicit LightGbmHandle(Free free) : free_(free) {}
  LightGbmHandle(LightGbmHandle&& other) noexcept
      : free_(other.free_), handle_(std::exchange(other.handle_, nullptr)) {}
  LightGbmHandle& operator=(LightGbmHandle&& other) noexcept {
    std::swap(free_, other.free_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~LightGbmHandle() {
    if (handle_ != nullptr) free_(handle_);
  }
  void* get() const { return handle_; }
  void** out() { return &handle_; }
  explicit operator bool() const { return handle_ != nullptr; }

 private:
  Free free_ = nullptr;
  void* handle_ = nullptr;
};

}  // namespace slipway
