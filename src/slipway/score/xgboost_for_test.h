// XGBoost itself, for tests: models of every kind are trained in this process through its C API,
// saved as JSON and UBJ, and asked about rows. Its header is not needed: these functions have been
// the same from version 1.7 to 3.2, so that SLIPWAY_LIB_DIR may also name a folder with the library
// of another version.
#pragma once

#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <dlfcn.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace slipway::xgboost_for_test {

// `create` is null when the library is not there.
struct Library {
  int release = 0;  // 302: version 3.2
  void (*version)(int*, int*, int*) = nullptr;
  const char* (*last_error)() = nullptr;
  int (*matrix_from_dense)(const char* array, const char* config, void** matrix) = nullptr;
  int (*set_info)(void* matrix, const char* field, const char* array) = nullptr;
  int (*set_feature_info)(void* matrix, const char* field, const char** texts,
                          uint64_t count) = nullptr;
  int (*matrix_free)(void* matrix) = nullptr;
  int (*create)(void* const* matrices, uint64_t count, void** booster) = nullptr;
  int (*free)(void* booster) = nullptr;
  int (*set_param)(void* booster, const char* name, const char* value) = nullptr;
  int (*set_attribute)(void* booster, const char* name, const char* value) = nullptr;
  int (*update)(void* booster, int round, void* matrix) = nullptr;
  int (*save)(void* booster, const char* config, uint64_t* size, const char** bytes) = nullptr;
  int (*load)(void* booster, const void* bytes, uint64_t size) = nullptr;
  int (*predict)(void* booster, void* matrix, const char* config, const uint64_t** shape,
                 uint64_t* dimensions, const float** scores) = nullptr;
  int (*predict_dense)(void* booster, const char* array, const char* config, void* matrix,
                       const uint64_t** shape, uint64_t* dimensions,
                       const float** scores) = nullptr;
};

inline const Library& LoadLibrary() {
  static const Library library = [] {
    Library loaded;
    const char* folder = std::getenv("SLIPWAY_LIB_DIR");
    if (folder == nullptr) return loaded;
    void* handle =
        dlopen((std::string(folder) + "/xgboost/lib/libxgboost.so").c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) return loaded;
    const auto get = [handle](auto* function, const char* name) {
      *function = reinterpret_cast<std::remove_pointer_t<decltype(function)>>(dlsym(handle, name));
    };
    get(&loaded.version, "XGBoostVersion");
    get(&loaded.last_error, "XGBGetLastError");
    get(&loaded.matrix_from_dense, "XGDMatrixCreateFromDense");
    get(&loaded.set_info, "XGDMatrixSetInfoFromInterface");
    get(&loaded.set_feature_info, "XGDMatrixSetStrFeatureInfo");
    get(&loaded.matrix_free, "XGDMatrixFree");
    get(&loaded.create, "XGBoosterCreate");
    get(&loaded.free, "XGBoosterFree");
    get(&loaded.set_param, "XGBoosterSetParam");
    get(&loaded.set_attribute, "XGBoosterSetAttr");
    get(&loaded.update, "XGBoosterUpdateOneIter");
    get(&loaded.save, "XGBoosterSaveModelToBuffer");
    get(&loaded.load, "XGBoosterLoadModelFromBuffer");
    get(&loaded.predict, "XGBoosterPredictFromDMatrix");
    get(&loaded.predict_dense, "XGBoosterPredictFromDense");
    int major = 0, minor = 0, patch = 0;
    loaded.version(&major, &minor, &patch);
    loaded.release = major * 100 + minor;
    return loaded;
  }();
  return library;
}

inline constexpr int kFeatures = 7;  // 0..3 numeric, 4 mostly zero, 5 and 6 categories
inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
inline constexpr double kInf = std::numeric_limits<double>::infinity();

// numpy's array interface, as XGBoost takes matrices.
template <typename T>
std::string ArrayInterface(const std::vector<T>& values, size_t columns) {
  const char* type = sizeof(T) == 8 ? "<f8" : std::is_floating_point_v<T> ? "<f4" : "<u4";
  return fmt::format(R"({{"data":[{},true],"shape":[{},{}],"typestr":"{}","version":3}})",
                     reinterpret_cast<uintptr_t>(values.data()), values.size() / columns, columns,
                     type);
}

