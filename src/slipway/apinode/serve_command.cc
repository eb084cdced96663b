// Serving: configuration, the node, its listeners, signals, the graceful end.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "slipway/apinode/commands.h"
#include "slipway/apinode/notify.h"
#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/json.h"
#include "slipway/base/memory_reserve.h"
#include "slipway/base/process.h"
#include "slipway/base/text.h"
#include "slipway/http/listen_address.h"
#include "slipway/http/server.h"
#include "slipway/serve/log.h"
#include "slipway/serve/node.h"
#include "slipway/serve/public_notice.h"

namespace slipway {
namespace {

constexpr int kDone = 0, kFailed = 1, kUsage = 2, kConflicting = 5, kUnavailableExit = 7;

// What the flags said; empty: nothing.
struct Flags {
  std::string home, config, package, tls_certificate, tls_key, log_level;
  std::vector<std::string> listen, admin_listen;
  int loops = 0;
  bool check = false, version = false, allow_public = false, allow_keys_without_tls = false;
};

std::string DefaultHome() {
  if (const char* home = std::getenv("SLIPWAY_APINODE_HOME"); home != nullptr && *home != '\0')
    return home;
  const char* user = std::getenv("HOME");
  return JoinPath(user != nullptr && *user != '\0' ? user : ".", ".slipway-apinode");
}

int UsableCores() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  return 1;
}

int Complain(const Error& error) {
  std::fprintf(stderr, "slipway-apinode: %s\n", error.message.c_str());
  if (!error.hint.empty()) std::fprintf(stderr, "  %s\n", error.hint.c_str());
  switch (error.code) {
    case ErrorCode::kInvalidArgument:
      return kUsage;
    case ErrorCode::kConflict:
      return kConflicting;
    case ErrorCode::kUnavailable:
    case ErrorCode::kDeadlineExceeded:
      return kUnavailableExit;
    default:
      return kFailed;
  }
}

std::map<std::string, std::string> Environment() {
  std::map<std::string, std::string> out;
  for (char** at = ::environ; at != nullptr && *at != nullptr; ++at) {
    const std::string_view entry = *at;
    const size_t equal = entry.find('=');
    if (equal != std::string_view::npos)
      out.emplace(entry.substr(0, equal), entry.substr(equal + 1));
  }
  return out;
}

// Defaults < file < environment < flags.
LoadedNodeConfig Configure(const Flags& flags) {
  NodeConfig base;
  base.home = AbsolutePath(flags.home.empty() ? DefaultHome() : flags.home);
  LoadedNodeConfig loaded = LoadNodeConfig(std::move(base), {flags.config, Environment()});
  NodeConfig& config = loaded.config;
  const auto addresses = [&loaded](const std::string& flag, const std::vector<std::string>& texts,
                                   std::vector<ListenAddress>* out) {
    std::vector<ListenAddress> parsed;
    for (const std::string& text : texts) {
      Result<ListenAddress> address = ParseListenAddress(text);
      if (address.ok()) {
        parsed.push_back(*std::move(address));
      } else {
        loaded.errors.push_back(address.error().Within(flag));
      }
    }
    if (!parsed.empty()) *out = std::move(parsed);
  };
  addresses("--listen", flags.listen, &config.listen);
  addresses("--admin-listen", flags.admin_listen, &config.admin_listen);
  if (flags.loops > 0) config.loops = flags.loops;
  if (!flags.tls_certificate.empty()) config.tls.certificate_file = flags.tls_certificate;
  if (!flags.tls_key.empty()) config.tls.key_file = flags.tls_key;
  if (!flags.log_level.empty()) config.log_level = flags.log_level;
  if (!IsLogLevel(config.log_level))
    loaded.errors.push_back(InvalidArgument(
        "--log-level must be debug, info, warning or error, not '" + config.log_level + "'"));
  if (flags.allow_public) config.allow_public = true;
  if (flags.allow_keys_without_tls) config.allow_keys_without_tls = true;
  config.package = flags.package;
  if (config.loops == 0) config.loops = UsableCores();
  if (config.query_log.folder.empty()) config.query_log.folder = JoinPath(config.home, "query-log");
  return loaded;
}

std::string UrlOf(const ListenAddress& address, bool tls) {
  std::string host = address.host;
  if (host == "0.0.0.0") host = "127.0.0.1";
  if (host == "::") host = "::1";
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  return (tls ? "https://" : "http://") + host + ":" + std::to_string(address.port);
}

Status CheckPackageFile(const std::string& path) {
  if (PathExists(path) && !IsDirectory(path)) return {};
  return InvalidArgument("--package: there is no file '" + path + "'",
                         "name a service package, or leave --package out: the node serves what "
                         "its home holds");
}

// --package: import, and activate when the service serves nothing yet. A mapping that somebody made
// stays: a unit file that names a package must not undo a switch at every restart.
Status ActivatePackage(NodeState& state, const std::string& path) {
  RETURN_IF_ERROR(CheckPackageFile(path));
  ASSIGN_OR_RETURN(const PackageManifest manifest, ReadPackageManifest(path));
  ASSIGN_OR_RETURN(const std::string generation,
                   state.Import(manifest.service, AbsolutePath(path), true, std::nullopt));
  ASSIGN_OR_RETURN(const ServiceInfo service, state.Service(manifest.service));
  bool mapped = false, has_traffic = false;
  for (const GenerationInfo& info : service.generations) {
    mapped = mapped || info.probability > 0;
    has_traffic = has_traffic || (info.id == generation && info.probability > 0);
  }
  if (!mapped) return state.SetMapping(manifest.service, {{generation, 1}}, std::nullopt);
  if (!has_traffic) {
    LogWarning("the package was imported and takes no traffic: the service has a mapping already",
               {{"service", manifest.service}, {"generation", generation}});
    std::fprintf(stderr,
                 "slipway-apinode: warning: service '%s' goes on serving what it is mapped to; to "
                 "switch: slipway-apinode admin service-switch-to-generation %s %s\n",
                 manifest.service.c_str(), manifest.service.c_str(), generation.c_str());
  }
  return {};
}

// A package that is gone or bad must not stop what the home serves.
Status ActivatePackageOrGoOn(NodeState& state, const std::string& path) {
  const Status status = ActivatePackage(state, path);
  if (status.ok()) return status;
  const std::vector<ServiceInfo> services = state.Services();
  if (std::none_of(services.begin(), services.end(),
                   [](const ServiceInfo& service) { return service.serving; }))
    return status;
  LogError("--package could not be activated: the node serves what its home holds",
           {{"package", path}, {"error", status.error().message}, {"hint", status.error().hint}});
  return {};
}

// For `slipway-apinode admin` on this machine. A node serves without it, on a full disk too.
void NoteAddress(const std::string& path, const std::string& url, const std::string& admin_url) {
  const Json note = {{"url", url},
                     {"admin_url", admin_url},
                     {"pid", static_cast<int64_t>(::getpid())},
                     {"host", HostName()}};
  const Status written = WriteFileAtomic(path, DumpJson(note) + "\n", 0600);
  if (written.ok()) return;
  (void)RemoveAll(path).ok();  // of another run: it names another address
  LogWarning(
      "the node's address could not be noted in its home: `slipway-apinode admin` needs "
      "--url and --key-file until the next start",
      {{"error", written.error().message}, {"admin_url", admin_url}});
}

// As many connections as the system allows this process; a shell's soft limit is often 1,024.
void RaiseFileLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

// SIGTERM and SIGINT end, SIGHUP reads the certificates again.
sigset_t BlockSignals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&set, signal);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  return set;
}

