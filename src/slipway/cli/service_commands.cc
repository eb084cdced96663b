#include <cstdlib>

#include "slipway/base/file.h"
#include "slipway/base/hash.h"
#include "slipway/base/text.h"
#include "slipway/cli/commands.h"
#include "slipway/cli/service_ref.h"

namespace slipway {
namespace {

struct ServiceOptions {
  std::string target, output, notes, project;
  bool force = false, changes = false;
};

std::string TextOr(const Json& object, const char* key, const std::string& otherwise) {
  const Json* value = FindMember(object, key);
  return value != nullptr && value->is_string() && !value->get_ref<const std::string&>().empty()
             ? value->get<std::string>()
             : otherwise;
}

std::string ModelsText(const Json& models) {
  std::vector<std::string> names;
  for (const Json& model : models) {
    const std::string name = model["model"].get<std::string>();
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return names.empty() ? "-" : Join(names, ", ");
}

// In which parts a package differs from the one before it: "models, metrics".
std::string ChangedText(const Json& package) {
  const Json* changes = FindMember(package, "changes");
  if (changes == nullptr || !changes->is_object()) return "-";
  std::vector<std::string> parts;
  if (!(*changes)["endpoints"]["added"].empty() || !(*changes)["endpoints"]["removed"].empty())
    parts.emplace_back("endpoints");
  for (const char* part : {"models", "schema", "metrics", "settings", "tables"}) {
    if (!(*changes)[part].empty()) parts.emplace_back(part);
  }
  return parts.empty() ? "nothing" : Join(parts, ", ");
}

// "v2 since v1:" and its lines; "" for a first package.
std::string ChangesText(const Json& package) {
  const Json* changes = FindMember(package, "changes");
  if (changes == nullptr || !changes->is_object()) return "";
  const std::string since = (*changes)["since"].get<std::string>();
  if ((*changes)["text"].empty()) return "nothing changed since " + since + "\n";
  std::string out = "changed since " + since + ":\n";
  for (const Json& line : (*changes)["text"]) out += "  " + line.get<std::string>() + "\n";
  return out;
}

std::string PackageTable(const Json& packages) {
  TextTable table(
      {"PACKAGE", "CREATED", "BY", "MODELS", "CHANGED", "TEST QUERIES", "SIZE", "NOTES"});
  for (const Json& p : packages) {
    table.Add({p["package"].get<std::string>(), p["created_at"].get<std::string>(),
               p["created_by"].get<std::string>(), ModelsText(p["models"]), ChangedText(p),
               DumpJson(p.value("test_queries", Json(0))), FormatBytes(p["bytes"].get<int64_t>()),
               TextOr(p, "notes", "-")});
  }
  return table.ToString();
}

Result<int> ListServices(Context& context, const std::string& project) {
  ASSIGN_OR_RETURN(
      const Json services,
      context.Call("GET", project.empty() ? "/api/v1/services"
                                          : "/api/v1/projects/" + project + "/services"));
  TextTable table({"SERVICE", "ENDPOINTS", "PACKAGES", "LATEST", "DESCRIPTION"});
  for (const Json& s : services) {
    const auto endpoints = s["endpoints"].get<std::vector<std::string>>();
    table.Add({s["name"].get<std::string>(), endpoints.empty() ? "-" : Join(endpoints, ", "),
               DumpJson(s["packages"]), TextOr(s, "latest", "-"), TextOr(s, "description", "-")});
  }
  RETURN_IF_ERROR(context.Print(
      table.empty() ? "no services yet: slipway service create PROJECT/NAME, or 'services:' in a "
                      "project's YAML\n"
                    : table.ToString(),
      services));
  return kExitDone;
}

std::string ServiceText(const Json& s) {
  const std::string name = s["name"].get<std::string>();
  std::string out = name;
  if (s.contains("description") && !s["description"].get<std::string>().empty())
    out += ": " + s["description"].get<std::string>();
  out += "\n";
  if (!s["defined"].get<bool>()) {
    out += "no longer defined; its packages are kept\n";
  } else {
    if (s["auth"].is_string()) out += "auth: " + s["auth"].get<std::string>() + "\n";
    TextTable table({"ENDPOINT", "TYPE", "MODEL", "TABLES", "TEST QUERIES"});
    std::string problems;
    for (const Json& e : s["endpoints"]) {
      const auto tables = e["tables"].get<std::vector<std::string>>();
      const std::string id = e["endpoint"].get<std::string>();
      table.Add({id, e["type"].get<std::string>(), TextOr(e, "model", "-"),
                 tables.empty() ? "-" : Join(tables, ", "), DumpJson(e["test_queries"])});
      if (e.contains("problem"))
        problems += "endpoint " + id + ": " + e["problem"].get<std::string>() + "\n";
    }
    out += "\n" + (table.empty() ? std::string("no endpoints\n") : table.ToString()) + problems;
  }
  if (s["packages"].empty()) {
    return out + "\nnot packaged yet: slipway service package " + name + "\n";
  }
  out += "\n" + PackageTable(s["packages"]);
  if (!s.contains("changes") || !s["changes"].is_array()) return out;
  const std::string last = s["packages"].back()["package"].get<std::string>();
  if (s["changes"].empty()) return out + "\nnothing changed since " + last + "\n";
  out += "\nchanged since " + last + ":\n";
  for (const Json& change : s["changes"]) out += "  " + change.get<std::string>() + "\n";
  return out;
}

Result<int> ShowService(Context& context, const std::string& text) {
  if (NamesFile(text)) return ShowPackageFile(context, text);
  ASSIGN_OR_RETURN(const ServiceRef ref, ParseServiceRef(text));
  if (ref.stated) {
    ASSIGN_OR_RETURN(const Json package, context.Call("GET", ref.PackagePath()));
    std::string human = PackageTable(Json::array({package}));
    if (const std::string changes = ChangesText(package); !changes.empty()) human += "\n" + changes;
    RETURN_IF_ERROR(context.Print(human, package));
    return kExitDone;
  }
  ASSIGN_OR_RETURN(const Json service, context.Call("GET", ref.Path()));
  RETURN_IF_ERROR(context.Print(ServiceText(service), service));
  return kExitDone;
}

Result<int> ListPackages(Context& context, const ServiceOptions& options) {
  ASSIGN_OR_RETURN(const ServiceRef ref, ParseServiceRef(options.target));
  ASSIGN_OR_RETURN(const Json packages, context.Call("GET", ref.Path("/packages")));
  std::string human = packages.empty() ? "no package yet: slipway service package " + ref.project +
                                             "/" + ref.service + "\n"
                                       : PackageTable(packages);
  for (const Json& package : packages) {
    const std::string changes = options.changes ? ChangesText(package) : "";
    if (!changes.empty()) human += "\n" + package["package"].get<std::string>() + ": " + changes;
  }
  RETURN_IF_ERROR(context.Print(human, packages));
  return kExitDone;
}

Status WriteArchive(Context& context, const ServiceRef& ref, const std::string& output) {
  return context.Download(ref.PackagePath("/archive"), AbsolutePath(output));
}

// Follows the job; its one activity's record.
Result<Json> FollowPackaging(Context& context, const std::string& id) {
  {
    ProgressBar bar("packaging", context.quiet || context.json);
    RETURN_IF_ERROR(context.Follow(id, [&](const JobEvent& event) {
      if (event.kind != JobEvent::Kind::kProgress) return;
      bar.set_label("packaging: " + event.progress.stage);
      bar.Update(event.progress.part, event.progress.rows, event.progress.detail);
    }));
    bar.Clear();
  }
  ASSIGN_OR_RETURN(Json job, context.Call("GET", "/api/v1/jobs/" + id));
  if (job["status"] != "done") return ErrorOfJob(job, "no package was made");
  Json details = job["activities"].at(0).value("details", Json::object());
  details["job"] = id;
  return details;
}

// SOURCE_DATE_EPOCH (seconds since 1970), by which people make the same content give the same
// bytes; null: not set.
Result<Json> SourceDate() {
  const char* text = std::getenv("SOURCE_DATE_EPOCH");
  if (text == nullptr || *text == '\0') return Json();
  const std::optional<int64_t> seconds = ParseInt64(text);
  if (!seconds || *seconds < 0)
    return Usage("the environment variable SOURCE_DATE_EPOCH is '" + std::string(text) +
                     "', which is no time",
                 "it is whole seconds since 1970, such as 1767225600; or unset it");
  return Json(*seconds);
}

Result<int> Package(Context& context, const ServiceOptions& options) {
  ASSIGN_OR_RETURN(ServiceRef ref, ParseServiceRef(options.target));
  const std::string name = ref.project + "/" + ref.service;
  if (ref.stated)
    return Usage("'" + options.target + "' names a package; the next one gets its number itself",
                 "slipway service package " + name);
  if (!options.output.empty() && !IsDirectory(DirName(AbsolutePath(options.output))))
    return NotFound("the folder of '" + options.output + "' does not exist");
  Json body = {{"notes", options.notes}, {"force", options.force}};
  ASSIGN_OR_RETURN(Json epoch, SourceDate());
  if (!epoch.is_null()) body["source_date_epoch"] = std::move(epoch);
  ASSIGN_OR_RETURN(const Json started, context.Call("POST", ref.Path("/packages"), body));
  ASSIGN_OR_RETURN(const std::string id, GetString(started, "job"));
  ASSIGN_OR_RETURN(Json made, FollowPackaging(context, id));
  ref.package = made["package"].get<std::string>();
  if (!options.output.empty()) {
    if (Status written = WriteArchive(context, ref, options.output); !written.ok()) {
      Error error = written.error();
      error.hint = "package " + ref.package + " is made and kept: slipway service export " + name +
                   "@" + ref.package + " -o FILE";
      return error;
    }
  }
  for (const Json& warning : made["warnings"]) context.Warn(warning.get<std::string>());
  made.erase("datasets");
  made["service"] = name;
  made["path"] = options.output.empty() ? Json() : Json(AbsolutePath(options.output));
  TextTable table({"ENDPOINT", "TYPE", "MODEL", "TABLES", "TEST QUERIES"});
  for (const Json& e : made["endpoints"]) {
    const auto tables = e["tables"].get<std::vector<std::string>>();
    table.Add({e["endpoint"].get<std::string>(), e["type"].get<std::string>(),
               TextOr(e, "model", "-"), tables.empty() ? "-" : Join(tables, ", "),
               DumpJson(e["test_queries"])});
  }
  std::string human = table.ToString() + "\n" + name + " " + ref.package + ": " +
                      FormatBytes(made["bytes"].get<int64_t>());
  if (!options.output.empty()) human += ", written to " + options.output;
  human += "\n";
  human += ChangesText(made);
  RETURN_IF_ERROR(context.Print(human, made));
  return kExitDone;
}

Result<int> ExportPackage(Context& context, const ServiceOptions& options) {
  ASSIGN_OR_RETURN(ServiceRef ref, ParseServiceRef(options.target));
  ASSIGN_OR_RETURN(const Json package, context.Call("GET", ref.PackagePath()));
  ref.package = package["package"].get<std::string>();
  const std::string output =
      options.output.empty() ? ref.service + "-" + ref.package + ".zip" : options.output;
  RETURN_IF_ERROR(WriteArchive(context, ref, output));
  Json json = package;
  json["path"] = AbsolutePath(output);
  RETURN_IF_ERROR(context.Print(
      ref.project + "/" + ref.service + " " + ref.package + " written to " + output + "\n", json));
  return kExitDone;
}

Result<int> DeletePackage(Context& context, const std::string& text) {
  ASSIGN_OR_RETURN(const ServiceRef ref, ParseServiceRef(text));
  if (!ref.stated)
    return Usage("which package of '" + text + "' is to be deleted?",
                 "slipway service delete-package " + text + "@v1");
  ASSIGN_OR_RETURN(const Json deleted, context.Call("DELETE", ref.PackagePath()));
  RETURN_IF_ERROR(context.Print("deleted " + ref.project + "/" + ref.service + " " +
                                    deleted["deleted"].get<std::string>() + "\n",
                                deleted));
  return kExitDone;
}

}  // namespace

std::string ServiceRef::Path(const std::string& rest) const {
  return ApiPath("/api/v1/projects/{}/services/{}", {project, service}) + rest;
}

std::string ServiceRef::PackagePath(const std::string& rest) const {
  return Path("/packages/" + package) + rest;
}

Result<ServiceRef> ParseServiceRef(const std::string& text) {
  const size_t at = text.find('@');
  ASSIGN_OR_RETURN(const ObjectRef object, ParseObjectRef(text.substr(0, at), "service"));
  ServiceRef ref;
  ref.project = object.project;
  ref.service = object.name;
  if (at == std::string::npos) return ref;
  ref.package = text.substr(at + 1);
  ref.stated = true;
  const std::string number = ref.package.starts_with("v") ? ref.package.substr(1) : ref.package;
  if (ref.package != "latest" && (!ParseInt64(number) || *ParseInt64(number) < 1)) {
    return Usage("'" + text + "' does not name a package",
                 "write it as " + text.substr(0, at) + "@v3 or @latest");
  }
  return ref;
}

bool NamesFile(const std::string& text) {
  return text.starts_with("/") || text.starts_with("./") || text.starts_with("../") ||
         (PathExists(text) && !IsDirectory(text));
}

std::string QueryCount(int64_t n) {
  return FormatCount(n) + (n == 1 ? " test query" : " test queries");
}

void AddServiceCommands(CLI::App* app, Invocation* invocation) {
  static ServiceOptions options;
  CLI::App* service =
      app->add_subcommand("service", "API services: endpoints, and packages of them")
          ->require_subcommand(1);
  CLI::App* ls = service->add_subcommand("ls", "services with their latest package");
  ls->add_option("PROJECT", options.project, "only this project's");
  Handle(ls, invocation, [](Context& c) { return ListServices(c, options.project); });
  const auto add = [&](const char* name, const char* about, const char* argument,
                       const char* what) {
    CLI::App* command = service->add_subcommand(name, about);
    command->add_option(argument, options.target, what)->required();
    return command;
  };
  Handle(add("show", "endpoints, packages and what changed since the last one", "SERVICE",
             "PROJECT/SERVICE, PROJECT/SERVICE@vN, or a package's file, which is verified"),
         invocation, [](Context& c) { return ShowService(c, options.target); });
  CLI::App* packages =
      add("packages", "the packages of a service, oldest first", "SERVICE", "PROJECT/SERVICE");
  packages->add_flag("--changes", options.changes, "and what each changed since the one before it");
  Handle(packages, invocation, [](Context& c) { return ListPackages(c, options); });
  CLI::App* package = add("package", "makes the next package: one immutable zip with all it needs",
                          "SERVICE", "PROJECT/SERVICE");
  package->add_option("-o,--output", options.output, "write the zip to this file too");
  package->add_option("--notes", options.notes, "kept with the package");
  package->add_flag("--force", options.force,
                    "also when a test query does not give what it expects");
  Handle(package, invocation, [](Context& c) { return Package(c, options); });
  CLI::App* export_ = add("export", "writes the zip of a package to a file", "PACKAGE",
                          "PROJECT/SERVICE@vN (default: the latest)");
  export_->add_option("-o,--output", options.output, "file (default: SERVICE-vN.zip)");
  Handle(export_, invocation, [](Context& c) { return ExportPackage(c, options); });
  Handle(add("test",
             "answers the stored test queries on an API node of its own; exit 6 when one "
             "fails",
             "PACKAGE", "PROJECT/SERVICE, PROJECT/SERVICE@vN or a package's file"),
         invocation, [](Context& c) { return TestService(c, options.target); });
  Handle(add("delete-package", "deletes a package; its number is not given again", "PACKAGE",
             "PROJECT/SERVICE@vN"),
         invocation, [](Context& c) { return DeletePackage(c, options.target); });
  AddDesignerCommands(app, service, invocation);
  AddPublishCommands(service, invocation);
}

}  // namespace slipway
