// slipway hub: serves the home over HTTP until it is told to end.
#include <cstdio>

#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/process.h"
#include "slipway/base/secret.h"
#include "slipway/base/text.h"
#include "slipway/cli/commands.h"
#include "slipway/http/listen_address.h"
#include "slipway/http/server.h"
#include "slipway/hub/hub_face.h"
#include "slipway/jobs/worker.h"

namespace slipway {
namespace {

constexpr double kLinkSeconds = 24 * 3600;
constexpr double kDrainSeconds = 10;
constexpr time_t kTermLookSeconds = 2;                  // whether another hub has taken over
constexpr int64_t kMinWorkerBytes = int64_t{64} << 20;  // less, and it does not even start

struct HubFlags {
  std::vector<std::string> listen, hosts, allowed_paths;
  std::string tls_certificate, tls_key;
  bool allow_keys_without_tls = false;
  int64_t worker_memory = 0;
  double worker_minutes = 0;
  bool standby = false;
};

// Requests go before the work of jobs.
constexpr int kWorkerNice = 5;

std::string UrlOf(const ListenAddress& address, bool tls) {
  std::string host = address.host;
  if (host == "0.0.0.0") host = "127.0.0.1";
  if (host == "::") host = "::1";
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  return (tls ? "https://" : "http://") + host + ":" + std::to_string(address.port);
}

// Keys over plain HTTP are for whoever sits on the way.
Status CheckListening(const Context& context, const HubFlags& flags,
                      const std::vector<ListenAddress>& addresses) {
  if (!flags.tls_certificate.empty() && flags.tls_key.empty())
    return Usage("--tls-certificate needs its key", "--tls-key FILE");
  if (flags.tls_certificate.empty() && !flags.tls_key.empty())
    return Usage("--tls-key needs its certificate", "--tls-certificate FILE");
  if (!flags.tls_certificate.empty()) return {};
  for (const ListenAddress& address : addresses) {
    if (IsLoopback(address)) continue;
    if (!flags.allow_keys_without_tls) {
      return Usage("'" + address.host +
                       "' is not loopback, and without TLS keys and passwords "
                       "would cross the network in the clear",
                   "--tls-certificate FILE --tls-key FILE, or, behind a proxy that has them, "
                   "--allow-keys-without-tls");
    }
    context.Warn("keys and passwords cross the network in the clear: " + address.host +
                 " is served without TLS");
  }
  return {};
}

// SIGTERM and SIGINT end, SIGHUP reads the certificates again. Before any thread is made.
sigset_t BlockSignals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&set, signal);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return set;
}

// False: another hub has taken over.
bool WaitForEnd(const sigset_t& signals, HttpServer& server, HubFace& face, Registry& registry,
                const Context& context) {
  for (;;) {
    const timespec look{kTermLookSeconds, 0};
    const int signal = ::sigtimedwait(&signals, nullptr, &look);
    if (signal < 0) {
      if (!registry.StillAlone()) return false;
      face.SetRegistryAnswers(registry.database().Query("SELECT 1").ok());
      continue;
    }
    if (signal != SIGHUP) return true;
    if (Status status = server.ReloadTls(); !status.ok())
      context.Warn("the certificates could not be read again; the old ones stay: " +
                   status.error().message);
  }
}

// The files by which commands on this machine find the hub. Those of a killed one are replaced.
class Announcement {
 public:
  explicit Announcement(const std::string& home)
      : json_(JoinPath(home, "hub.json")), token_(JoinPath(home, "hub.token")) {}
  ~Announcement() {
    if (abandoned_) return;
    (void)RemoveAll(json_).ok();
    (void)RemoveAll(token_).ok();
  }
  Announcement(const Announcement&) = delete;
  Announcement& operator=(const Announcement&) = delete;

  // The files are another hub's now.
  void Abandon() { abandoned_ = true; }

  Status WriteToken(const std::string& token) const {
    RETURN_IF_ERROR(RemoveAll(json_));
    return WriteFileAtomic(token_, token + "\n", 0600);
  }
  Status WriteUrl(const std::string& url) const {
    return WriteFileAtomic(json_,
                           DumpJson({{"url", url},
                                     {"pid", static_cast<int64_t>(::getpid())},
                                     {"host", HostName()},
                                     {"started_at", NowText()}}) +
                               "\n",
                           0644);
  }

 private:
  const std::string json_, token_;
  bool abandoned_ = false;
};

// The home, as its one hub; with --standby, once the hub that serves it has ended. nullptr: told
// to end while it waited.
Result<std::unique_ptr<Hub>> OpenHome(const Context& context, const HubFlags& flags,
                                      const sigset_t& signals) {
  RETURN_IF_ERROR(context.NeedsHome("hub"));
  HubOptions options;
  options.home = context.HomePath();
  options.write = options.alone = true;
  options.command = context.command_line;
  options.allowed_paths = flags.allowed_paths;
  if (flags.standby) options.lock_seconds = 0.5;
  for (bool told = false;; told = true) {
    auto hub = Hub::Open(options);
    if (hub.ok() || !flags.standby || hub.error().code != ErrorCode::kUnavailable) return hub;
    if (!told) context.Say(hub.error().message + "; this hub takes over when that has ended");
    const timespec pause{0, 500'000'000};
    if (const int signal = ::sigtimedwait(&signals, nullptr, &pause);
        signal > 0 && signal != SIGHUP)
      return std::unique_ptr<Hub>();
  }
}

