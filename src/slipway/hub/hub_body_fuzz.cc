// Any bytes as the body or the query of any of the hub's changes, on a home with a little of
// everything: an answer that is JSON, never a 500, and nothing but errors for what is no object.
// The first two bytes choose the route, the third what of it is known. Every change is rolled back.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/file.h"
#include "slipway/base/json.h"
#include "slipway/hub/hub.h"

namespace slipway {
namespace {

void Fail(const Request& request, const Response& response, const char* what) {
  std::fprintf(stderr, "%s: %s %s\n%s\nanswered %d: %s\n", what, request.method.c_str(),
               request.path.c_str(), request.body.c_str(), response.status, response.body.c_str());
  std::abort();
}

constexpr std::string_view kProject = R"({"definition": {"project": "p",
  "datasets": {"t": {"type": "managed"}, "o": {"type": "managed"}},
  "models": {"m": {}},
  "recipes": {"r": {"type": "sync", "input": "t", "output": "o"},
              "train_m": {"type": "train", "input": "t", "output": "m", "target": "y", "prediction": "regression"}},
  "services": {"s": {"endpoints": {"e": {"prediction": "m"}}}}}})";

class World {
 public:
  World() {
    const std::string home = folder_.File("home");
    if (!InitHome(home).ok()) std::abort();
    auto hub = Hub::Open({.home = home, .write = true, .command = "fuzz", .allowed_paths = {}});
    if (!hub.ok()) std::abort();
    hub_ = *std::move(hub);
    Set("POST", "/api/v1/apply", std::string(kProject));
    Set("POST", "/api/v1/infras",
        R"({"name": "i", "type": "static", "stage": "Test", "nodes": [{"url": "http://127.0.0.1:1", "key": "k"}]})");
    for (const Route& route : hub_->router().routes()) {
      // Jobs, processes, the network, passwords (slow on purpose), files of this machine.
      static constexpr std::string_view kOutside[] = {
          "/build",   "/package",  "/start",    "/stop",   "/test",    "/query",
          "/plan",    "/update",   "/rollback", "/enable", "/disable", "/promote",
          "/backups", "/password", "sessions",  "setup"};
      bool inside = route.method != "GET" && !route.pattern.ends_with("/users");
      for (const std::string_view each : kOutside)
        inside = inside && route.pattern.find(each) == std::string::npos;
      if (inside) routes_.push_back(&route);
    }
    if (routes_.size() < 20) std::abort();
  }

  void Ask(size_t number, bool known, std::string_view bytes) {
    const Route& route = *routes_[number % routes_.size()];
    Request request;
    request.method = route.method;
    request.path = PathOf(route.pattern, known);
    request.who = "fuzz";
    request.body = std::string(bytes);
    const auto transaction = hub_->registry().Begin();
    if (!transaction.ok()) std::abort();
    const Response response = hub_->Dispatch(request, &caller_);
    if (response.status >= 500 && response.status != 503) Fail(request, response, "a fault");
    if (!response.body.empty() &&
        !ParseJson(response.body, {.max_bytes = size_t{1} << 30, .max_depth = 256}).ok())
      Fail(request, response, "no JSON");
    const auto body = ParseJson(bytes);
    if (response.status < 400 && !bytes.empty() && route.method != "DELETE" &&
        !(body.ok() && (body->is_object() || body->is_array())))
      Fail(request, response, "no JSON object, and taken");
  }

 private:
  void Set(const char* method, const char* path, std::string body) {
    Request request;
    request.method = method;
    request.path = path;
    request.body = std::move(body);
    request.who = "fuzz";
    const Response response = hub_->Dispatch(request, nullptr);
    if (response.status >= 400) Fail(request, response, "the home could not be made");
  }

  static std::string PathOf(std::string path, bool known) {
    static const std::pair<const char*, const char*> kNames[] = {
        {"project", "p"}, {"dataset", "t"}, {"recipe", "r"},  {"model", "m"},
        {"service", "s"}, {"infra", "i"},   {"version", "1"}, {"endpoint", "e"}};
    for (size_t at = path.find('{'); at != std::string::npos; at = path.find('{')) {
      const size_t end = path.find('}', at);
      std::string value = "unknown";
      for (const auto& [name, real] : kNames) {
        if (known && path.substr(at + 1, end - at - 1) == name) value = real;
      }
      path.replace(at, end - at + 1, value);
    }
    return path;
  }

  static Principal Caller() {
    Principal caller;  // over HTTP: names no file of this machine
    caller.kind = Principal::Kind::kAccount;
    caller.name = "fuzz";
    caller.admin = true;
    return caller;
  }

  const Principal caller_ = Caller();
  TempDir folder_ = *TempDir::Make();
  std::unique_ptr<Hub> hub_;
  std::vector<const Route*> routes_;
};

}  // namespace
}  // namespace slipway

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static slipway::World world;
  if (size < 3) return 0;
  world.Ask(static_cast<size_t>(data[0]) * 256 + data[1], (data[2] & 1) != 0,
            std::string_view(reinterpret_cast<const char*>(data) + 3, size - 3));
  return 0;
}
