// A small API node for tests: the calls of the admin API that the deployer makes, with faults at
// chosen calls.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "slipway/base/json.h"
#include "slipway/base/mutex.h"
#include "slipway/base/text.h"
#include "slipway/http/server.h"

namespace slipway {

class FakeNode : public HttpHandler {
 public:
  FakeNode() {
    HttpServerOptions options;
    options.listen = {{}};
    options.loops = 1;
    auto server = HttpServer::Start(options, this);
    EXPECT_TRUE(server.ok());
    server_ = *std::move(server);
  }
  ~FakeNode() override { server_.reset(); }
  std::string url() const {
    return "http://127.0.0.1:" + std::to_string(server_->addresses()[0].port);
  }

  // What it serves: "v1", "v1 0.5, v2 0.5", "" for nothing.
  std::string serves() {
    const MutexLock lock(mutex_);
    if (!enabled_) return "";
    std::string out;
    for (const auto& [generation, share] : mapping_)
      out += (out.empty() ? "" : ", ") + generation + (share == 1 ? "" : " " + FormatDouble(share));
    return out;
  }
  int changes() {
    const MutexLock lock(mutex_);
    return changes_;
  }
  // The n-th change from now on (from 1) fails before or after it is carried out; so do all that
  // follow, until heal(): a node that has died.
  void DieAtChange(int n, bool carried_out) {
    const MutexLock lock(mutex_);
    die_at_ = changes_ + n;
    carried_out_ = carried_out;
  }
  void Heal() {
    const MutexLock lock(mutex_);
    die_at_ = -1;
  }

  std::atomic<bool> tests_pass = true;
  std::atomic<bool> tells_all = true;  // in one call; false: a node of an earlier release
  std::atomic<int64_t> highest_epoch = 0;

  HttpBodyPlan PlanBody(const HttpRequest&, HttpReply*) override {
    return {.max_bytes = size_t{64} << 20};
  }
  HttpOutcome Handle(const HttpRequest& request, HttpReply* reply, HttpExchange*) override {
    const MutexLock lock(mutex_);
    const bool change = request.method != "GET";
    if (change) ++changes_;
    const bool dead = die_at_ >= 0 && changes_ >= die_at_;
    const bool dies_now = dead && change && changes_ == die_at_ && carried_out_;
    if (!dead || dies_now) Answer(request, reply);
    if (dead) {
      reply->Clear();
      reply->status = 503;
      reply->body = R"({"code": "unavailable", "message": "it has died"})";
    }
    return HttpOutcome::kReplied;
  }

 private:
  void Fail(HttpReply* reply, int status, const std::string& code, const std::string& message) {
    reply->status = status;
    reply->body = DumpJson({{"code", code}, {"message", message}, {"hint", ""}});
  }
  Json Generations() REQUIRES_LOCK(mutex_) {
    Json list = Json::array();
    for (const auto& [id, loaded] : generations_) {
      const bool mapped = mapping_.count(id) != 0;
      list.push_back({{"generationId", id},
                      {"status", "loaded"},
                      {"mounted", true},
                      {"mapped", mapped},
                      {"mappedPercent", mapped ? mapping_[id] * 100 : 0}});
    }
    return list;
  }
  void Answer(const HttpRequest& request, HttpReply* reply) REQUIRES_LOCK(mutex_) {
    reply->body = R"({"ok": true})";
    if (const auto epoch = ParseInt64(request.Header("x-slipway-epoch"))) {
      if (*epoch < highest_epoch)
        return Fail(reply, 409, "conflict", "this change has the epoch " + std::to_string(*epoch));
      highest_epoch = *epoch;
    }
    const std::vector<std::string> path = Split(request.path, '/');  // "", admin, api, services, s
    const std::string what = path.size() > 5 ? path[5] : "";
    if (path.size() == 4 && path[3] == "services") {
      Json list = Json::array();
      if (service_) {
        list.push_back({{"serviceId", "s"}, {"enabled", enabled_}, {"serving", enabled_}});
        if (tells_all && request.query == "full=true") {
          list[0]["settings"] = settings_;
          list[0]["generationList"] = Generations();
        }
      }
      reply->body = DumpJson(list);
    } else if (path.size() < 5) {
      reply->body = DumpJson({{"endpoints", Json::array()}, {"epoch", highest_epoch.load()}});
    } else if (request.method == "DELETE" && what.empty()) {
      service_ = enabled_ = false;
      generations_.clear();
      mapping_.clear();
    } else if (request.method == "POST" && what == "generations" && path.size() == 6) {
      service_ = true;
      generations_.insert({std::string(request.body), 1});
    } else if (!service_) {
      Fail(reply, 404, "not_found", "there is no such service");
    } else if (request.method == "GET" && what.empty()) {
      reply->body =
          DumpJson({{"enabled", enabled_}, {"serving", enabled_}, {"settings", settings_}});
    } else if (request.method == "GET") {
      reply->body = DumpJson({{"generations", Generations()}});
    } else if (what == "settings") {
      settings_ = *ParseJson(request.body);
    } else if (path.back() == "test") {
      reply->body = DumpJson(Json::array({{{"endpoint", "e"},
                                           {"name", "q"},
                                           {"ok", tests_pass.load()},
                                           {"difference", "it is 2, expected 3"}}}));
    } else if (path.back() == "disable") {
      enabled_ = false;
    } else if (path.back() == "setMapping") {
      const Json body = *ParseJson(request.body);
      std::map<std::string, double> next;
      for (const Json& entry : body["entries"]) {
        const std::string id = entry["generation"].get<std::string>();
        if (generations_.count(id) == 0)
          return Fail(reply, 404, "not_found", "no generation " + id);
        next[id] = entry["proba"].get<double>();
      }
      mapping_ = next;
      enabled_ = true;
    } else if (request.method == "DELETE") {
      generations_.erase(path.back());
    }
  }

  Mutex mutex_;
  bool service_ GUARDED_BY(mutex_) = false;
  bool enabled_ GUARDED_BY(mutex_) = false;
  std::map<std::string, int> generations_ GUARDED_BY(mutex_);
  std::map<std::string, double> mapping_ GUARDED_BY(mutex_);
  Json settings_ GUARDED_BY(mutex_) = Json::object();
  int changes_ GUARDED_BY(mutex_) = 0;
  int die_at_ GUARDED_BY(mutex_) = -1;
  bool carried_out_ GUARDED_BY(mutex_) = false;
  std::unique_ptr<HttpServer> server_;
};

}  // namespace slipway