// Words like "max_depth=3" are XGBoost's; "cat", "dense", "targets=3" and "rounds=20" are ours.
struct Case {
  std::string words;
  int least_release = 107;

  bool Has(const std::string& word) const { return (" " + words).find(" " + word) != npos; }
  int Number(const std::string& key, int absent) const {
    const size_t at = (" " + words).find(" " + key + "=");
    return at == npos ? absent : std::atoi(words.c_str() + at + key.size() + 1);
  }
  static constexpr size_t npos = std::string::npos;
};

inline std::vector<double> TrainingRows(int rows, uint32_t seed, bool with_missing) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  std::vector<double> matrix;
  for (int row = 0; row < rows; ++row) {
    for (int feature = 0; feature < kFeatures; ++feature) {
      double value = normal(random) * (feature == 1 ? 1e6 : feature == 2 ? 1e-30 : 1);
      if (feature == 3) value = std::round(value * 4) / 4;
      if (feature == 4 && random() % 3 != 0) value = 0;
      if (feature == 5) value = static_cast<double>(random() % 12);
      if (feature == 6) value = static_cast<double>(random() % 70);
      if (with_missing && random() % 7 == 0) value = kNaN;
      matrix.push_back(value);
    }
  }
  return matrix;
}

inline std::vector<float> Labels(const std::vector<double>& matrix, const Case& test,
                                 uint32_t seed) {
  std::mt19937 random(seed);
  const int targets = test.Number("targets", 1);
  std::vector<float> labels;
  for (size_t row = 0; row * kFeatures < matrix.size(); ++row) {
    const double* x = &matrix[row * kFeatures];
    const auto or_zero = [](double value) { return std::isnan(value) ? 0.3 : value; };
    for (int target = 0; target < targets; ++target) {
      double y = or_zero(x[target]) * (target == 1 ? 1e-6 : 1) + (std::isnan(x[4]) ? 1 : 0);
      if (or_zero(x[5]) == 3 || or_zero(x[5]) == 7) y += 2;
      y += static_cast<int>(or_zero(x[6])) % 5 * 0.3 + static_cast<double>(random() % 100) * 0.01;
      if (test.Has("objective=multi") || test.Has("objective=rank:pair") ||
          test.Has("objective=rank:ndcg")) {
        y = std::min(3, std::abs(static_cast<int>(y)));
      } else if (test.Has("objective=binary") || test.Has("objective=rank:map")) {
        y = y > 0.8 ? 1 : 0;
      } else if (test.Has("objective=reg:logistic")) {
        y = 1 / (1 + std::exp(-y));
      } else if (test.Has("objective=survival:cox")) {
        y = (std::fabs(y) + 0.1) * (random() % 4 == 0 ? -1 : 1);
      } else if (test.Has("objective=count") || test.Has("objective=reg:gamma") ||
                 test.Has("objective=reg:tweedie") || test.Has("objective=reg:squaredlog") ||
                 test.Has("objective=survival")) {
        y = std::fabs(y) + 0.1;
      }
      labels.push_back(static_cast<float>(y));
    }
  }
  return labels;
}

class Matrix {
 public:
  Matrix(const Library& lib, const std::vector<double>& values, bool categories) : lib_(lib) {
    EXPECT_EQ(lib.matrix_from_dense(ArrayInterface(values, kFeatures).c_str(),
                                    R"({"missing":NaN,"nthread":1})", &handle_),
              0)
        << lib.last_error();
    if (!categories) return;
    const char* types[] = {"q", "q", "q", "q", "q", "c", "c"};
    EXPECT_EQ(lib.set_feature_info(handle_, "feature_type", types, kFeatures), 0)
        << lib.last_error();
  }
  Matrix(const Matrix&) = delete;
  Matrix& operator=(const Matrix&) = delete;
  ~Matrix() { lib_.matrix_free(handle_); }
  void* handle() const { return handle_; }

 private:
  const Library& lib_;
  void* handle_ = nullptr;
};

struct Saved {
  std::string json, ubj;
};

