// The server: its listeners and its loops.
#include <chrono>
#include <thread>
#include <utility>

#include <sched.h>
#include <unistd.h>

#include "slipway/http/listener.h"
#include "slipway/http/loop.h"
#include "slipway/http/server.h"
#include "slipway/http/tls.h"

namespace slipway {
namespace {

int UsableCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

class LoopServer final : public HttpServer {
 public:
  LoopServer(HttpServerOptions options, HttpHandler* handler) {
    shared_.options = std::move(options);
    shared_.handler = handler;
  }
  ~LoopServer() override {
    shared_.stopping.store(true, std::memory_order_release);
    WakeAll();
    for (auto& loop : loops_) loop->Join();
  }
  LoopServer(const LoopServer&) = delete;
  LoopServer& operator=(const LoopServer&) = delete;

  Status Start() {
    if (!shared_.options.tls.certificate_file.empty()) RETURN_IF_ERROR(ReloadTls());
    const int loops = shared_.options.loops > 0 ? shared_.options.loops : UsableCores();
    std::vector<std::vector<int>> fds(static_cast<size_t>(loops));
    Status status;
    for (const ListenAddress& address : shared_.options.listen) {
      auto made = ListenHttp(address, loops);
      if (!made.ok()) {
        status = made.error();
        break;
      }
      addresses_.push_back(made->address);
      for (size_t i = 0; i < fds.size(); ++i) fds[i].push_back(made->fds[i]);
    }
    for (int i = 0; i < loops; ++i) {  // these own the sockets from here on
      loops_.push_back(
          std::make_unique<HttpLoop>(i, &shared_, std::move(fds[static_cast<size_t>(i)])));
    }
    RETURN_IF_ERROR(std::move(status));
    for (auto& loop : loops_) RETURN_IF_ERROR(loop->Start());
    return {};
  }

  int loops() const override { return static_cast<int>(loops_.size()); }
  std::vector<ListenAddress> addresses() const override { return addresses_; }

  void StopAccepting() override {
    shared_.draining.store(true, std::memory_order_release);
    WakeAll();
  }

  bool WaitIdle(double seconds) override {
    const auto until =
        std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::nanoseconds>(
                                               std::chrono::duration<double>(seconds));
    while (shared_.open.load(std::memory_order_acquire) > 0) {
      if (std::chrono::steady_clock::now() >= until) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
  }

  Status ReloadTls() override {
    if (shared_.options.tls.certificate_file.empty()) return {};
    ASSIGN_OR_RETURN(auto context, HttpTlsContext::Make(shared_.options.tls));
    MutexLock lock(shared_.mutex);
    shared_.tls = std::move(context);
    return {};
  }

  HttpStats stats() const override {
    HttpStats sum;
    sum.open = shared_.open.load(std::memory_order_relaxed);
    for (const auto& loop : loops_) {
      const HttpLoopStats& one = loop->stats();
      sum.accepted += one.accepted.value();
      sum.requests += one.requests.value();
      sum.bytes_in += one.bytes_in.value();
      sum.bytes_out += one.bytes_out.value();
      sum.refused_connections += one.refused_connections.value();
      sum.bad_requests += one.bad_requests.value();
      sum.timeouts += one.timeouts.value();
      sum.accept_errors += one.accept_errors.value();
      sum.pending += one.pending.value();
    }
    return sum;
  }

 private:
  void WakeAll() {
    for (auto& loop : loops_) loop->Wake();
  }

  HttpShared shared_;
  std::vector<ListenAddress> addresses_;
  std::vector<std::unique_ptr<HttpLoop>> loops_;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpServerOptions& options,
                                                      HttpHandler* handler) {
  if (options.listen.empty()) {
    return InvalidArgument("no address to listen on", "name at least one");
  }
  auto server = std::make_unique<LoopServer>(options, handler);
  RETURN_IF_ERROR(server->Start());
  return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace slipway
