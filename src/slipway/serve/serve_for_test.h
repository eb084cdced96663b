// A package with small models and a table, loaded; and a node's parts around it with requests in
// process, for the tests and the fuzzer of this module.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "slipway/base/file.h"
#include "slipway/base/json.h"
#include "slipway/bundle/model_for_test.h"
#include "slipway/lookup/lookup_table.h"
#include "slipway/package/package.h"
#include "slipway/serve/generation.h"
#include "slipway/serve/node.h"

namespace slipway {

// shop (1, 2, 2, 3) -> size, kind, opened; shop 2 stands twice.
inline void WriteShopsForTest(const std::string& path) {
  const Schema schema{{{"shop", Type::kInt64},
                       {"size", Type::kDouble},
                       {"kind", Type::kString},
                       {"opened", Type::kDate}}};
  OwnedBatch batch(schema);
  batch.rows = 4;
  const int64_t shops[] = {1, 2, 2, 3};
  const double sizes[] = {1, 5, 6, 0};
  const char* const kinds[] = {"green", "red", "blue", ""};
  for (int row = 0; row < batch.rows; ++row) {
    batch.column(0).ints()[row] = shops[row];
    batch.column(1).doubles()[row] = sizes[row];
    batch.column(2).strings()[row] = kinds[row];
    batch.column(3).dates()[row] = row;
    for (int i = 0; i < schema.size(); ++i) batch.column(i).SetValid(row);
  }
  batch.column(1).SetNull(3);
  batch.column(2).SetNull(3);
  auto writer = LookupTableWriter::Make(schema, {"shop"});
  ASSERT_TRUE(writer.ok()) << writer.error().message;
  ASSERT_TRUE((*writer)->Add(batch.View()).ok());
  ASSERT_TRUE((*writer)->Finish(path).ok());
}

inline TableUse ShopsForTest() {
  TableUse use;
  use.part = "shops.table";
  use.table = "shops";
  use.keys = {{"shop", "shop_id"}};
  use.columns = {{"size", "size"}, {"kind", "kind"}};
  return use;
}

// Endpoints: "sold" (binary, from a bundle, with a filter on size), "bare" (regression, a model
// file), "enriched" (as sold, shops fill size and kind), "shops" (lookup).
inline PackageManifest ServedManifestForTest(const std::string& id) {
  PackageManifest manifest;
  manifest.service = "shop";
  manifest.id = id;
  manifest.created_at = "2026-01-02T03:04:05Z";
  manifest.created_by = "ann";
  PackageEndpoint sold;
  sold.id = "sold";
  sold.model_part = "sold.bundle";
  sold.model = "SHOP/sold@3";
  sold.explanations = 2;
  PackageEndpoint bare;
  bare.id = "bare";
  bare.model_part = "bare.txt";
  PackageEndpoint enriched = sold;
  enriched.id = "enriched";
  enriched.enrichments = {ShopsForTest()};
  enriched.enrichments[0].no_match = LookupPolicy::kIgnore;
  enriched.enrichments[0].several_matches = LookupPolicy::kError;
  PackageEndpoint shops;
  shops.id = "shops";
  shops.type = EndpointType::kLookup;
  shops.tables = {ShopsForTest()};
  shops.tables[0].columns.push_back({"opened", "since"});
  manifest.endpoints = {sold, bare, enriched, shops};
  return manifest;
}

// The bundle's content with what explanations need of a model: counts.
inline BundleContent ServedContentForTest() {
  BundleContent content = TestContent();
  const size_t at = content.model_text.find("cat_boundaries");
  content.model_text.insert(at,
                            "leaf_weight=1 1 1\nleaf_count=4 3 5\ninternal_value=0 0\n"
                            "internal_weight=2 1\ninternal_count=12 7\n");
  return content;
}

class ServedPackageForTest {
 public:
  explicit ServedPackageForTest(PackageManifest manifest = ServedManifestForTest("v1"))
      : folder_(*TempDir::Make()) {
    EXPECT_TRUE(WriteBundle(folder_.File("sold"), ServedContentForTest()).ok());
    EXPECT_TRUE(WriteFileAtomic(folder_.File("bare"), TestModelText("regression")).ok());
    WriteShopsForTest(folder_.File("shops"));
    PackageContent content;
    content.files = {{"sold.bundle", folder_.File("sold")},
                     {"bare.txt", folder_.File("bare")},
                     {"shops.table", folder_.File("shops")}};
    content.openapi = Json{{"openapi", "3.1.0"}};
    content.test_queries =
        Json::array({Json{{"endpoint", "bare"},
                          {"name", "small"},
                          {"request", {{"features", {{"size", 1}, {"kind", 1}}}}},
                          {"expected", {{"prediction", 0.25}}},
                          {"tolerance", 0}},
                     Json{{"endpoint", "shops"},
                          {"name", "first"},
                          {"request", {{"data", {{"shop_id", 1}}}}},
                          {"expected", {{"kind", "green"}}},
                          {"tolerance", 0}}});
    content.manifest = std::move(manifest);
    const Status written = WritePackage(zip(), content);
    EXPECT_TRUE(written.ok()) << written.error().message;
    const Result<PackageManifest> unpacked = UnpackPackage(zip(), unpacked_folder());
    EXPECT_TRUE(unpacked.ok()) << unpacked.error().message;
  }
  std::string zip() const { return folder_.File("package.zip"); }
  std::string unpacked_folder() const { return folder_.File("unpacked"); }
  std::string bundle() const { return folder_.File("sold"); }
  std::shared_ptr<const Generation> Load() const {
    Result<std::shared_ptr<const Generation>> generation = Generation::Load(unpacked_folder());
    EXPECT_TRUE(generation.ok()) << generation.error().message;
    return generation.ok() ? *generation : nullptr;
  }

