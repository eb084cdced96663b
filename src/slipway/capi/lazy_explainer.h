// A model's explainer, compiled when it is first asked for. Until then it holds what it is compiled
// from: where the model's file is, its bytes, or its trees. Thread-safe.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "slipway/base/mutex.h"
#include "slipway/bundle/model.h"
#include "slipway/capi/input_rows.h"
#include "slipway/explain/explain.h"

namespace slipway {

inline constexpr size_t kMaxModelBytes = size_t{2} << 30;

// A file that stays open, so that it can be read again when it was moved or removed since;
// kConflict when it was changed in its place.
class ModelFile {
 public:
  // Opens the file and reads it.
  static Result<std::pair<ModelFile, std::string>> Open(const std::string& path);
  ModelFile(ModelFile&& other) noexcept
      : path_(std::move(other.path_)),
        descriptor_(std::exchange(other.descriptor_, -1)),
        hash_(other.hash_) {}
  ModelFile& operator=(ModelFile&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(descriptor_, other.descriptor_);
    std::swap(hash_, other.hash_);
    return *this;
  }
  ~ModelFile();
  Result<std::string> ReadAgain() const;

 private:
  ModelFile() = default;
  Result<std::string> Read() const;

  std::string path_;
  int descriptor_ = -1;
  uint64_t hash_ = 0;
};

using ExplainerSource = std::variant<ModelFile, std::string, Forest>;

class LazyExplainer {
 public:
  explicit LazyExplainer(ExplainerSource source) : source_(std::move(source)) {}
  // Lives as long as this. That a model cannot be explained is told again to every later call.
  Result<const Explainer*> Get();

 private:
  Mutex mutex_;
  ExplainerSource source_ GUARDED_BY(mutex_);  // until the first Get
  std::unique_ptr<Explainer> explainer_ GUARDED_BY(mutex_);
  Error error_ GUARDED_BY(mutex_);
  bool tried_ GUARDED_BY(mutex_) = false;
};

// rows x engine().outputs() x (feature_count() + 1) numbers; NaN where a filter drops the row.
Status ExplainRows(const Model& model, const Explainer& explainer, const InputRows& rows,
                   int threads, double* out);

}  // namespace slipway
