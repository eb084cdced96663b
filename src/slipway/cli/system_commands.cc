#include <cstdio>

#include "slipway/cli/commands.h"
#include "slipway/flow/doctor.h"

namespace slipway {
namespace {

Result<int> Doctor(Context& context, bool deep) {
  Json json;
  if (context.server_flag.empty() && context.key_file_flag.empty()) {
    json = HealthToJson(ExamineHome(context.HomePath(), deep));
  } else {
    ASSIGN_OR_RETURN(json,
                     context.Call("GET", deep ? "/api/v1/doctor?deep=true" : "/api/v1/doctor"));
  }
  bool failed = false;
  std::string human;
  for (const Json& check : json) {
    const std::string state = check["state"].get<std::string>();
    failed |= state == "error";
    const Style style = state == "ok"        ? Style::kGreen
                        : state == "warning" ? Style::kYellow
                                             : Style::kRed;
    const char* mark = state == "ok" ? "ok  " : state == "warning" ? "note" : "BAD ";
    human += Styled(mark, style, StdoutIsTerminal()) + "  " + check["check"].get<std::string>() +
             ": " + check["detail"].get<std::string>() + "\n";
    if (const std::string hint = check["hint"].get<std::string>(); !hint.empty())
      human += "      " + hint + "\n";
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
