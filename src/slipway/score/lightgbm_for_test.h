// LightGBM itself, for tests: models of every kind are trained in this process through its C API
// and saved as text, and asked about adversarial rows.
#pragma once

#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <dlfcn.h>

#include <LightGBM/c_api.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "slipway/forest/forest.h"

namespace slipway::lightgbm_for_test {

// LightGBM's C API, loaded once. `create` is null when the library is not there.
struct Library {
  decltype(&LGBM_DatasetCreateFromMat) dataset_create = nullptr;
  decltype(&LGBM_DatasetSetField) dataset_set_field = nullptr;
  decltype(&LGBM_DatasetFree) dataset_free = nullptr;
  decltype(&LGBM_BoosterCreate) create = nullptr;
  decltype(&LGBM_BoosterFree) free = nullptr;
  decltype(&LGBM_BoosterUpdateOneIter) update = nullptr;
  decltype(&LGBM_BoosterSaveModelToString) save = nullptr;
  decltype(&LGBM_BoosterLoadModelFromString) load = nullptr;
  decltype(&LGBM_BoosterPredictForMat) predict = nullptr;
  decltype(&LGBM_GetLastError) last_error = nullptr;
};

inline const Library& LoadLibrary() {
  static const Library library = [] {
    Library loaded;
    const char* folder = std::getenv("SLIPWAY_LIB_DIR");
    if (folder == nullptr) return loaded;
    void* handle =
        dlopen((std::string(folder) + "/lib_lightgbm.so").c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) return loaded;
    const auto get = [handle](auto* function, const char* name) {
      *function = reinterpret_cast<std::remove_pointer_t<decltype(function)>>(dlsym(handle, name));
    };
    get(&loaded.dataset_create, "LGBM_DatasetCreateFromMat");
    get(&loaded.dataset_set_field, "LGBM_DatasetSetField");
    get(&loaded.dataset_free, "LGBM_DatasetFree");
    get(&loaded.create, "LGBM_BoosterCreate");
    get(&loaded.free, "LGBM_BoosterFree");
    get(&loaded.update, "LGBM_BoosterUpdateOneIter");
    get(&loaded.save, "LGBM_BoosterSaveModelToString");
    get(&loaded.load, "LGBM_BoosterLoadModelFromString");
    get(&loaded.predict, "LGBM_BoosterPredictForMat");
    get(&loaded.last_error, "LGBM_GetLastError");
    return loaded;
  }();
  return library;
}

inline constexpr int kFeatures = 7;  // 0..3 numeric, 4 mostly zero, 5 and 6 small whole numbers
inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
inline constexpr double kInf = std::numeric_limits<double>::infinity();

struct Case {
  std::string name;
  std::string parameters;
  int rounds = 8;
};

inline std::vector<double> TrainingRows(int rows, uint32_t seed, bool with_missing) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  std::vector<double> matrix;
  for (int row = 0; row < rows; ++row) {
    for (int feature = 0; feature < kFeatures; ++feature) {
      double value = normal(random) * (feature == 1 ? 1e6 : feature == 2 ? 1e-30 : 1);
      if (feature == 4 && random() % 3 != 0) value = 0;
      if (feature == 5) value = static_cast<double>(random() % 12);
      if (feature == 6) value = static_cast<double>(random() % 90);
      if (with_missing && random() % 7 == 0) value = kNaN;
      matrix.push_back(value);
    }
  }
  return matrix;
}

