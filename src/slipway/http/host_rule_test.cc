#include "slipway/http/host_rule.h"

#include <gtest/gtest.h>

#include "slipway/base/process.h"

namespace slipway {
namespace {

const std::vector<ListenAddress> kNear = {{"127.0.0.1", 1}}, kFar = {{"0.0.0.0", 1}};

TEST(HostRule, OnLoopbackOnlyAddressesAndThisMachinesNamesAreAnswered) {
  const HostRule rule({}, kNear);
  for (const std::string& host :
       {std::string("127.0.0.1:7600"), std::string("[::1]:7600"), std::string("localhost"),
        std::string("LOCALHOST:1"), HostName() + ":1", std::string("10.0.0.7"), std::string()})
    EXPECT_TRUE(rule.Allows(host)) << host;
  for (const char* host : {"evil.example", "evil.example:7600", "localhost.evil.example", "[::1",
                           "127.0.0.1.evil.example", "[evil]"})
    EXPECT_FALSE(rule.Allows(host)) << host;
}

TEST(HostRule, NamedHostsAreAnsweredAndOffLoopbackWithoutNamesAny) {
  EXPECT_TRUE(HostRule({"Models.example.org"}, kNear).Allows("models.EXAMPLE.org:443"));
  EXPECT_TRUE(HostRule({}, kFar).Allows("anything.example"));
  EXPECT_FALSE(HostRule({"models.example.org"}, kFar).Allows("anything.example"));
  EXPECT_FALSE(HostRule({}, {kFar[0], kNear[0]}).Allows("anything.example"));
}

}  // namespace
}  // namespace slipway
