// The empty loop: a fixed JSON answer to any request, on one loop. What the server costs before any
// parsing and scoring; held against nginx's `return 200`.
//   http_fixed PORT [BODY] [CERTIFICATE KEY]
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "slipway/http/server.h"

namespace {

class Fixed final : public slipway::HttpHandler {
 public:
  explicit Fixed(std::string body) : body_(std::move(body)) {}
  slipway::HttpBodyPlan PlanBody(const slipway::HttpRequest&, slipway::HttpReply*) override {
    return {};
  }
  slipway::HttpOutcome Handle(const slipway::HttpRequest&, slipway::HttpReply* reply,
                              slipway::HttpExchange*) override {
    reply->body = body_;
    return slipway::HttpOutcome::kReplied;
  }

 private:
  const std::string body_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3 && argc != 5) {
    std::fprintf(stderr, "usage: http_fixed PORT [BODY] [CERTIFICATE KEY]\n");
    return 2;
  }
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  sigprocmask(SIG_BLOCK, &ends, nullptr);
  Fixed fixed(argc > 2 ? argv[2] : R"({"result":{"prediction":12.5,"ignored":false}})");
  slipway::HttpServerOptions options;
  options.listen = {{.host = "127.0.0.1", .port = std::atoi(argv[1])}};
  options.loops = 1;
  if (argc > 4) options.tls = {.certificate_file = argv[3], .key_file = argv[4]};
  auto server = slipway::HttpServer::Start(options, &fixed);
  if (!server.ok()) {
    std::fprintf(stderr, "%s\n", server.error().message.c_str());
    return 1;
  }
  std::printf("%d\n", (*server)->addresses()[0].port);
  std::fflush(stdout);
  int signal = 0;
  sigwait(&ends, &signal);
  (*server)->StopAccepting();
  return (*server)->WaitIdle(10) ? 0 : 1;
}