inline std::vector<float> Labels(const std::vector<double>& matrix, const Case& test,
                                 uint32_t seed) {
  std::mt19937 random(seed);
  const auto has = [&](const char* text) {
    return test.parameters.find(text) != std::string::npos;
  };
  std::vector<float> labels;
  for (size_t row = 0; row * kFeatures < matrix.size(); ++row) {
    const double* x = &matrix[row * kFeatures];
    const auto or_zero = [](double value) { return std::isnan(value) ? 0.3 : value; };
    double y = or_zero(x[0]) + or_zero(x[1]) * 1e-6 * or_zero(x[3]) + (std::isnan(x[4]) ? 1 : 0);
    if (or_zero(x[5]) == 3 || or_zero(x[5]) == 7) y += 2;
    y += static_cast<int>(or_zero(x[6])) % 5 * 0.3 + static_cast<double>(random() % 100) * 0.01;
    if (has("multiclass")) {
      labels.push_back(static_cast<float>(std::min(3, std::abs(static_cast<int>(y)))));
    } else if (has("objective=binary")) {
      labels.push_back(y > 0.5 ? 1.0F : 0.0F);
    } else if (has("cross_entropy")) {
      labels.push_back(static_cast<float>(1 / (1 + std::exp(-y))));
    } else if (has("rank")) {
      labels.push_back(static_cast<float>(std::min(3, std::abs(static_cast<int>(y)))));
    } else if (has("poisson") || has("gamma") || has("tweedie")) {
      labels.push_back(static_cast<float>(std::abs(y) + 0.01));
    } else {
      labels.push_back(static_cast<float>(y));
    }
  }
  return labels;
}

inline std::string Train(const Library& lib, const Case& test, const std::vector<double>& matrix,
                         const std::vector<float>& labels) {
  const int rows = static_cast<int>(labels.size());
  const std::string parameters =
      test.parameters +  // of a setting that stands twice, the first counts
      " verbosity=-1 num_threads=1 deterministic=true min_data_in_leaf=5 min_data_per_group=5 "
      "cat_smooth=1";
  DatasetHandle data = nullptr;
  if (lib.dataset_create(matrix.data(), C_API_DTYPE_FLOAT64, rows, kFeatures, 1, parameters.c_str(),
                         nullptr, &data) != 0) {
    ADD_FAILURE() << lib.last_error();
    return "";
  }
  EXPECT_EQ(lib.dataset_set_field(data, "label", labels.data(), rows, C_API_DTYPE_FLOAT32), 0);
  if (test.parameters.find("rank") != std::string::npos) {
    const std::vector<int32_t> groups(static_cast<size_t>(rows / 20), 20);
    EXPECT_EQ(lib.dataset_set_field(data, "group", groups.data(), static_cast<int>(groups.size()),
                                    C_API_DTYPE_INT32),
              0);
  }
  BoosterHandle booster = nullptr;
  EXPECT_EQ(lib.create(data, parameters.c_str(), &booster), 0) << lib.last_error();
  int finished = 0;
  for (int i = 0; i < test.rounds && finished == 0; ++i)
    EXPECT_EQ(lib.update(booster, &finished), 0) << lib.last_error();
  int64_t size = 0;
  std::string text(1 << 20, '\0');
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(lib.save(booster, 0, -1, 0, static_cast<int64_t>(text.size()), &size, text.data()),
              0);
    if (size <= static_cast<int64_t>(text.size())) break;
    text.resize(static_cast<size_t>(size));
  }
  text.resize(static_cast<size_t>(size) - 1);  // its terminating zero
  lib.free(booster);
  lib.dataset_free(data);
  return text;
}

// Rows at the edges: every feature takes the thresholds themselves, their neighbours, all kinds of
// missing and odd values.
inline std::vector<double> AdversarialRows(const Forest& forest, uint32_t seed, int rows) {
  std::vector<std::vector<double>> values(kFeatures);
  const double special[] = {kNaN,
                            kInf,
                            -kInf,
                            0.0,
                            -0.0,
                            5e-324,
                            -5e-324,
                            1e-310,
                            1e-36,
                            -1e-36,
                            double{1e-35f},
                            -double{1e-35f},
                            1.1e-35,
                            -1.1e-35,
                            1,
                            -1,
                            -0.5,
                            0.5,
                            2.5,
                            3,
                            3.999,
                            7,
                            11,
                            12,
                            31,
                            32,
                            33,
                            63,
                            64,
                            95,
                            96,
                            1000,
                            2147483647,
                            2147483648.0,
                            2147483648.5,
                            4294967296.0,
                            4294967303.0,
                            -2147483649.0,
                            1e18,
                            -1e18,
                            1e300,
                            -1e300,
                            1.7976931348623157e308,
                            -3};
  for (std::vector<double>& list : values) list.assign(std::begin(special), std::end(special));
  for (const Tree& tree : forest.trees) {
    for (size_t i = 0; i < tree.threshold.size(); ++i) {
      std::vector<double>& list = values[static_cast<size_t>(tree.split_feature[i])];
      const double t = tree.threshold[i];
      for (const double v : {t, std::nextafter(t, kInf), std::nextafter(t, -kInf)})
        list.push_back(v);
    }
  }
  std::mt19937 random(seed);
  std::vector<double> matrix = TrainingRows(rows, seed, true);
  for (size_t i = 0; i < matrix.size(); ++i) {
    const std::vector<double>& list = values[i % kFeatures];
    if (random() % 3 != 0) matrix[i] = list[random() % list.size()];
  }
  return matrix;
}

