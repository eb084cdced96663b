// service publish: a package to the API Deployer of this hub, or of another one over HTTP; service
// published: what can be deployed.
#include <cstdlib>

#include "slipway/base/text.h"
#include "slipway/cli/commands.h"
#include "slipway/cli/remote_hub.h"
#include "slipway/cli/service_ref.h"

namespace slipway {
namespace {

struct PublishOptions {
  std::string target, to, key_file;
};

Result<int> PublishHere(Context& context, const ServiceRef& ref) {
  ASSIGN_OR_RETURN(const Json version, context.Call("POST", ref.PackagePath("/publish")));
  const bool already = version.value("already", false);
  RETURN_IF_ERROR(context.Print("published " + version["service"].get<std::string>() + " " +
                                    version["version"].get<std::string>() +
                                    (already ? ", as it was already" : "") + "\n",
                                version));
  return kExitDone;
}

// Never from the command line itself, which every process of the machine can read.
Result<std::string> ReadTargetKey(const PublishOptions& options) {
  std::string key;
  if (!options.key_file.empty()) {
    ASSIGN_OR_RETURN(key, ReadApiKey(options.key_file == "-" ? "/dev/stdin" : options.key_file));
  } else if (const char* text = std::getenv("SLIPWAY_TO_API_KEY"); text != nullptr) {
    key = std::string(Trim(text));
  }
  if (key.empty())
    return Usage("the hub at " + options.to + " asks for a key",
                 "--to-key-file FILE (- is standard input), or the environment's "
                 "SLIPWAY_TO_API_KEY");
  return key;
}

bool IsUnencrypted(const std::string& url) {
  const std::string host = url.starts_with("http://") ? url.substr(7) : "";
  return !host.empty() && !host.starts_with("127.") && !host.starts_with("localhost") &&
         !host.starts_with("[::1]");
}

// The version as the other hub has it; null: it has none of that name.
Result<Json> FindThere(RemoteHubClient& there, const std::string& service,
                       const std::string& version, bool* has_service) {
  Result<Response> found = there.Send("GET", "/api/v1/published-services/" + service, "");
  *has_service = found.ok();
  if (!found.ok() && found.error().code == ErrorCode::kNotFound) return Json();
  RETURN_IF_ERROR(found);
  ASSIGN_OR_RETURN(const Json published, ParseJson(found->body));
  if (const Json* versions = FindMember(published, "versions");
      versions != nullptr && versions->is_array()) {
    for (const Json& each : *versions) {
      if (each.value("version", "") == version) return each;
    }
  }
  return Json();
}

struct Sent {
  Json version;  // as the other hub shows it
  bool already = false;
};

Result<Sent> SendPackage(Context& context, const ServiceRef& ref, const Json& package,
                         RemoteHubClient& there) {
  const std::string version = package["package"].get<std::string>();
  const std::string hash = package["sha256"].get<std::string>();
  bool has_service = false;
  ASSIGN_OR_RETURN(const Json known, FindThere(there, ref.service, version, &has_service));
  if (known.is_object()) {
    const std::string its = known.value("sha256", "");
    if (its == hash) return Sent{known, true};
    return Conflict("version " + version + " of service '" + ref.service +
                        "' is published there with another content (" + its.substr(0, 12) +
                        " there, " + hash.substr(0, 12) + " here), and versions never change",
                    "package the service again: it gets the next number");
  }
  ASSIGN_OR_RETURN(const Response archive, context.CallRaw("GET", ref.PackagePath("/archive")));
  if (!has_service) {
    const Result<Response> made =
        there.Send("POST", "/api/v1/published-services", DumpJson({{"service", ref.service}}));
    // Somebody else may have made it meanwhile.
    if (!made.ok() && made.error().code != ErrorCode::kConflict) return made.error();
  }
  RETURN_IF_ERROR(there.Send("GET", "/api/v1/whoami", ""));  // large files are taken from friends
  ASSIGN_OR_RETURN(const Response answer,
                   there.Send("POST", "/api/v1/published-services/" + ref.service + "/versions", "",
                              archive.file));
  Sent sent;
  ASSIGN_OR_RETURN(sent.version, ParseJson(answer.body));
  if (const std::string its = sent.version.value("sha256", ""); its != hash)
    return Corruption(
        "it says that it got " + its.substr(0, 12) + ", and " + hash.substr(0, 12) + " was sent",
        "something between the two changes what is sent");
  return sent;
}

Result<int> PublishThere(Context& context, ServiceRef ref, const PublishOptions& options) {
  ASSIGN_OR_RETURN(const Json package, context.Call("GET", ref.PackagePath()));
  ref.package = package["package"].get<std::string>();
  RemoteHubOptions target{.url = options.to};
  ASSIGN_OR_RETURN(target.key, ReadTargetKey(options));
  auto made = RemoteHubClient::Make(target);
  if (!made.ok())
    return Usage("'" + options.to + "' is no hub's URL",
                 "for example --to https://hub.example:7600");
  if (IsUnencrypted(options.to))
    context.Warn("the key and the package go to " + options.to + " unencrypted");
  const Result<Sent> sent = SendPackage(context, ref, package, **made);
  if (!sent.ok()) {
    Error error = sent.error();  // whose URL may say the same once more
    if (const size_t at = error.message.find(" " + options.to); at != std::string::npos)
      error.message.erase(at + 1, options.to.size());
    return error.Within("the hub at " + options.to);
  }
  Json json = sent->version;
  json["to"] = options.to;
  json["already"] = sent->already;
  RETURN_IF_ERROR(context.Print(
      (sent->already ? "the hub at " + options.to + " has " : "published ") + ref.service + " " +
          ref.package + (sent->already ? " already, with the same content" : " to " + options.to) +
          "\n",
      json));
  return kExitDone;
}

Result<int> Publish(Context& context, const PublishOptions& options) {
  ASSIGN_OR_RETURN(const ServiceRef ref, ParseServiceRef(options.target));
  if (!options.to.empty()) return PublishThere(context, ref, options);
  if (!options.key_file.empty())
    return Usage("--to-key-file is of the hub that --to names", "give --to URL too");
  return PublishHere(context, ref);
}

Result<int> Published(Context& context) {
  ASSIGN_OR_RETURN(const Json services, context.Call("GET", "/api/v1/published-services"));
  TextTable table({"SERVICE", "VERSION", "MODELS", "PUBLISHED", "BY", "DEPLOYMENTS"});
  for (const Json& service : services) {
    const auto on = service["deployments"].get<std::vector<std::string>>();
    for (const Json& version : service["versions"])
      table.Add({service["service"].get<std::string>(), version["version"].get<std::string>(),
                 Join(version["models"].get<std::vector<std::string>>(), ", "),
                 version["published_at"].get<std::string>(),
                 version["published_by"].get<std::string>(), on.empty() ? "-" : Join(on, ", ")});
  }
  RETURN_IF_ERROR(context.Print(
      table.empty() ? "nothing is published yet: slipway service publish PROJECT/SERVICE\n"
                    : table.ToString(),
      services));
  return kExitDone;
}

Result<int> Unpublish(Context& context, const std::string& target) {
  const size_t at = target.find('@');
  const std::string service = target.substr(0, at);
  const std::string version = at == std::string::npos ? "" : target.substr(at + 1);
  if (!IsValidName(service) || (at != std::string::npos && !IsValidName(version)))
    return Usage("'" + target + "' is no published service",
                 "SERVICE or SERVICE@vN, as `slipway service published` lists them");
  std::string path = ApiPath("/api/v1/published-services/{}", {service});
  if (!version.empty()) path += ApiPath("/versions/{}", {version});
  ASSIGN_OR_RETURN(const Json gone, context.Call("DELETE", path));
  RETURN_IF_ERROR(context.Print(
      "took " + (version.empty() ? service : service + " " + version) + " from the API Deployer\n",
      gone));
  return kExitDone;
}

}  // namespace

void AddPublishCommands(CLI::App* service, Invocation* invocation) {
  static PublishOptions options;
  CLI::App* publish =
      service->add_subcommand("publish", "gives a package to the API Deployer, for deployments");
  publish->add_option("PACKAGE", options.target, "PROJECT/SERVICE@vN (default: the latest)")
      ->required();
  publish->add_option("--to", options.to, "the URL of another hub: to its API Deployer");
  publish->add_option("--to-key-file", options.key_file,
                      "a file with a key of that hub, with the right 'deploy'; - is standard input "
                      "(default: the environment's SLIPWAY_TO_API_KEY)");
  Handle(publish, invocation, [](Context& c) { return Publish(c, options); });
  Handle(service->add_subcommand("published", "what the API Deployer can deploy"), invocation,
         [](Context& c) { return Published(c); });
  CLI::App* unpublish = service->add_subcommand(
      "unpublish", "takes a service, or one version, from the API Deployer: one that none needs");
  unpublish->add_option("SERVICE", options.target, "SERVICE or SERVICE@vN")->required();
  Handle(unpublish, invocation, [](Context& c) { return Unpublish(c, options.target); });
}

}  // namespace slipway
