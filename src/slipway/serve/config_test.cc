#include "slipway/serve/config.h"

#include <functional>
#include <map>

#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/serve/config_keys.h"

namespace slipway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string PemOf(const std::function<int(BIO*)>& write) {
  BIO* const memory = BIO_new(BIO_s_mem());
  EXPECT_EQ(write(memory), 1);
  char* data = nullptr;
  const auto size = BIO_get_mem_data(memory, &data);
  std::string text(data, static_cast<size_t>(size));
  BIO_free(memory);
  return text;
}

// A certificate signed by itself, and its key.
void WriteKeyPair(const std::string& certificate_file, const std::string& key_file,
                  int seconds = 86'400) {
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  X509* const certificate = X509_new();
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), seconds);
  X509_set_pubkey(certificate, key);
  X509_sign(certificate, key, EVP_sha256());
  const auto text = PemOf([&](BIO* to) { return PEM_write_bio_X509(to, certificate); });
  const auto secret = PemOf([&](BIO* to) {
    return PEM_write_bio_PrivateKey(to, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
  ASSERT_TRUE(WriteFileAtomic(certificate_file, text, 0644).ok());
  ASSERT_TRUE(WriteFileAtomic(key_file, secret, 0600).ok());
  X509_free(certificate);
  EVP_PKEY_free(key);
}

class ConfigTest : public testing::Test {
 protected:
  std::map<std::string, std::string> environment_;

  std::string WriteToml(const std::string& text) {
    const std::string file = dir_.File("apinode.toml");
    EXPECT_TRUE(WriteFileAtomic(file, text).ok());
    return file;
  }
  LoadedNodeConfig LoadAll(const std::string& toml) {
    WriteToml(toml);
    NodeConfig base;
    base.home = dir_.path();
    return LoadNodeConfig(base, {"", environment_});
  }
  // The configuration, or its first error.
  Result<NodeConfig> Load(const std::string& toml) {
    LoadedNodeConfig loaded = LoadAll(toml);
    if (!loaded.errors.empty()) return loaded.errors.front();
    return loaded.config;
  }
  // "LINE:COLUMN: message (hint)" of what Load refuses.
  std::string Refusal(const std::string& toml) {
    const Result<NodeConfig> config = Load(toml);
    if (config.ok()) return "(accepted)";
    EXPECT_EQ(config.error().code, ErrorCode::kInvalidArgument);
    std::string message = config.error().message;
    const std::string file = dir_.File("apinode.toml") + ":";
    EXPECT_TRUE(message.starts_with(file)) << message;
    message.erase(0, file.size());
    return message + (config.error().hint.empty() ? "" : " (" + config.error().hint + ")");
  }
  TempDir dir_ = TempDir::Make().value();
};

TEST_F(ConfigTest, WithoutAFileTheDefaultsStay) {
  NodeConfig base;
  base.home = dir_.path();
  const LoadedNodeConfig loaded = LoadNodeConfig(base, {});
  EXPECT_THAT(loaded.errors, IsEmpty());
  ASSERT_EQ(loaded.config.listen.size(), 1U);
  EXPECT_EQ(loaded.config.listen[0].port, 12000);
}

TEST_F(ConfigTest, AFileThatIsNamedMustBeThere) {
  NodeConfig base;
  const LoadedNodeConfig loaded = LoadNodeConfig(base, {dir_.File("no.toml"), {}});
  ASSERT_EQ(loaded.errors.size(), 1U);
  EXPECT_EQ(loaded.errors[0].code, ErrorCode::kNotFound);
}

TEST_F(ConfigTest, ReadsEveryKindOfValue) {
  const Result<NodeConfig> config = Load(R"(
# a comment
[http]
listen = ["127.0.0.1:1234", "[::1]:1234"]
admin_listen = "localhost:99"
hosts = ["fares.example"]
idle_seconds = 3
[tls]
certificate_file = "cert.pem"
key_file = "/etc/key.pem"
[limits]
body_bytes = "1 MiB"
upload_bytes = 5000000
[query_log]
enabled = false
sample = 0.25
redact = ["card", "name"]
[log]
level = "debug"
)");
  ASSERT_TRUE(config.ok()) << config.error().message;
  ASSERT_EQ(config->listen.size(), 2U);
  EXPECT_EQ(config->listen[1].host, "::1");
  ASSERT_EQ(config->admin_listen.size(), 1U);
  EXPECT_EQ(config->admin_listen[0].port, 99);
  EXPECT_THAT(config->hosts, ElementsAre("fares.example"));
  EXPECT_EQ(config->limits.idle_seconds, 3);
  EXPECT_EQ(config->tls.certificate_file, dir_.File("cert.pem")) << "relative to the file";
  EXPECT_EQ(config->tls.key_file, "/etc/key.pem");
  EXPECT_EQ(config->body_bytes, 1U << 20);
  EXPECT_EQ(config->upload_bytes, 5'000'000);
  EXPECT_FALSE(config->query_log.enabled);
  EXPECT_EQ(config->log_sample, 0.25);
  EXPECT_THAT(config->query_log.redact, ElementsAre("card", "name"));
  EXPECT_EQ(config->log_level, "debug");
}

TEST_F(ConfigTest, ErrorsSayWhereAndWhat) {
  EXPECT_EQ(Refusal("[admission]\nqeue = 3\n"),
            "2:1: there is no key 'admission.qeue' (did you mean 'admission.queue'?)");
  EXPECT_THAT(Refusal("[admision]\nqueue = 3\n"), HasSubstr("did you mean 'admission'?"));
  EXPECT_EQ(Refusal("queue = 3\n"),
            "1:1: there is no key 'queue' outside of a section (did you mean queue in "
            "[admission]?)");
  EXPECT_EQ(Refusal("[admission]\nqueue = \"many\"\n"),
            "2:9: admission.queue must be a whole number");
  EXPECT_EQ(Refusal("[admission]\nqueue = 0\n"), "2:9: admission.queue must be from 1 to 1000000");
  EXPECT_EQ(Refusal("[query_log]\nsample = 1.5\n"), "2:10: query_log.sample must be from 0 to 1");
  EXPECT_THAT(Refusal("[query_log]\nredact = [1]\n"), HasSubstr("must be a list of feature names"));
  EXPECT_THAT(Refusal("[limits]\nbody_bytes = \"10 parsecs\"\n"), HasSubstr("64 MiB"));
  EXPECT_THAT(Refusal("[http]\nlisten = \"12000\"\n"), HasSubstr("is no ADDRESS:PORT"));
  EXPECT_THAT(Refusal("[log]\nlevel = \"loud\"\n"), HasSubstr("not 'loud'"));
  EXPECT_THAT(Refusal("log = 3\n"), HasSubstr("'log' is a section"));
  EXPECT_THAT(Refusal("[log]\nlevel = \n"), HasSubstr("2:"));
  EXPECT_THAT(Refusal("[log]\nlevel = \"a\"\nlevel = \"b\"\n"), HasSubstr("3:"));
  EXPECT_THAT(Refusal("[log]\nlevel = 2020-01-01\n"), HasSubstr("log.level must be"));
}

TEST_F(ConfigTest, AHugeFileIsRefusedUnread) {
  const Result<NodeConfig> config = Load(std::string(2 << 20, '#'));
  ASSERT_FALSE(config.ok());
}

TEST_F(ConfigTest, DeepNestingIsAnErrorAndNoCrash) {
  EXPECT_FALSE(Load("[http]\nlisten = " + std::string(500'000, '[')).ok());
}

TEST_F(ConfigTest, TheEnvironmentWinsOverTheFile) {
  environment_ = {{"SLIPWAY_APINODE_ADMISSION_QUEUE", "7"},
                  {"SLIPWAY_APINODE_QUERY_LOG_REDACT", "card, name"},
                  {"SLIPWAY_APINODE_QUERY_LOG_ENABLED", "false"},
                  {"SLIPWAY_APINODE_LIMITS_BODY_BYTES", "2MiB"},
                  {"SLIPWAY_APINODE_DRAIN_SECONDS", "0.5"}};
  const Result<NodeConfig> config = Load("[admission]\nqueue = 3\nworkers = 2\n");
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->admission.queue, 7);
  EXPECT_EQ(config->admission.workers, 2);
  EXPECT_THAT(config->query_log.redact, ElementsAre("card", "name"));
  EXPECT_FALSE(config->query_log.enabled);
  EXPECT_EQ(config->body_bytes, 2U << 20);
  EXPECT_EQ(config->drain_seconds, 0.5);
  environment_ = {{"SLIPWAY_APINODE_ADMISSION_QUEUE", "many"}};
  const Result<NodeConfig> wrong = Load("");
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().message,
            "the environment variable SLIPWAY_APINODE_ADMISSION_QUEUE must be a whole number");
}

TEST_F(ConfigTest, TellsEveryErrorAtOnce) {
  environment_ = {{"SLIPWAY_APINODE_ADMISSION_QUEUE", "many"},
                  {"SLIPWAY_APINODE_ADMISSION_WORKERS", "3"}};
  const LoadedNodeConfig loaded = LoadAll(R"(
qeue = 1
[admision]
queue = 1
[http]
listn = "127.0.0.1:1"
idle_seconds = "long"
header_seconds = 2
[auth.jwt]
issuer = 3
leeway_seconds = -1
)");
  std::vector<std::string> messages;
  for (const Error& error : loaded.errors) messages.push_back(error.message);
  EXPECT_THAT(messages, testing::UnorderedElementsAre(
                            HasSubstr(":2:1: there is no key 'qeue'"), HasSubstr("'admision'"),
                            HasSubstr(":6:1: there is no key 'http.listn'"),
                            HasSubstr("http.idle_seconds must be a number"),
                            HasSubstr("auth.jwt.issuer must be a text"),
                            HasSubstr("auth.jwt.leeway_seconds must be from 0 to 3600"),
                            HasSubstr("SLIPWAY_APINODE_ADMISSION_QUEUE")));
  EXPECT_EQ(loaded.config.limits.header_seconds, 2) << "what is right is read all the same";
  EXPECT_EQ(loaded.config.admission.workers, 3);
}

TEST_F(ConfigTest, WarnsOfVariablesThatSetNothing) {
  environment_ = {{"SLIPWAY_APINODE_HOME", "/x"},
                  {"SLIPWAY_APINODE_HTTP_LISTEM", "0.0.0.0:1"},
                  {"SLIPWAY_APINODES", "3"},
                  {"PATH", "/bin"}};
  const LoadedNodeConfig loaded = LoadAll("");
  EXPECT_THAT(loaded.errors, IsEmpty());
  EXPECT_THAT(loaded.warnings,
              ElementsAre("the environment variable SLIPWAY_APINODE_HTTP_LISTEM sets nothing: no "
                          "key has it (did you mean 'SLIPWAY_APINODE_HTTP_LISTEN'?)"));
}

TEST_F(ConfigTest, EveryWrongAddressIsTold) {
  const LoadedNodeConfig loaded =
      LoadAll("[http]\nlisten = [\"127.0.0.1:99999\", \"foo\", \"127.0.0.1:1\"]\n");
  ASSERT_EQ(loaded.errors.size(), 1u);
  EXPECT_THAT(loaded.errors[0].message, HasSubstr("99999"));
  EXPECT_THAT(loaded.errors[0].message, HasSubstr("'foo'"));
}

class ConfigCheckTest : public ConfigTest {
 protected:
  std::vector<std::string> Check() {
    warnings_.clear();
    return CheckNodeConfig(config_, &warnings_);
  }
  void ListenOn(const std::string& host) { config_.listen = {{host, 12000}}; }
  void HaveTls() {
    config_.tls.certificate_file = dir_.File("cert.pem");
    config_.tls.key_file = dir_.File("key.pem");
    WriteKeyPair(config_.tls.certificate_file, config_.tls.key_file);
  }
  NodeConfig config_;
  std::vector<std::string> warnings_;
};

TEST_F(ConfigCheckTest, TheDefaultsAreFine) {
  EXPECT_THAT(Check(), IsEmpty());
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(ConfigCheckTest, OffLoopbackNothingIsOpenByAccident) {
  ListenOn("0.0.0.0");
  EXPECT_THAT(Check(), ElementsAre(HasSubstr("keys would travel unencrypted")));
  config_.allow_keys_without_tls = true;
  EXPECT_THAT(Check(), IsEmpty());
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("unencrypted")));
  config_.allow_keys_without_tls = false;
  config_.allow_public = true;
  EXPECT_THAT(Check(), ElementsAre(HasSubstr("--admin-listen")))
      << "the admin API asks for a key all the same";
  config_.admin_listen = {{"127.0.0.1", 12001}};
  EXPECT_THAT(Check(), IsEmpty());
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("may score")));
  config_.allow_public = false;
  HaveTls();
  EXPECT_THAT(Check(), IsEmpty());
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(ConfigCheckTest, AnAdminAddressOffLoopbackCountsToo) {
  config_.admin_listen = {{"::", 12001}};
  EXPECT_THAT(Check(), ElementsAre(HasSubstr("[::]:12001")));
}

TEST_F(ConfigCheckTest, FindsEverythingAtOnce) {
  config_.tls.certificate_file = dir_.File("no.pem");
  config_.admission.queue = 1;
  config_.admission.workers = 4;
  config_.admin_listen = config_.listen;
  config_.body_bytes = 1 << 20;
  config_.upload_bytes = 1 << 10;
  const std::vector<std::string> findings = Check();
  EXPECT_THAT(findings, testing::Contains(HasSubstr("belong together")));
  EXPECT_THAT(findings, testing::Contains(HasSubstr("no.pem")));
  EXPECT_THAT(findings, testing::Contains(HasSubstr("workers would stand idle")));
  EXPECT_THAT(findings, testing::Contains(HasSubstr("twice")));
  EXPECT_THAT(findings, testing::Contains(HasSubstr("limits.body_bytes")));
}

TEST_F(ConfigCheckTest, FoldersAreFoldersAndNamesAreNames) {
  ASSERT_TRUE(WriteFileAtomic(dir_.File("file"), "x").ok());
  config_.home = dir_.File("file");
  config_.query_log.folder = dir_.File("file");
  config_.query_log.redact = {"name", ""};
  EXPECT_THAT(Check(),
              testing::UnorderedElementsAre(HasSubstr("--home"), HasSubstr("query_log.folder"),
                                            HasSubstr("query_log.redact")));
  config_.home = dir_.File("not there yet");
  config_.query_log.folder = dir_.path();
  config_.query_log.redact = {"name"};
  EXPECT_THAT(Check(), IsEmpty());
}

TEST_F(ConfigCheckTest, WarnsOfACertificateThatHasExpired) {
  config_.tls.certificate_file = dir_.File("cert.pem");
  config_.tls.key_file = dir_.File("key.pem");
  WriteKeyPair(config_.tls.certificate_file, config_.tls.key_file, -60);
  EXPECT_THAT(Check(), IsEmpty());
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("has expired")));
}