// The next signal, or 0 after `seconds` (negative: waits for ever).
int NextSignal(const sigset_t& set, double seconds) {
  if (seconds < 0) {
    int signal = 0;
    return ::sigwait(&set, &signal) == 0 ? signal : SIGTERM;
  }
  timespec timeout{};
  timeout.tv_sec = static_cast<time_t>(seconds);
  timeout.tv_nsec = static_cast<long>((seconds - static_cast<double>(timeout.tv_sec)) * 1e9);
  const int signal = ::sigtimedwait(&set, nullptr, &timeout);
  return signal > 0 ? signal : 0;
}

// /ready is red first, so that whoever balances the load goes elsewhere while requests are still
// served; then no new connections; then what is in flight ends. `seconds` is cut short by a second
// signal.
void Drain(Node& node, const std::vector<HttpServer*>& servers, const sigset_t& set,
           double seconds) {
  const NodeConfig& config = node.parts().config;
  LogInfo("draining", {{"seconds", seconds}});
  node.parts().draining = true;
  Notify("STOPPING=1");
  const double until = SteadySeconds() + seconds;
  for (double left = seconds; left > 0; left = until - SteadySeconds()) {
    const int signal = NextSignal(set, left);
    if (signal == SIGTERM || signal == SIGINT) break;
  }
  for (HttpServer* server : servers) server->StopAccepting();
  for (HttpServer* server : servers) {
    if (!server->WaitIdle(config.drain_timeout_seconds))
      LogWarning("connections were still open at the end of the drain",
                 {{"open", server->stats().open}});
  }
}