Status InviteFirst(Hub& hub, const std::string& url) {
  ASSIGN_OR_RETURN(const int64_t accounts, hub.registry().accounts().Count());
  if (accounts > 0) return {};
  ASSIGN_OR_RETURN(const std::string token, hub.registry().accounts().Invite(kLinkSeconds));
  std::printf(
      "there is no account yet; make the first administrator within 24 hours, once:\n"
      "  %s/setup?token=%s\n",
      url.c_str(), token.c_str());
  return {};
}

Result<int> RunHub(Context& context, const HubFlags& flags) {
  HttpServerOptions serving;
  for (const std::string& text : flags.listen) {
    ASSIGN_OR_RETURN(ListenAddress address, ParseListenAddress(text));
    serving.listen.push_back(std::move(address));
  }
  if (flags.worker_memory != 0 && flags.worker_memory < kMinWorkerBytes)
    return Usage("--worker-memory is " + std::to_string(flags.worker_memory) +
                     " bytes, in which no process of a job can start",
                 "64MB is the least; 2GB and more for trainings");
  if (serving.listen.empty()) serving.listen.push_back({"127.0.0.1", 7600});
  RETURN_IF_ERROR(CheckListening(context, flags, serving.listen));
  serving.tls.certificate_file = flags.tls_certificate;
  serving.tls.key_file = flags.tls_key;
  serving.server_name = "slipway-hub";
  serving.limits.request_line_bytes = size_t{128} << 10;  // DSS's clients put queries there
  serving.loops = 1;                                      // they only read and write
  SetWorkerLimits({.memory_bytes = flags.worker_memory,
                   .seconds = flags.worker_minutes * 60,
                   .nice = kWorkerNice});
  const sigset_t signals = BlockSignals();

  ASSIGN_OR_RETURN(const std::unique_ptr<Hub> hub, OpenHome(context, flags, signals));
  if (hub == nullptr) return kExitDone;
  for (const std::string& notice : hub->notices()) context.Warn(notice);

  HubFaceOptions face_options;
  face_options.token = NewToken("swl_");
  face_options.local_user = LocalUser();
  face_options.hosts = flags.hosts;
  face_options.listen = serving.listen;
  // What a killed hub had half received is nobody's.
  face_options.upload_folder = JoinPath(hub->registry().home().root(), "uploads");
  RETURN_IF_ERROR(RemoveAll(face_options.upload_folder));
  RETURN_IF_ERROR(MakeDirs(face_options.upload_folder, 0700));
  HubFace face(*hub, face_options);
  Announcement announcement(hub->registry().home().root());
  RETURN_IF_ERROR(announcement.WriteToken(face_options.token));
  ASSIGN_OR_RETURN(const std::unique_ptr<HttpServer> server, HttpServer::Start(serving, &face));
  face.SetServer(server.get());
  const std::string url = UrlOf(server->addresses().front(), !flags.tls_certificate.empty());
  RETURN_IF_ERROR(announcement.WriteUrl(url));
  RETURN_IF_ERROR(InviteFirst(*hub, url));
  hub->deployer().Supervise();
  std::printf("slipway hub is ready at %s\n", url.c_str());
  std::fflush(stdout);

  const bool asked = WaitForEnd(signals, *server, face, hub->registry(), context);
  if (!asked) {
    hub->deployer().Abandon();
    announcement.Abandon();
  }
  face.Drain();
  server->StopAccepting();
  if (!server->WaitIdle(kDrainSeconds)) context.Warn("some requests did not end in time");
  face.SetServer(nullptr);
  if (!asked)
    return Unavailable("another hub has taken over home '" + hub->registry().home().root() + "'",
                       "one hub at a time serves a home; HOME/hub.json has its URL");
  return kExitDone;
}

}  // namespace

void AddHubCommand(CLI::App* app, Invocation* invocation) {
  static HubFlags flags;
  CLI::App* hub = app->add_subcommand("hub", "serves the home over HTTP, for many people");
  hub->add_option("--listen", flags.listen,
                  "ADDRESS:PORT (default 127.0.0.1:7600); port 0: a free one");
  hub->add_option("--allow-path", flags.allowed_paths,
                  "a folder of this machine that callers over HTTP may name files in");
  hub->add_option("--host", flags.hosts,
                  "a name by which the hub is called, besides this machine's");
  hub->add_option("--tls-certificate", flags.tls_certificate, "PEM file: serve HTTPS");
  hub->add_option("--tls-key", flags.tls_key, "its key");
  hub->add_flag("--allow-keys-without-tls", flags.allow_keys_without_tls,
                "accept keys over plain HTTP off loopback");
  hub->add_option("--worker-memory", flags.worker_memory,
                  "what each process of a job may allocate, such as 4GB (default: no limit)")
      ->transform(CLI::AsSizeValue(false));
  hub->add_option("--worker-minutes", flags.worker_minutes,
                  "after which such a process is ended (default: no limit)")
      ->check(CLI::PositiveNumber);
  hub->add_flag("--standby", flags.standby,
                "wait while another hub serves the home, and take over when it ends");
  Handle(hub, invocation, [](Context& c) { return RunHub(c, flags); });
}

}  // namespace slipway