TEST_F(ConfigCheckTest, WarnsOfAKeyThatEveryoneReads) {
  HaveTls();
  ASSERT_EQ(::chmod(config_.tls.key_file.c_str(), 0644), 0);
  EXPECT_THAT(Check(), IsEmpty());
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("chmod 600")));
}

TEST_F(ConfigCheckTest, WarnsOfAnAdminKeyThatOthersRead) {
  config_.home = dir_.path();
  ASSERT_TRUE(WriteFileAtomic(dir_.File("admin.key"), "a key of the administrator\n", 0600).ok());
  EXPECT_THAT(Check(), IsEmpty());
  EXPECT_THAT(warnings_, IsEmpty());
  ASSERT_EQ(::chmod(dir_.File("admin.key").c_str(), 0644), 0);
  EXPECT_THAT(Check(), IsEmpty());
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("admin.key can be read by other users")));
}

TEST_F(ConfigCheckTest, CertificateAndKeyMustBelongTogether) {
  HaveTls();
  config_.tls.client_ca_file = config_.tls.certificate_file;  // its own authority
  EXPECT_THAT(Check(), IsEmpty());
  WriteKeyPair(dir_.File("other.pem"), dir_.File("other-key.pem"));
  const TlsOptions good = config_.tls;
  config_.tls.key_file = dir_.File("other-key.pem");
  EXPECT_THAT(Check(), ElementsAre(HasSubstr("mismatch")));
  config_.tls.certificate_file = good.key_file;
  config_.tls.key_file = good.certificate_file;
  EXPECT_THAT(Check(), ElementsAre(HasSubstr("the certificate")));
  config_.tls = good;
  config_.tls.client_ca_file = good.key_file;
  EXPECT_THAT(Check(), ElementsAre(HasSubstr("tls.client_ca_file")));
}