inline std::string SaveAs(const Library& lib, void* booster, const char* config) {
  uint64_t size = 0;
  const char* bytes = nullptr;
  EXPECT_EQ(lib.save(booster, config, &size, &bytes), 0) << lib.last_error();
  return {bytes, size};
}

inline Saved Train(const Library& lib, const Case& test, const std::vector<double>& matrix,
                   const std::vector<float>& labels) {
  const Matrix data(lib, matrix, test.Has("cat"));
  const size_t targets = static_cast<size_t>(test.Number("targets", 1));
  const auto set = [&](const char* field, const std::string& array) {
    EXPECT_EQ(lib.set_info(data.handle(), field, array.c_str()), 0) << lib.last_error();
  };
  if (test.Has("objective=survival:aft")) {
    set("label_lower_bound", ArrayInterface(labels, 1));
    set("label_upper_bound", ArrayInterface(labels, 1));
  } else {
    set("label", ArrayInterface(labels, targets));
  }
  const std::vector<uint32_t> groups(labels.size() / 20, 20);
  if (test.Has("objective=rank")) set("group", ArrayInterface(groups, 1));
  void* booster = nullptr;
  void* const matrices[] = {data.handle()};
  EXPECT_EQ(lib.create(matrices, 1, &booster), 0) << lib.last_error();
  const auto parameter = [&](const std::string& name, const std::string& value) {
    EXPECT_EQ(lib.set_param(booster, name.c_str(), value.c_str()), 0) << lib.last_error();
  };
  parameter("nthread", "1");
  parameter("verbosity", "0");
  parameter("seed", "7");
  size_t begin = 0;
  while (begin < test.words.size()) {
    const size_t end = std::min(test.words.find(' ', begin), test.words.size());
    const std::string word = test.words.substr(begin, end - begin);
    begin = end + 1;
    const size_t equals = word.find('=');
    if (equals == std::string::npos || word.starts_with("rounds=") || word.starts_with("targets="))
      continue;
    parameter(word.substr(0, equals), word.substr(equals + 1));
  }
  const int rounds = test.Number("rounds", 6);
  for (int round = 0; round < rounds; ++round)
    EXPECT_EQ(lib.update(booster, round, data.handle()), 0) << lib.last_error();
  EXPECT_EQ(lib.set_attribute(booster, "best_iteration", "2"), 0);
  Saved saved = {SaveAs(lib, booster, R"({"format":"json"})"),
                 SaveAs(lib, booster, R"({"format":"ubj"})")};
  lib.free(booster);
  return saved;
}

// What the library answers with the model it loads from `model`: from a DMatrix, or, `in_place`,
// from the array itself, which may hold infinities.
inline std::vector<double> LibraryScores(const Library& lib, const std::string& model,
                                         const std::vector<double>& matrix, bool categories,
                                         bool margin, bool in_place) {
  void* booster = nullptr;
  EXPECT_EQ(lib.create(nullptr, 0, &booster), 0) << lib.last_error();
  EXPECT_EQ(lib.load(booster, model.data(), model.size()), 0) << lib.last_error();
  EXPECT_EQ(lib.set_param(booster, "nthread", "1"), 0);
  const std::string config = fmt::format(
      R"({{"type":{},"training":false,"iteration_begin":0,"iteration_end":0,"strict_shape":true,)"
      R"("missing":NaN,"cache_id":0}})",
      margin ? 1 : 0);
  const uint64_t* shape = nullptr;
  uint64_t dimensions = 0;
  const float* scores = nullptr;
  std::vector<double> all;
  const auto keep = [&](int failed) {
    EXPECT_EQ(failed, 0) << lib.last_error();
    if (failed != 0) return;
    size_t count = 1;
    for (uint64_t i = 0; i < dimensions; ++i) count *= shape[i];
    all.assign(scores, scores + count);
  };
  if (in_place) {
    keep(lib.predict_dense(booster, ArrayInterface(matrix, kFeatures).c_str(), config.c_str(),
                           nullptr, &shape, &dimensions, &scores));
  } else {
    const Matrix data(lib, matrix, categories);
    keep(lib.predict(booster, data.handle(), config.c_str(), &shape, &dimensions, &scores));
  }
  lib.free(booster);
  return all;
}

}  // namespace slipway::xgboost_for_test
