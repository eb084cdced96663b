#include "slipway/registry/deployments.h"

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "slipway/registry/test_home.h"

namespace slipway {
namespace {

class DeploymentsTest : public ::testing::Test {
 protected:
  DeploymentsTest() : registry(*Registry::OpenForWriting(home.path, "test")) {
    const std::string zip = home.File("a.zip", "package one");
    const Blob blob = *registry->blobs().PutFile(zip);
    EXPECT_TRUE(registry->published().Publish("p", "s", "v1", blob, "{}", "ann").ok());
    EXPECT_TRUE(registry->infras()
                    .Add({"dev", "static", "Development", {}, {{"http://a:1", "the key"}}, "ann"})
                    .ok());
  }
  DeploymentSpec Spec(const std::string& version) {
    DeploymentSpec spec;
    spec.generations = {{version, 1}};
    return spec;
  }
  TestHome home;
  std::unique_ptr<Registry> registry;
};

TEST_F(DeploymentsTest, AKeyedHashIsTheSameInThisHomeAlone) {
  const std::string hash = *registry->secrets().KeyedHash("hunter2");
  EXPECT_EQ(hash.size(), 64u);
  EXPECT_EQ(*registry->secrets().KeyedHash("hunter2"), hash);
  EXPECT_NE(*registry->secrets().KeyedHash("hunter3"), hash);
  ASSERT_TRUE(RemoveAll(registry->home().SecretKeyPath()).ok());
  EXPECT_NE(*registry->secrets().KeyedHash("hunter2"), hash);
}

TEST_F(DeploymentsTest, SecretsAreSealedAndOpenWithTheirRowAndKeyOnly) {
  Secrets& secrets = registry->secrets();
  const int64_t id = *secrets.Put("hunter2");
  EXPECT_EQ(*secrets.Open(id), "hunter2");
  struct stat info{};
  ASSERT_EQ(::stat(registry->home().SecretKeyPath().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  if (!registry->home().shared()) {
    EXPECT_EQ(ReadFile(registry->home().DatabasePath())->find("hunter2"), std::string::npos);
    EXPECT_EQ(ReadFile(registry->home().DatabasePath())->find("the key"), std::string::npos);
  }
  // Moved to another row, or with another key, it does not open.
  const int64_t other = *secrets.Put("swordfish");
  ASSERT_TRUE(registry->database()
                  .Execute("UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE id = ?) "
                           "WHERE id = ?",
                           {id, other})
                  .ok());
  EXPECT_EQ(secrets.Open(other).error().code, ErrorCode::kCorruption);
  ASSERT_TRUE(WriteFileAtomic(registry->home().SecretKeyPath(), std::string(64, 'a')).ok());
  const auto opened = secrets.Open(id);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::kCorruption);
  EXPECT_EQ(opened.error().message.find("hunter2"), std::string::npos);
  // A lost key is replaced by the next secret; what was sealed with the old one stays closed.
  ASSERT_TRUE(RemoveAll(registry->home().SecretKeyPath()).ok());
  EXPECT_EQ(secrets.Open(id).error().code, ErrorCode::kCorruption);
  EXPECT_EQ(*secrets.Open(*secrets.Put("new")), "new");
  EXPECT_EQ(secrets.Open(id).error().code, ErrorCode::kCorruption);
}

TEST_F(DeploymentsTest, TheNameOfADeploymentNamesAFile) {
  for (const std::string& name : {std::string("./../../victim/y"), std::string("with blanks"),
                                  std::string(), std::string(129, 'x')}) {
    const auto made = registry->deployments().Create(name, "s", "dev", Spec("v1"), "ann");
    ASSERT_FALSE(made.ok());
    EXPECT_EQ(made.error().code, ErrorCode::kInvalidArgument);
  }
  EXPECT_TRUE(registry->deployments().Create("s-dev", "s", "dev", Spec("v1"), "ann").ok());
}

TEST_F(DeploymentsTest, PublishedVersionsNeverChangeAndHoldTheirBlob) {
  PublishedServices& published = registry->published();
  const Blob same = *registry->blobs().PutFile(home.File("b.zip", "package one"));
  EXPECT_TRUE(published.Publish("p", "s", "v1", same, "{}", "ann").ok());
  const Blob other = *registry->blobs().PutFile(home.File("c.zip", "package two"));
  EXPECT_EQ(published.Publish("p", "s", "v1", other, "{}", "ann").error().code,
            ErrorCode::kConflict);
  EXPECT_EQ(published.Publish("q", "s", "v2", other, "{}", "ann").error().code,
            ErrorCode::kConflict);
  ASSERT_TRUE(published.Publish("p", "s", "v2", other, "{}", "ann").ok());
  EXPECT_EQ(published.GetVersion("s", "")->version, "v2");
  EXPECT_EQ(published.GetVersion("s", "v3").error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(registry->CollectGarbage(0).ok());
  EXPECT_TRUE(published.Path(*published.GetVersion("s", "v1")).ok());
}

TEST_F(DeploymentsTest, AServiceMayBeMadeBeforeItsVersionsAndBelongsToWhoPublishesFirst) {
  PublishedServices& published = registry->published();
  ASSERT_TRUE(published.Create("", "early", "ann").ok());
  EXPECT_EQ(published.Create("", "early", "ann").error().code, ErrorCode::kConflict);
  EXPECT_EQ(published.Create("p", "s", "ann").error().code, ErrorCode::kConflict);
  EXPECT_EQ(published.GetVersion("early", "").error().code, ErrorCode::kNotFound);
  const Blob blob = *registry->blobs().PutFile(home.File("b.zip", "package two"));
  ASSERT_TRUE(published.Publish("", "early", "v1", blob, "{}", "ann").ok());
  ASSERT_TRUE(published.Publish("p", "early", "v2", blob, "{}", "ann").ok());
  EXPECT_EQ(published.Get("early")->project, "p");
  EXPECT_EQ(published.Publish("q", "early", "v3", blob, "{}", "ann").error().code,
            ErrorCode::kConflict);
}

TEST_F(DeploymentsTest, APublishedServiceGoesWithItsVersionsUnlessItIsDeployed) {
  PublishedServices& published = registry->published();
  ASSERT_TRUE(registry->deployments().Create("d", "s", "dev", Spec("v1"), "ann").ok());
  EXPECT_EQ(published.Delete("s").error().code, ErrorCode::kConflict);
  ASSERT_TRUE(registry->deployments().Delete("d").ok());
  ASSERT_TRUE(published.Delete("s").ok());
  EXPECT_EQ(published.Get("s").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(published.Delete("s").error().code, ErrorCode::kNotFound);
}

TEST_F(DeploymentsTest, AKeyStaysWithTheUrlThatItWasGivenFor) {
  Infras& infras = registry->infras();
  const int64_t key = *infras.Get("dev")->nodes[0].key_secret;
  // A node more, before it: the stored key stays, the new one is sealed.
  ASSERT_TRUE(infras.SetNodes("dev", {{"http://b:1", "other key"}, {"http://a:1", {}}}).ok());
  auto nodes = infras.Get("dev")->nodes;
  ASSERT_EQ(nodes.size(), 2u);
  EXPECT_EQ(registry->secrets().Open(*nodes[0].key_secret).value(), "other key");
  EXPECT_EQ(nodes[1].key_secret, key);
  // Another address never gets it, and what nobody needs is gone.
  ASSERT_TRUE(infras.SetNodes("dev", {{"http://c:1", {}}}).ok());
  EXPECT_FALSE(infras.Get("dev")->nodes[0].key_secret.has_value());
  EXPECT_FALSE(registry->secrets().Open(key).ok());
  // "" takes the key away; the list may be empty.
  ASSERT_TRUE(infras.SetNodes("dev", {{"http://c:1", "k"}}).ok());
  ASSERT_TRUE(infras.SetNodes("dev", {{"http://c:1", ""}}).ok());
  EXPECT_FALSE(infras.Get("dev")->nodes[0].key_secret.has_value());
  ASSERT_TRUE(infras.SetNodes("dev", {}).ok());
  EXPECT_TRUE(infras.Get("dev")->nodes.empty());
}

TEST_F(DeploymentsTest, NodesOfAnotherInfrastructureAreRefused) {
  Infras& infras = registry->infras();
  ASSERT_TRUE(infras.Add({"prod", "static", "Production", {}, {{"http://p:1", ""}}, "ann"}).ok());
  EXPECT_EQ(infras.SetNodes("dev", {{"http://p:1", {}}}).error().code, ErrorCode::kConflict);
  EXPECT_EQ(infras.SetNodes("dev", {{"http://x:1", {}}, {"http://x:1", {}}}).error().code,
            ErrorCode::kConflict);
  EXPECT_EQ(infras.SetNodes("none", {}).error().code, ErrorCode::kNotFound);
  // Nothing of a refused change is there.
  EXPECT_EQ(infras.Get("dev")->nodes[0].url, "http://a:1");
  EXPECT_TRUE(infras.Get("dev")->nodes[0].key_secret.has_value());
}

TEST_F(DeploymentsTest, InfrastructuresKeepTheirStageNodesAndDeployments) {
  Infras& infras = registry->infras();
  EXPECT_EQ(infras.Stages()->size(), 3u);
  EXPECT_EQ(infras.Add({"x", "static", "Testing", {}, {{"http://b:1", ""}}, "ann"}).error().code,
            ErrorCode::kNotFound);
  EXPECT_EQ(infras.Add({"x", "static", "Test", {}, {{"http://a:1", ""}}, "ann"}).error().code,
            ErrorCode::kConflict);
  EXPECT_FALSE(infras.SetStages({{"Test", ""}}).ok());
  ASSERT_TRUE(infras.SetStages({{"Try", ""}, {"Development", "for all"}}).ok());
  EXPECT_EQ((*infras.Stages())[0].name, "Try");
  ASSERT_TRUE(registry->deployments().Create("d", "s", "dev", Spec("v1"), "ann").ok());
  EXPECT_EQ(infras.Delete("dev").error().code, ErrorCode::kConflict);
  ASSERT_TRUE(registry->deployments().Delete("d").ok());
  ASSERT_TRUE(infras.Delete("dev").ok());
  EXPECT_EQ((*registry->database().Query("SELECT count(*) FROM secrets"))[0].Int(0), 0);
}

TEST_F(DeploymentsTest, UpdatesAreOneAtATimeAndLeaveTheWayBack) {
  Deployments& deployments = registry->deployments();
  ASSERT_TRUE(deployments.Create("d", "s", "dev", Spec("v1"), "ann").ok());
  EXPECT_EQ(deployments.Create("e", "s", "dev", Spec("v1"), "ann").error().code,
            ErrorCode::kConflict);
  const int64_t first = *deployments.BeginUpdate("d", "update", "ann", {}, Spec("v1"), 1);
  EXPECT_EQ(deployments.BeginUpdate("d", "update", "bob", {}, Spec("v2"), 1).error().code,
            ErrorCode::kConflict);
  ASSERT_TRUE(deployments.AppendLog(first, "one line").ok());
  ASSERT_TRUE(deployments.EndUpdate(first, "done", {}, Spec("v1")).ok());
  ASSERT_TRUE(deployments.SetDesired("d", Spec("v2")).ok());
  const int64_t second = *deployments.BeginUpdate("d", "update", "ann", Spec("v1"), Spec("v2"), 1);
  ASSERT_TRUE(deployments.EndUpdate(second, "done", {}, Spec("v2")).ok());
  // Disabling and enabling are not what a rollback takes back.
  for (const bool enabled : {false, true}) {
    DeploymentSpec same = Spec("v2");
    same.enabled = enabled;
    const int64_t off = *deployments.BeginUpdate("d", "disable", "ann", Spec("v2"), same, 1,
                                                 "job-000007", Spec("v2"));
    ASSERT_TRUE(deployments.EndUpdate(off, "done", {}, same).ok());
    EXPECT_EQ(deployments.Get("d")->applied->enabled, enabled);
    EXPECT_EQ(DescribeSpec(*deployments.Get("d")->previous), "v1");
    EXPECT_EQ(deployments.Updates("d", 1)->front().job, "job-000007");
    EXPECT_EQ(DescribeSpec(deployments.Updates("d", 1)->front().saved.value()), "v2");
  }
  DeploymentRecord record = *deployments.Get("d");
  EXPECT_EQ(record.state, "deployed");
  EXPECT_EQ(DescribeSpec(*record.applied), "v2");
  EXPECT_EQ(DescribeSpec(*record.previous), "v1");
  const int64_t third = *deployments.BeginUpdate("d", "update", "ann", Spec("v2"), Spec("v3"), 1);
  ASSERT_TRUE(deployments.EndUpdate(third, "failed", Unavailable("no disk", "buy one"), {}).ok());
  record = *deployments.Get("d");
  EXPECT_EQ(record.state, "failed");
  EXPECT_EQ(record.reason, "no disk");
  EXPECT_EQ(DescribeSpec(*record.applied), "v2");
  const auto updates = *deployments.Updates("d");
  ASSERT_EQ(updates.size(), 5u);
  EXPECT_EQ(updates[0].error->code, ErrorCode::kUnavailable);
  EXPECT_EQ(updates[0].error->hint, "buy one");
  EXPECT_NE(updates[4].log.find(" one line\n"), std::string::npos);
}

TEST_F(DeploymentsTest, UpdatesOfAnEndedProcessAreMarked) {
  Deployments& deployments = registry->deployments();
  ASSERT_TRUE(deployments.Create("d", "s", "dev", Spec("v1"), "ann").ok());
  ASSERT_TRUE(deployments.BeginUpdate("d", "canary", "ann", {}, Spec("v1"), 1).ok());
  const auto marked = *deployments.MarkInterrupted();
  ASSERT_EQ(marked.size(), 1u);
  EXPECT_EQ(marked[0].kind, "canary");
  EXPECT_EQ(deployments.Get("d")->state, "interrupted");
  EXPECT_TRUE(deployments.MarkInterrupted()->empty());
  EXPECT_TRUE(deployments.BeginUpdate("d", "update", "ann", {}, Spec("v1"), 2).ok());
}

TEST_F(DeploymentsTest, EpochsOnlyRise) {
  const int64_t first = *registry->deployments().NextEpoch();
  EXPECT_EQ(*registry->deployments().NextEpoch(), first + 1);
  EXPECT_EQ(*registry->deployments().NextEpoch(100), 101);
  registry.reset();
  registry = *Registry::OpenForWriting(home.path, "test");
  EXPECT_EQ(*registry->deployments().NextEpoch(50), 102);
  EXPECT_EQ(*registry->deployments().SharedEpoch(), 102);
  EXPECT_EQ(*registry->deployments().SharedEpoch(), 102);
}

TEST_F(DeploymentsTest, ActivityIsKeptAtFourResolutionsAndBounded) {
  ActivityLog& log = registry->activity();
  const int64_t start = 1'900'000'800;  // begins a minute
  for (int64_t now = start; now < start + 120; now += 5) {
    ActivityPoint point{"d", "e", "v1", 0, 10, 1, {}};
    // 0.05 to 0.1 ms; at first 5 to 10 ms.
    point.latencies.counts[now == start ? 8 : 2] = 10;
    ASSERT_TRUE(log.Record(now, {&point, 1}).ok());
  }
  const int64_t end = start + 120;
  int64_t resolution = 0;
  EXPECT_EQ(log.Since(start, end, "d", &resolution)->size(), 24u);
  EXPECT_EQ(resolution, 5);
  const auto minutes = *log.Since(end - 7200, end, "", &resolution);
  EXPECT_EQ(resolution, 60);
  ASSERT_EQ(minutes.size(), 2u);
  EXPECT_EQ(minutes[0].requests, 120);
  EXPECT_EQ(minutes[0].errors, 12);
  // Of the requests of the whole minute: 110 of 120 were fast.
  EXPECT_LE(minutes[0].latencies.Quantile(0.9), 0.1);
  EXPECT_GT(minutes[0].latencies.Quantile(0.95), 5);
  EXPECT_LE(minutes[1].latencies.Quantile(0.99), 0.1);
  EXPECT_EQ(minutes[0].latencies.Total(), 120);
  EXPECT_EQ(log.Since(end - 50 * 86'400, end, "d", &resolution)->at(0).requests, 240);
  EXPECT_EQ(resolution, 86'400);
  EXPECT_TRUE(log.Since(start, end, "other", &resolution)->empty());
  ASSERT_TRUE(log.Expire(end + 2 * 3600).ok());
  EXPECT_TRUE(log.Since(start, end, "d", &resolution)->empty());
  EXPECT_EQ(log.Since(end - 7200, end, "d", &resolution)->size(), 2u);
  ASSERT_TRUE(log.Expire(end + 91 * 86'400).ok());
  EXPECT_EQ((*registry->database().Query("SELECT count(*) FROM deployment_activity"))[0].Int(0), 0);
}

}  // namespace
}  // namespace slipway