TEST_F(ConfigCheckTest, TheKeysOfTokensMustBeKeys) {
  config_.jwt.jwks_file = dir_.File("jwks.json");
  EXPECT_THAT(Check(), ElementsAre(HasSubstr("auth.jwt.jwks_file")));
  ASSERT_TRUE(WriteFileAtomic(config_.jwt.jwks_file, "no json", 0644).ok());
  EXPECT_THAT(Check(), ElementsAre(HasSubstr("auth.jwt.jwks_file")));
  config_.jwt.jwks_file.clear();
  config_.jwt.jwks_url = "http://login.example.com/jwks";
  EXPECT_THAT(Check(), ElementsAre(HasSubstr("auth.jwt.jwks_url")));
  config_.jwt.jwks_url = "https://login.example.com/jwks";
  EXPECT_THAT(Check(), IsEmpty());
  config_.jwt.jwks_url = "ftp://login.example.com/jwks";
  config_.jwt.ca_file = dir_.File("none.pem");
  EXPECT_THAT(Check(), ElementsAre(HasSubstr("auth.jwt.jwks_url"), HasSubstr("auth.jwt.ca_file")));
}

TEST_F(ConfigCheckTest, RulesForTokensNeedTheirKeys) {
  config_.jwt.issuer = "https://login.example.com/";
  EXPECT_THAT(Check(), ElementsAre(HasSubstr("auth.jwt.jwks_url")));
  config_.jwt.issuer.clear();
  config_.jwt.audience = {"fares"};
  EXPECT_THAT(Check(), ElementsAre(HasSubstr("auth.jwt.jwks_url")));
  config_.jwt.jwks_url = "https://login.example.com/jwks";
  EXPECT_THAT(Check(), IsEmpty());
}

