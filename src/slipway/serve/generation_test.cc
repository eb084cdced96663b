#include "slipway/serve/generation.h"

#include "slipway/serve/generation_reaper.h"
#include "slipway/serve/serve_for_test.h"

namespace slipway {
namespace {

TEST(Generation, LoadsAPackageAndAnswersOneRecord) {
  const ServedPackageForTest package;
  const auto generation = package.Load();
  ASSERT_NE(generation, nullptr);
  EXPECT_EQ(generation->service(), "shop");
  EXPECT_EQ(generation->id(), "v1");
  ASSERT_EQ(generation->endpoint_count(), 4);
  EXPECT_EQ(generation->IndexOf("bare"), 1);
  EXPECT_EQ(generation->Find("other"), nullptr);
  EXPECT_GT(generation->memory_bytes(), 0u);
  EXPECT_GT(generation->mapped_bytes(), 0);

  const ServedEndpoint& bare = *generation->Find("bare");
  EXPECT_EQ(AskEndpoint(bare, Verb::kPredict, R"({"features": {"size": 1, "kind": 1}})").text,
            R"({"result":{"prediction":0.25,"ignored":false}})");
}

TEST(Generation, ItsTestQueriesRun) {
  const ServedPackageForTest package;
  const auto generation = package.Load();
  const std::vector<TestOutcome> outcomes = generation->RunTestQueries();
  ASSERT_EQ(outcomes.size(), 2u);
  for (const TestOutcome& outcome : outcomes) EXPECT_TRUE(outcome.ok) << outcome.difference;
  EXPECT_EQ(outcomes[0].answer["prediction"], 0.25);
  EXPECT_EQ(outcomes[1].answer["since"], "1970-01-01");
  EXPECT_EQ(generation->RunTestQueries("shops").size(), 1u);
}

TEST(Generation, AMissingTableOrABadModelIsNotLoaded) {
  const ServedPackageForTest package;
  ASSERT_TRUE(
      WriteFileAtomic(package.unpacked_folder() + "/bare.txt", TestModelText("binary")).ok());
  EXPECT_FALSE(Generation::Load(package.unpacked_folder()).ok());
  EXPECT_FALSE(Generation::Load("/nowhere").ok());
}

TEST(Generation, ItsMemoryIsCountedAsItIsNow) {
  const ServedPackageForTest package;
  const auto reaper = GenerationReaper::Make();
  auto generation = reaper->Watch(package.Load());
  const int64_t loaded = reaper->counts().alive_bytes;
  EXPECT_EQ(loaded, static_cast<int64_t>(generation->memory_bytes()));
  const EndpointAnswerForTest answer =
      AskEndpoint(*generation->Find("sold"), Verb::kPredict,
                  R"({"features":{"size":1},"explanations":{"enabled":true}})");
  ASSERT_FALSE(answer.outcome.error) << answer.outcome.error->message;
  EXPECT_GT(reaper->counts().alive_bytes, loaded) << "explanations have tables";
  EXPECT_EQ(reaper->counts().alive_bytes, static_cast<int64_t>(generation->memory_bytes()));
  generation.reset();
  reaper->Flush();
  EXPECT_EQ(reaper->counts().alive_bytes, 0);
  EXPECT_EQ(reaper->counts().freed, 1);
}

TEST(Generation, ExplanationsThatAreOnAreMadeWhenItIsLoaded) {
  PackageManifest manifest = ServedManifestForTest("v1");
  manifest.endpoints[0].explain_by_default = true;
  const ServedPackageForTest package(manifest);
  const auto generation = package.Load();
  const size_t loaded = generation->memory_bytes();
  const EndpointAnswerForTest answer =
      AskEndpoint(*generation->Find("sold"), Verb::kPredict, R"({"features":{"size":1}})");
  ASSERT_FALSE(answer.outcome.error);
  EXPECT_THAT(answer.text, ::testing::HasSubstr("explanations"));
  EXPECT_EQ(generation->memory_bytes(), loaded);
}

}  // namespace
}  // namespace slipway