 private:
  TempDir folder_;
};

// An answer of an endpoint, alone.
struct EndpointAnswerForTest {
  std::string text;  // with braces
  CallOutcome outcome;
};
inline EndpointAnswerForTest AskEndpoint(const ServedEndpoint& endpoint, Verb verb,
                                         std::string input, int64_t max_records = 0,
                                         EndpointScratch* scratch = nullptr, bool log = false) {
  const size_t size = input.size();
  input.append(kHttpPadding, '}');
  EndpointCall call;
  call.verb = verb;
  call.input = std::string_view(input).substr(0, size);
  call.max_records = max_records;
  std::unique_ptr<EndpointScratch> own;
  if (scratch == nullptr) own = endpoint.MakeScratch();
  EndpointAnswerForTest answer;
  answer.text = "{";
  endpoint.Answer(call, scratch != nullptr ? scratch : own.get(), &answer.text, log,
                  &answer.outcome);
  answer.text += "}";
  return answer;
}

// A request of the user API in process, with everything that its views point to.
struct UserRequestForTest {
  std::string method = "POST", path, query, body;
  std::vector<std::pair<std::string, std::string>> headers;
};

// Answers inline and deferred requests alike; Wait() gives the reply.
class ExchangeForTest : public HttpExchange {
 public:
  explicit ExchangeForTest(UserRequestForTest asked) : asked_(std::move(asked)) {
    body_size_ = asked_.body.size();
    asked_.body.append(kHttpPadding, '}');
    for (const auto& [name, value] : asked_.headers) headers_.push_back({name, value});
    request_.method = asked_.method;
    request_.path = asked_.path;
    request_.query = asked_.query;
    request_.headers = headers_;
    request_.body = std::string_view(asked_.body).substr(0, body_size_);
    request_.remote = "127.0.0.1";
    request_.remote_is_loopback = true;
  }
  int loop() const override { return 0; }
  std::unique_ptr<HttpPending> Defer() override {
    deferred_ = true;
    return std::make_unique<Pending>(this);
  }
  const HttpRequest& request() const { return request_; }
  HttpReply& reply() { return reply_; }
  bool deferred() const { return deferred_; }
  void Wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    sent_cv_.wait(lock, [&] { return sent_ || !deferred_; });
  }

 private:
  class Pending : public HttpPending {
   public:
    explicit Pending(ExchangeForTest* exchange) : exchange_(exchange) {}
    const HttpRequest& request() const override { return exchange_->request_; }
    HttpReply* reply() override { return &exchange_->reply_; }
    bool abandoned() const override { return false; }
    void Send() override {
      const std::lock_guard<std::mutex> lock(exchange_->mutex_);
      exchange_->sent_ = true;
      exchange_->sent_cv_.notify_all();
    }
    std::shared_ptr<HttpStream> SendStream() override {
      Send();  // the node's API streams nothing
      return nullptr;
    }

   private:
    ExchangeForTest* exchange_;
  };

  UserRequestForTest asked_;
  size_t body_size_ = 0;
  std::vector<HttpHeader> headers_;
  HttpRequest request_;
  HttpReply reply_;
  std::mutex mutex_;
  std::condition_variable sent_cv_;
  bool deferred_ = false, sent_ = false;
};

}  // namespace slipway
