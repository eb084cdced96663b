// Packages small enough to make by the dozen: one endpoint "bare" whose answer to size 1 tells the
// generation.
#pragma once

#include <string>

#include <gtest/gtest.h>

#include "slipway/base/file.h"
#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/bundle/model_for_test.h"
#include "slipway/package/package.h"
#include "slipway/serve/node_state.h"

namespace slipway {

struct SmallPackage {
  std::string id = "v1", service = "shop";
  double answer = 0.25;
  double expected = 0.25;  // what its test query wants; another one than `answer`: a bad package
};

inline std::string MakeSmallPackage(const TempDir& folder, const SmallPackage& wanted) {
  std::string model = TestModelText("regression");
  const std::string leaf = "leaf_value=0.25";
  model.replace(model.find(leaf), leaf.size(), "leaf_value=" + FormatDouble(wanted.answer));
  const std::string stem = wanted.service + "-" + wanted.id + "-" + FormatDouble(wanted.answer);
  EXPECT_TRUE(WriteFileAtomic(folder.File(stem + ".txt"), model).ok());
  PackageContent content;
  content.manifest.service = wanted.service;
  content.manifest.id = wanted.id;
  content.manifest.created_at = "2026-01-02T03:04:05Z";
  content.manifest.created_by = "ann";
  PackageEndpoint bare;
  bare.id = "bare";
  bare.model_part = "bare.txt";
  content.manifest.endpoints = {bare};
  content.files = {{"bare.txt", folder.File(stem + ".txt")}};
  content.openapi = Json{{"openapi", "3.1.0"}};
  content.test_queries = Json::array({Json{{"endpoint", "bare"},
                                           {"name", "small"},
                                           {"request", {{"features", {{"size", 1}, {"kind", 1}}}}},
                                           {"expected", {{"prediction", wanted.expected}}},
                                           {"tolerance", 0}}});
  const std::string path = folder.File(stem + ".zip");
  const Status written = WritePackage(path, content);
  EXPECT_TRUE(written.ok()) << written.error().message;
  return path;
}

inline std::unique_ptr<NodeState> OpenNodeState(const std::string& home) {
  Result<std::unique_ptr<NodeState>> state = NodeState::Open(home, nullptr);
  EXPECT_TRUE(state.ok()) << (state.ok() ? "" : state.error().message);
  return state.ok() ? *std::move(state) : nullptr;
}

// "v1=0.5 v2=0.5" of what is published: what traffic meets.
inline std::string PublishedMapping(const NodeState& state, const std::string& service) {
  const auto table = state.tables().Get();
  const ServedService* served = table->Find(service);
  if (served == nullptr) return "no such service";
  std::string out = served->enabled ? "" : "disabled";
  for (const ServedGeneration& each : served->generations) {
    if (!out.empty()) out += " ";
    out += each.generation->id() + "=" + FormatDouble(each.probability);
  }
  return out;
}

#define ASSERT_STATUS(expression)                         \
  do {                                                    \
    const Status status_ = (expression);                  \
    ASSERT_TRUE(status_.ok()) << status_.error().message; \
  } while (false)
#define EXPECT_FAILS(expected_code, expression, text)                                     \
  do {                                                                                    \
    const auto result_ = (expression);                                                    \
    ASSERT_FALSE(result_.ok()) << "no error";                                             \
    EXPECT_EQ(result_.error().code, ErrorCode::expected_code) << result_.error().message; \
    EXPECT_NE((result_.error().message + "|" + result_.error().hint).find(text),          \
              std::string::npos)                                                          \
        << result_.error().message << "|" << result_.error().hint;                        \
  } while (false)

}  // namespace slipway
