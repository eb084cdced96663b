#include <cstdio>

#include <sys/statvfs.h>
#include <unistd.h>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/cli/commands.h"
#include "slipway/flow/datasets.h"
#include "slipway/registry/registry.h"

namespace slipway {
namespace {

struct Check {
  std::string name, state, detail, hint;  // state: ok, warning, error
};

void CheckDisk(const std::string& folder, std::vector<Check>* checks) {
  struct statvfs info{};
  if (::statvfs(folder.c_str(), &info) != 0) return;
  const auto free = static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
  const bool low = free < int64_t{1} << 30;
  checks->push_back({"disk space", low ? "warning" : "ok", FormatBytes(free) + " free",
                     low ? "builds need room for their outputs twice" : ""});
  const double start = SteadySeconds();
  const std::string probe = JoinPath(folder, ".doctor");
  if (Status status = WriteFileAtomic(probe, "x"); !status.ok()) {
    checks->push_back({"home writable", "error", status.error().message, status.error().hint});
  } else {
    ::unlink(probe.c_str());
    char text[64];
    std::snprintf(text, sizeof text, "a durable write takes %.1f ms",
                  (SteadySeconds() - start) * 1000);
    checks->push_back({"home writable", "ok", text, ""});
  }
}

void CheckLibraries(std::vector<Check>* checks) {
  // A worker loads the data engine and says whether it works.
  auto answer = RunLook("check_sql", {{"query", "SELECT 1 AS one"}, {"inputs", Json::array()}});
  checks->push_back({"data engine (DuckDB)", answer.ok() ? "ok" : "error",
                     answer.ok() ? "loads and answers" : answer.error().message,
                     answer.ok() ? "" : answer.error().hint});
  bool found = false;
  const char* env = std::getenv("SLIPWAY_LIB_DIR");
  for (const std::string& folder :
       {std::string(env != nullptr ? env : ""), JoinPath(ExecutableDir(), "../lib")}) {
    if (!folder.empty() && PathExists(JoinPath(folder, "lib_lightgbm.so"))) found = true;
  }
  checks->push_back(
      {"trainer (LightGBM)", found ? "ok" : "warning",
       found ? "lib_lightgbm.so is there" : "lib_lightgbm.so was not found beside the program",
       found ? "" : "set SLIPWAY_LIB_DIR to the folder that has it; only training needs it"});
}

void CheckHome(const std::string& home, bool deep, std::vector<Check>* checks) {
  auto registry = Registry::OpenForReading(home);
  if (!registry.ok()) {
    checks->push_back({"home", registry.error().code == ErrorCode::kNotFound ? "warning" : "error",
                       registry.error().message, registry.error().hint});
    return;
  }
  checks->push_back({"home", "ok", home, ""});
  if ((*registry)->home().shared())
    checks->push_back({"registry", "ok", (*registry)->home().RegistryName(), ""});
  CheckDisk(home, checks);
  auto findings = (*registry)->CheckIntegrity(deep);
  if (!findings.ok()) {
    checks->push_back({"integrity", "error", findings.error().message, findings.error().hint});
    return;
  }
  for (const Finding& finding : *findings)
    checks->push_back(
        {"integrity", finding.error ? "error" : "warning", finding.message, finding.hint});
  if (findings->empty())
    checks->push_back(
        {"integrity", "ok",
         deep ? "database, blobs and data verified by hash" : "database, blobs and data are there",
         ""});
}

Result<int> Doctor(Context& context, bool deep) {
  RETURN_IF_ERROR(context.NeedsHome("doctor"));
  std::vector<Check> checks;
  checks.push_back({"slipway", "ok", SLIPWAY_VERSION, ""});
  CheckLibraries(&checks);
  CheckHome(context.HomePath(), deep, &checks);
  Json json = Json::array();
  bool failed = false;
  std::string human;
  for (const Check& check : checks) {
    json.push_back({{"check", check.name},
                    {"state", check.state},
                    {"detail", check.detail},
                    {"hint", check.hint}});
    failed |= check.state == "error";
    const Style style = check.state == "ok"        ? Style::kGreen
                        : check.state == "warning" ? Style::kYellow
                                                   : Style::kRed;
    const char* mark = check.state == "ok" ? "ok  " : check.state == "warning" ? "note" : "BAD ";
    human +=
        Styled(mark, style, StdoutIsTerminal()) + "  " + check.name + ": " + check.detail + "\n";
    if (!check.hint.empty()) human += "      " + check.hint + "\n";
  }
  RETURN_IF_ERROR(context.Print(human, json));
  return failed ? kExitFailed : kExitDone;
}

constexpr const char* kBash = R"(_slipway() {
  local IFS=$'\n'
  COMPREPLY=($(slipway __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _slipway slipway
)";
constexpr const char* kZsh = R"(#compdef slipway
_slipway() {
  local -a found
  found=("${(@f)$(slipway __complete "${words[@]:1:$((CURRENT-1))}" 2>/dev/null)}")
  (( ${#found} )) && compadd -a found || _files
}
compdef _slipway slipway
)";
constexpr const char* kFish =
    R"(complete -c slipway -f -a '(slipway __complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
)";

// Names that a positional argument can have, from the home.
void LiveNames(Context& context, const std::string& positional, std::vector<std::string>* out) {
  const auto add = [&](const char* path, const char* key) {
    auto list = context.Call("GET", path);
    if (!list.ok()) return;
    for (const Json& item : *list) out->push_back(item.value(key, ""));
  };
  if (positional == "PROJECT") add("/api/v1/projects", "name");
  if (positional == "REF" || positional == "TARGET") add("/api/v1/models", "name");
  if (positional == "SERVICE" || positional == "PACKAGE") add("/api/v1/services", "name");
  if (positional == "JOB") add("/api/v1/jobs", "job");
  if (positional == "DATASET" || positional == "TARGET") {
    auto projects = context.Call("GET", "/api/v1/projects");
    if (!projects.ok()) return;
    for (const Json& project : *projects) {
      add(ApiPath("/api/v1/projects/{}/datasets", {project["name"].get<std::string>()}).c_str(),
          "name");
    }
  }
}

}  // namespace

// Commands, flags, or names from the home.
void Complete(CLI::App* app, Context& context, const std::vector<std::string>& words) {
  CLI::App* at = app;
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    if (CLI::App* sub = FindSubcommand(at, words[i]); sub != nullptr) at = sub;
  }
  const std::string prefix = words.empty() ? "" : words.back();
  std::vector<std::string> candidates;
  for (CLI::App* sub : at->get_subcommands([](CLI::App* s) { return s->get_group() != ""; }))
    candidates.push_back(sub->get_name());
  for (const CLI::Option* option : at->get_options()) {
    if (option->get_positional()) {
      LiveNames(context, option->get_name(true), &candidates);
    } else if (!prefix.empty() && prefix.front() == '-') {
      candidates.push_back(option->get_name());
    }
  }
  for (const std::string& candidate : candidates) {
    if (candidate.rfind(prefix, 0) == 0) std::printf("%s\n", candidate.c_str());
  }
}

CLI::App* FindSubcommand(CLI::App* app, const std::string& name) {
  for (CLI::App* sub : app->get_subcommands([](CLI::App*) { return true; })) {
    if (sub->get_name() == name) return sub;
  }
  return nullptr;
}

void AddSystemCommands(CLI::App* app, Invocation* invocation) {
  static bool deep = false;
  static std::string shell;
  CLI::App* doctor =
      app->add_subcommand("doctor", "checks libraries, disk and the home's integrity");
  doctor->add_flag("--deep", deep, "also read every blob and compare its hash");
  Handle(doctor, invocation, [](Context& c) { return Doctor(c, deep); });
  CLI::App* completion = app->add_subcommand("completion", "a completion script for the shell");
  completion->add_option("SHELL", shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  Handle(completion, invocation, [](Context& c) -> Result<int> {
    const std::string script = shell == "bash" ? kBash : shell == "zsh" ? kZsh : kFish;
    RETURN_IF_ERROR(c.Print(script, {{"shell", shell}, {"script", script}}));
    return kExitDone;
  });
}

}  // namespace slipway