Result<int> Serve(const Flags& flags) {
  LoadedNodeConfig loaded = Configure(flags);
  const NodeConfig& config = loaded.config;
  const std::vector<std::string> findings = CheckNodeConfig(config, &loaded.warnings);
  for (const std::string& warning : loaded.warnings)
    std::fprintf(stderr, "slipway-apinode: warning: %s\n", warning.c_str());
  int code = findings.empty() ? kDone : kUsage;
  for (const Error& error : loaded.errors) {
    const int own = Complain(error);
    if (&error == loaded.errors.data()) code = own;
  }
  for (const std::string& finding : findings)
    std::fprintf(stderr, "slipway-apinode: %s\n", finding.c_str());
  if (code != kDone) return code;
  if (flags.check) {
    if (!flags.package.empty()) RETURN_IF_ERROR(CheckPackageFile(flags.package));
    std::printf("configuration ok\n");
    return kDone;
  }
  SetLogLevel(config.log_level);
  EnableMemoryReserve();
  const sigset_t signals = BlockSignals();
  RaiseFileLimit();
  RETURN_IF_ERROR(MakeDirs(config.home, 0700));

  ASSIGN_OR_RETURN(std::unique_ptr<Node> node, Node::Open(config, config.loops));
  if (!config.package.empty())
    RETURN_IF_ERROR(ActivatePackageOrGoOn(*node->parts().state, config.package));
  NotePublicTraffic(node->parts());

  HttpServerOptions options;
  options.listen = config.listen;
  options.loops = config.loops;
  options.limits = config.limits;
  options.tls = config.tls;
  std::vector<HttpServer*> servers;
  std::unique_ptr<HttpServer> admin_server;
  if (!config.admin_listen.empty()) {
    HttpServerOptions admin = options;
    admin.listen = config.admin_listen;
    admin.loops = 1;
    ASSIGN_OR_RETURN(admin_server, HttpServer::Start(admin, node->admin_face()));
    servers.push_back(admin_server.get());
  }
  ASSIGN_OR_RETURN(std::unique_ptr<HttpServer> server, HttpServer::Start(options, node.get()));
  servers.push_back(server.get());
  node->system().SetServer(server.get());

  const bool tls = !config.tls.certificate_file.empty();
  const std::string url = UrlOf(server->addresses().front(), tls);
  const std::string admin_url = admin_server ? UrlOf(admin_server->addresses().front(), tls) : url;
  const std::string node_file = JoinPath(config.home, "node.json");
  NoteAddress(node_file, url, admin_url);
  std::printf("slipway-apinode is ready at %s\n", url.c_str());
  std::fflush(stdout);
  Notify("READY=1\nSTATUS=serving at " + url);
  LogInfo("ready", {{"url", url}, {"home", config.home}, {"loops", config.loops}});

  int signal = 0;
  for (;;) {
    signal = NextSignal(signals, -1);
    if (signal != SIGHUP) break;
    bool reloaded = true;
    for (HttpServer* each : servers) {
      if (Status status = each->ReloadTls(); !status.ok()) {
        reloaded = false;
        LogError("the certificates could not be read again; the old ones stay",
                 {{"error", status.error().message}});
      }
    }
    if (reloaded)
      LogInfo(tls ? "the certificates were read again"
                  : "SIGHUP: there are no certificates to read again",
              {});
  }
  // Whoever types Ctrl-C has no balancer that needs to see it coming.
  Drain(*node, servers, signals, signal == SIGINT ? 0 : node->parts().config.drain_seconds);
  (void)RemoveAll(node_file);
  node->system().SetServer(nullptr);
  server.reset();
  admin_server.reset();
  node.reset();
  LogInfo("stopped", {});
  return kDone;
}

}  // namespace

int RunServe(const std::vector<std::string>& arguments) {
  Flags flags;
  CLI::App app{
      "The Slipway API node: serves what its home holds. `slipway-apinode admin --help`: "
      "administration of a running node.",
      "slipway-apinode"};
  app.add_option("--home", flags.home,
                 "its folder (default: $SLIPWAY_APINODE_HOME, else ~/.slipway-apinode)");
  app.add_option("--listen", flags.listen,
                 "ADDRESS:PORT (default 127.0.0.1:12000); port 0: a free one");
  app.add_option("--admin-listen", flags.admin_listen,
                 "ADDRESS:PORT of the admin API alone; without it, it is on --listen too");
  app.add_option("--config", flags.config,
                 "a TOML file (default: HOME/apinode.toml when it is there)");
  app.add_option(
      "--package", flags.package,
      "imports this service package first, and activates it when its service serves nothing yet");
  app.add_option("--loops", flags.loops, "threads that serve (default: one per core)")
      ->check(CLI::Range(1, 1024));
  app.add_option("--tls-certificate", flags.tls_certificate, "PEM file: serve HTTPS");
  app.add_option("--tls-key", flags.tls_key, "its key");
  app.add_flag("--allow-public", flags.allow_public, "score without a key also off loopback");
  app.add_flag("--allow-keys-without-tls", flags.allow_keys_without_tls,
               "accept keys over plain HTTP off loopback");
  app.add_option("--log-level", flags.log_level, "debug, info, warning or error");
  app.add_flag("--check", flags.check, "checks the configuration and ends");
  app.add_flag("--version", flags.version, "prints the version");
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app.parse(reversed);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "slipway-apinode: %s\n  see slipway-apinode --help\n", error.what());
    return kUsage;
  }
  if (flags.version) {
    std::printf("slipway-apinode %s\n", SLIPWAY_VERSION);
    return kDone;
  }
  Result<int> code = Serve(flags);
  return code.ok() ? *code : Complain(code.error());
}

}  // namespace slipway
