#include "slipway/serve/key_store.h"

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "slipway/base/file.h"
#include "slipway/base/json.h"
#include "slipway/base/secret.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

class KeyStoreTest : public testing::Test {
 protected:
  void Open() {
    keys_.reset();
    Result<std::unique_ptr<KeyStore>> keys = KeyStore::Open(folder_.path());
    ASSERT_TRUE(keys.ok()) << keys.error().message;
    keys_ = *std::move(keys);
  }
  void SetUp() override { Open(); }
  std::string AdminKey() const { return std::string(Trim(*ReadFile(folder_.File("admin.key")))); }
  unsigned Mode(const std::string& name) const {
    struct stat info{};
    EXPECT_EQ(::stat(folder_.File(name).c_str(), &info), 0);
    return info.st_mode & 0777;
  }
  NewApiKey Create(ApiKey key) {
    Result<NewApiKey> made = keys_->Create(std::move(key));
    EXPECT_TRUE(made.ok());
    return *made;
  }

  TempDir folder_ = *TempDir::Make();
  std::unique_ptr<KeyStore> keys_;
};

TEST_F(KeyStoreTest, TheAdminKeyIsMadeOnceAndPrivate) {
  const std::string key = AdminKey();
  EXPECT_GE(key.size(), 43u);  // 256 bits
  EXPECT_EQ(Mode("admin.key"), 0600u);
  EXPECT_TRUE(keys_->IsAdmin(key));
  EXPECT_FALSE(keys_->IsAdmin(""));
  EXPECT_FALSE(keys_->IsAdmin(key.substr(1)));
  EXPECT_FALSE(keys_->IsAdmin(key + "x"));
  EXPECT_FALSE(keys_->Find(key, 0));
  Open();
  EXPECT_EQ(AdminKey(), key);
  EXPECT_TRUE(keys_->IsAdmin(key));
}

TEST_F(KeyStoreTest, AnAdminKeyThatIsNoneIsRefused) {
  for (const char* text : {"", "\n", "short\n"}) {
    ASSERT_TRUE(WriteFileAtomic(folder_.File("admin.key"), text).ok());
    EXPECT_FALSE(KeyStore::Open(folder_.path()).ok());
  }
}

TEST_F(KeyStoreTest, KeysAreHashedDurableAndListedAsMade) {
  const NewApiKey first = Create({.label = "first", .description = "d", .created_by = "ann"});
  const NewApiKey second = Create({.label = "second"});
  EXPECT_NE(first.secret, second.secret);
  EXPECT_EQ(Mode("keys.json"), 0600u);
  const std::string stored = *ReadFile(folder_.File("keys.json"));
  EXPECT_EQ(stored.find(first.secret), std::string::npos);
  EXPECT_EQ(stored.find(first.secret.substr(4, 20)), std::string::npos);
  Open();
  const std::vector<ApiKey> listed = keys_->List();
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_EQ(listed[0].label, "first");
  EXPECT_EQ(listed[0].created_by, "ann");
  EXPECT_EQ(listed[1].label, "second");
  const std::optional<ApiKey> found = keys_->Find(first.secret, 0);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->id, first.key.id);
  EXPECT_FALSE(keys_->Find(first.secret + "x", 0));
  EXPECT_FALSE(keys_->IsAdmin(first.secret));
}

TEST_F(KeyStoreTest, KeysExpireToTheSecond) {
  const NewApiKey key = Create({.label = "brief", .expires_at = 1000});
  EXPECT_TRUE(keys_->Find(key.secret, 999));
  EXPECT_FALSE(keys_->Find(key.secret, 1000));
  EXPECT_FALSE(keys_->HasExpired(key.secret, 999));
  EXPECT_TRUE(keys_->HasExpired(key.secret, 1000));
  EXPECT_FALSE(keys_->HasExpired(key.secret + "x", 1000));
  const NewApiKey expired_admin = Create({.expires_at = 1000, .admin = true});
  EXPECT_FALSE(keys_->IsAdmin(expired_admin.secret));
}

TEST_F(KeyStoreTest, AKeyIsForItsServices) {
  const NewApiKey all = Create({.label = "all"}), one = Create({.services = {"fares"}});
  EXPECT_TRUE(KeyAllows(*keys_->Find(all.secret, 0), "other"));
  EXPECT_TRUE(KeyAllows(*keys_->Find(one.secret, 0), "fares"));
  EXPECT_FALSE(KeyAllows(*keys_->Find(one.secret, 0), "fare"));
  EXPECT_FALSE(keys_->Create({.services = {"a/b"}}).ok());
  EXPECT_TRUE(keys_->IsAdmin(Create({.admin = true}).secret));
}

TEST_F(KeyStoreTest, KeysAreDeletedByIdAndBySecret) {
  const NewApiKey first = Create({.label = "first"}), second = Create({.label = "second"});
  const uint64_t version = keys_->version();
  ASSERT_TRUE(keys_->DeleteById(first.key.id).ok());
  EXPECT_NE(keys_->version(), version);
  EXPECT_FALSE(keys_->Find(first.secret, 0));
  ASSERT_TRUE(keys_->DeleteBySecret(second.secret).ok());
  EXPECT_EQ(keys_->DeleteById(first.key.id).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(keys_->DeleteBySecret(second.secret).error().code, ErrorCode::kNotFound);
  Open();
  EXPECT_TRUE(keys_->List().empty());
}

TEST_F(KeyStoreTest, ADamagedFileIsAnErrorNotAnOpenDoor) {
  Create({.label = "first"});
  const std::string path = folder_.File("keys.json");
  const std::string content = *ReadFile(path);
  for (const std::string& bytes :
       {std::string(), std::string("{}"), content.substr(0, content.size() / 2),
        std::string(R"({"format": 2, "keys": []})"),
        std::string(R"({"format": 1, "keys": [{"id": "x"}]})")}) {
    ASSERT_TRUE(WriteFileAtomic(path, bytes).ok());
    const Result<std::unique_ptr<KeyStore>> keys = KeyStore::Open(folder_.path());
    ASSERT_FALSE(keys.ok()) << bytes;
    EXPECT_EQ(keys.error().code, ErrorCode::kCorruption);
  }
}

TEST(AuthorizationTest, BasicAndBearer) {
  EXPECT_EQ(SecretOfAuthorization("Bearer abc-_.~"), "abc-_.~");
  EXPECT_EQ(SecretOfAuthorization("bearer  abc"), "abc");
  EXPECT_EQ(SecretOfAuthorization("Basic S0VZOg=="), "KEY");  // KEY:
  EXPECT_EQ(SecretOfAuthorization("basic S0VZOg"), "KEY");
  EXPECT_EQ(SecretOfAuthorization("Basic S0VZOnBhc3M="), "KEY");  // KEY:pass
  EXPECT_EQ(SecretOfAuthorization("Basic S0VZ"), "KEY");          // no colon
  for (const char* header : {"", "Bearer", "Bearer ", "Bearer a b", "Basic", "Basic ", "Basic ****",
                             "Basic S0VZO", "Digest abc", "S0VZOg==", "Basic Og=="})
    EXPECT_EQ(SecretOfAuthorization(header), "") << header;
}

}  // namespace
}  // namespace slipway
