// The admin API in process, on a home of its own; and what it logs.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "slipway/base/text.h"
#include "slipway/serve/admin_routes.h"
#include "slipway/serve/log.h"
#include "slipway/serve/node.h"
#include "slipway/serve/node_state_for_test.h"
#include "slipway/serve/serve_for_test.h"

namespace slipway {

struct AdminReply {
  int status = 0;
  std::string body, headers;
  Json json() const {
    Result<Json> parsed = ParseJson(body);
    EXPECT_TRUE(parsed.ok()) << body;
    return parsed.ok() ? *parsed : Json();
  }
  std::string message() const { return json().value("message", "no message"); }
};

class AdminApiTest : public testing::Test {
 protected:
  void SetUp() override {
    home_ = folder_.File("home");
    parts_.config.home = home_;
    parts_.admission = Admission::Make({});
    parts_.stats = std::make_unique<StatsRegistry>(parts_.slots());
    parts_.state = OpenNodeState(home_);
    ASSERT_NE(parts_.state, nullptr);
    parts_.keys = *KeyStore::Open(home_);
    QueryLogOptions log;
    log.folder = folder_.File("log");
    log.slots = parts_.slots();
    parts_.query_log = *QueryLog::Open(log);
    key_ = std::string(Trim(*ReadFile(JoinPath(home_, "admin.key"))));
    api_ = std::make_unique<AdminApi>(&parts_);
  }

  AdminReply Ask(const std::string& method, const std::string& path, const std::string& body = "",
                 std::vector<std::pair<std::string, std::string>> headers = {},
                 bool with_key = true) {
    if (with_key) headers.emplace_back("Authorization", "Bearer " + key_);
    UserRequestForTest asked;
    asked.method = method;
    const size_t question = path.find('?');
    asked.path = path.substr(0, question);
    if (question != std::string::npos) asked.query = path.substr(question + 1);
    asked.body = body;
    asked.headers = std::move(headers);
    ExchangeForTest exchange(std::move(asked));
    AdminReply out;
    HttpReply refusal;
    const HttpBodyPlan plan = api_->PlanBody(exchange.request().path, exchange.request(), &refusal);
    if (plan.refuse) return {refusal.status, refusal.body, refusal.headers};
    if (api_->Handle(exchange.request().path, exchange.request(), &exchange.reply(), &exchange) ==
        HttpOutcome::kDeferred)
      exchange.Wait();
    return {exchange.reply().status, exchange.reply().body, exchange.reply().headers};
  }
  // Into HOME/import, then by its name.
  AdminReply Import(const SmallPackage& wanted) {
    EXPECT_TRUE(WriteFileAtomic(JoinPath(home_, "import/p.zip"),
                                *ReadFile(MakeSmallPackage(folder_, wanted)))
                    .ok());
    return Ask("POST", "/admin/api/services/" + wanted.service +
                           "/generations/actions/importFromArchive?filePath=p.zip");
  }

  TempDir folder_ = *TempDir::Make();
  std::string home_, key_;
  NodeParts parts_;
  std::unique_ptr<AdminApi> api_;
};

// The lines of the log while it lives, as JSON.
class LogForAdminTest {
 public:
  LogForAdminTest() : fd_(::memfd_create("log", MFD_CLOEXEC)) { SetLogDescriptor(fd_); }
  ~LogForAdminTest() {
    SetLogDescriptor(STDERR_FILENO);
    ::close(fd_);
  }
  std::string text() const { return *ReadFile("/proc/self/fd/" + std::to_string(fd_)); }
  Json last() const {
    std::vector<std::string> lines = Split(Trim(text()), '\n');
    return lines.back().empty() ? Json() : *ParseJson(lines.back());
  }

 private:
  int fd_;
};

}  // namespace slipway