inline std::vector<double> LibraryScores(const Library& lib, const std::string& text,
                                         const std::vector<double>& matrix, int predict_type,
                                         int outputs) {
  BoosterHandle booster = nullptr;
  int iterations = 0;
  EXPECT_EQ(lib.load(text.c_str(), &iterations, &booster), 0) << lib.last_error();
  const int rows = static_cast<int>(matrix.size() / kFeatures);
  std::vector<double> scores(static_cast<size_t>(rows * outputs));
  int64_t length = 0;
  EXPECT_EQ(lib.predict(booster, matrix.data(), C_API_DTYPE_FLOAT64, rows, kFeatures, 1,
                        predict_type, 0, -1, "num_threads=1", &length, scores.data()),
            0)
      << lib.last_error();
  EXPECT_EQ(length, static_cast<int64_t>(scores.size()));
  lib.free(booster);
  return scores;
}

inline std::vector<Case> Cases() {
  std::vector<Case> cases;
  const auto add = [&](std::string parameters, int rounds = 8) {
    cases.push_back({parameters, parameters, rounds});
  };
  for (const char* objective : {"regression",
                                "regression_l1",
                                "huber",
                                "fair",
                                "quantile",
                                "mape",
                                "poisson",
                                "gamma",
                                "tweedie",
                                "regression reg_sqrt=true",
                                "quantile reg_sqrt=true",
                                "huber reg_sqrt=true",
                                "binary",
                                "binary sigmoid=0.7",
                                "binary sigmoid=1.37",
                                "cross_entropy",
                                "cross_entropy_lambda",
                                "lambdarank",
                                "rank_xendcg",
                                "multiclass num_class=4",
                                "multiclassova num_class=4 sigmoid=0.35"}) {
    const std::string base = fmt::format("objective={}", objective);
    add(base);
    add(base + " categorical_feature=5,6 zero_as_missing=true");
  }
  for (const char* objective : {"regression", "binary", "multiclass num_class=4"}) {
    const std::string base = fmt::format("objective={}", objective);
    add(base + " use_missing=false categorical_feature=5");
    add(base + " boosting=dart drop_rate=0.5", 12);
    add(base + " boosting=rf bagging_fraction=0.6 bagging_freq=1 categorical_feature=6");
    add(base + " categorical_feature=5,6 max_cat_to_onehot=1 max_bin=255", 20);
    add(base + " categorical_feature=5,6 max_cat_to_onehot=64");
    add(base + " max_bin=15 num_leaves=4");
    add(base + " num_leaves=127 min_data_in_leaf=1", 15);
    add(base + " min_data_in_leaf=100000");  // single leaves
    add(base + " boosting=goss extra_trees=true dense");
  }
  for (const char* extra :
       {"", " categorical_feature=5,6", " num_leaves=3", " linear_lambda=0.1"}) {
    add(fmt::format("objective=regression linear_tree=true{}", extra));
    add(fmt::format("objective=binary linear_tree=true{}", extra));
  }
  return cases;
}

}  // namespace slipway::lightgbm_for_test