TEST_F(ConfigCheckTest, HostsAreNames) {
  config_.hosts = {"fares.example", "node-1", "10.0.0.1", "::1", "a_b.c"};
  EXPECT_THAT(Check(), IsEmpty());
  for (const char* host : {"", "https://fares.example", "fares.example:443", "*.example", "a b",
                           "fares.example/x", "-a.example", "a..b"}) {
    config_.hosts = {host};
    EXPECT_THAT(Check(), ElementsAre(HasSubstr("http.hosts"))) << host;
  }
}

TEST(ConfigKeys, ShowTheirDefaults) {
  const NodeConfig defaults;
  for (const NodeConfigKey& key : NodeConfigKeys()) EXPECT_NE(key.show(defaults), "") << key.name;
  EXPECT_EQ(FindNodeConfigKey("limits.body_bytes")->show(defaults), "\"10 MiB\"");
  EXPECT_EQ(FindNodeConfigKey("http.listen")->show(defaults), "[\"127.0.0.1:12000\"]");
  EXPECT_EQ(NodeConfigVariable("query_log.file_bytes"), "SLIPWAY_APINODE_QUERY_LOG_FILE_BYTES");
}

// docs/api-node.md has one row per key: | `section.key` | default | meaning |
TEST(ConfigKeys, ThePageListsThemWithTheirDefaults) {
  const Result<std::string> page = ReadFile(std::string(SLIPWAY_SOURCE_DIR) + "/docs/api-node.md");
  ASSERT_TRUE(page.ok()) << page.error().message;
  std::vector<std::string> expected, rows;
  const NodeConfig defaults;
  for (const NodeConfigKey& key : NodeConfigKeys())
    expected.push_back("| `" + std::string(key.name) + "` | `" + key.show(defaults) + "` |");
  for (const std::string& line : Split(*page, '\n')) {
    if (!line.starts_with("| `") || line.find('.') > line.find("` |")) continue;
    const size_t second = line.find('|', line.find('|', 1) + 1);
    if (second != std::string::npos) rows.push_back(line.substr(0, second + 1));
  }
  EXPECT_EQ(Join(rows, "\n"), Join(expected, "\n"));
}

}  // namespace
}  // namespace slipway
