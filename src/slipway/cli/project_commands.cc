#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/cli/commands.h"
#include "slipway/cli/counted.h"
#include "slipway/project/export.h"
#include "slipway/project/load.h"
#include "slipway/project/schema.h"
#include "slipway/registry/home.h"

namespace slipway {
namespace {

struct ApplyOptions {
  std::string file;
  bool plan = false, prune = false, force = false;
};

Result<int> Init(Context& context, const std::string& folder) {
  RETURN_IF_ERROR(context.NeedsHome("init"));
  const std::string path = folder.empty() ? context.HomePath() : AbsolutePath(folder);
  ASSIGN_OR_RETURN(bool made, InitHome(path, RegistryFromEnvironment()));
  const std::string human = (made ? "made the home " : "already a home: ") + path + "\n";
  if (made && !folder.empty())
    context.Say("use it with --home " + folder + " or export SLIPWAY_HOME=" + path);
  RETURN_IF_ERROR(context.Print(human, {{"home", path}, {"created", made}}));
  return kExitDone;
}

std::string ChangesHuman(const Json& answer, bool planned) {
  const std::string text = answer["text"].get<std::string>();
  if (answer["changes"].empty())
    return "project " + answer["project"].get<std::string>() +
           " is as described; nothing to change\n";
  return text + (text.back() == '\n' ? "" : "\n") +
         Counted(std::ssize(answer["changes"]), "change") +
         (planned ? " planned, nothing was changed\n" : " applied\n");
}

Result<int> Apply(Context& context, const ApplyOptions& options) {
  ASSIGN_OR_RETURN(ProjectDefinition project, LoadProject(options.file));
  Json body = {{"definition", ProjectToJson(project)}, {"prune", options.prune}};
  if (options.plan) {
    ASSIGN_OR_RETURN(Json answer, context.CallWithoutLock("POST", "/api/v1/diff", body));
    RETURN_IF_ERROR(context.Print(ChangesHuman(answer, true), answer));
    return kExitDone;
  }
  body["force"] = options.force;
  ASSIGN_OR_RETURN(Json answer, context.Call("POST", "/api/v1/apply", body));
  for (const Json& warning : answer["warnings"]) context.Warn(warning.get<std::string>());
  RETURN_IF_ERROR(context.Print(ChangesHuman(answer, false), answer));
  return kExitDone;
}

Result<int> DiffCommand(Context& context, const ApplyOptions& options) {
  ASSIGN_OR_RETURN(ProjectDefinition project, LoadProject(options.file));
  // A diff shows everything that differs, also what is only in the home.
  ASSIGN_OR_RETURN(Json answer, context.CallWithoutLock(
                                    "POST", "/api/v1/diff",
                                    {{"definition", ProjectToJson(project)}, {"prune", true}}));
  const bool differs = !answer["changes"].empty();
  RETURN_IF_ERROR(
      context.Print(differs ? answer["text"].get<std::string>() : "no difference\n", answer));
  return differs ? kExitDifference : kExitDone;
}

Result<int> ExportProject(Context& context, const std::string& name, const std::string& output) {
  ASSIGN_OR_RETURN(Json answer, context.Call("GET", "/api/v1/projects/" + name));
  ASSIGN_OR_RETURN(ProjectDefinition project, ProjectFromJson(answer["definition"]));
  if (output.empty()) {
    RETURN_IF_ERROR(context.Print(ToYaml(project), answer["definition"]));
    return kExitDone;
  }
  const std::string folder = AbsolutePath(output);
  RETURN_IF_ERROR(MakeDirs(folder));
  const std::string path = JoinPath(folder, "project.yaml");
  RETURN_IF_ERROR(WriteFileAtomic(path, ToYaml(project, {.folder = folder})));
  RETURN_IF_ERROR(context.Print("wrote " + path + "\n", {{"output", path}}));
  return kExitDone;
}

Result<int> ListProjects(Context& context) {
  ASSIGN_OR_RETURN(Json projects, context.Call("GET", "/api/v1/projects"));
  TextTable table({"PROJECT", "DATASETS", "RECIPES", "MODELS", "UPDATED", "BY"});
  for (const Json& p : projects) {
    table.Add({p["name"].get<std::string>(), DumpJson(p["datasets"]), DumpJson(p["recipes"]),
               DumpJson(p["models"]), p["updated_at"].get<std::string>(),
               p["updated_by"].get<std::string>()});
  }
  RETURN_IF_ERROR(context.Print(table.empty()
                                    ? "no projects yet; make one: slipway apply -f project.yaml\n"
                                    : table.ToString(),
                                projects));
  return kExitDone;
}

Result<int> ShowProject(Context& context, const std::string& name) {
  ASSIGN_OR_RETURN(Json p, context.Call("GET", "/api/v1/projects/" + name));
  ASSIGN_OR_RETURN(ProjectDefinition project, ProjectFromJson(p["definition"]));
  const std::string human = "# revision " + DumpJson(p["revision"]) + ", " +
                            p["updated_at"].get<std::string>() + " by " +
                            p["updated_by"].get<std::string>() + "\n" + ToYaml(project);
  RETURN_IF_ERROR(context.Print(human, p));
  return kExitDone;
}

Result<int> DeleteProject(Context& context, const std::string& name, bool force) {
  ASSIGN_OR_RETURN(Json answer, context.Call("DELETE", "/api/v1/projects/" + name +
                                                           (force ? "?force=true" : "")));
  if (const Json* warnings = FindMember(answer, "warnings")) {
    for (const Json& warning : *warnings) context.Warn(warning.get<std::string>());
  }
  RETURN_IF_ERROR(context.Print("deleted the project " + name + "\n", answer));
  return kExitDone;
}

Result<int> ShowFlow(Context& context, const std::string& name) {
  ASSIGN_OR_RETURN(Json flow, context.Call("GET", ApiPath("/api/v1/projects/{}/flow", {name})));
  const bool color = StdoutIsTerminal() && Styled("x", Style::kBold, true) != "x";
  const std::string human = flow[color ? "tree_color" : "tree"].get<std::string>();
  RETURN_IF_ERROR(
      context.Print(human.empty() ? "the Flow is empty\n" : human,
                    {{"project", name}, {"nodes", flow["nodes"]}, {"edges", flow["edges"]}}));
  return kExitDone;
}

}  // namespace

void AddProjectCommands(CLI::App* app, Invocation* invocation) {
  static std::string folder, name, output;
  static ApplyOptions options;
  static bool force = false;
  CLI::App* init = app->add_subcommand("init", "makes a home");
  init->add_option("DIR", folder, "the folder (default: --home)");
  Handle(init, invocation, [](Context& c) { return Init(c, folder); });
  CLI::App* apply =
      app->add_subcommand("apply", "creates or changes what YAML describes; all or nothing");
  apply->add_option("-f,--file", options.file, "a YAML file or a folder of them")->required();
  apply->add_flag("--plan", options.plan, "say what would change, and change nothing");
  apply->add_flag("--prune", options.prune, "also remove what the YAML does not have");
  apply->add_flag("--force", options.force, "with --prune: also models that have versions");
  Handle(apply, invocation, [](Context& c) { return Apply(c, options); });
  CLI::App* diff = app->add_subcommand(
      "diff", "what differs between YAML and the home; exit 6 when something does");
  diff->add_option("-f,--file", options.file, "a YAML file or a folder of them")->required();
  Handle(diff, invocation, [](Context& c) { return DiffCommand(c, options); });
  CLI::App* export_ = app->add_subcommand("export", "writes a project as YAML");
  export_->add_option("PROJECT", name, "the project")->required();
  export_->add_option("-o,--output", output, "folder for project.yaml (default: standard output)");
  Handle(export_, invocation, [](Context& c) { return ExportProject(c, name, output); });
  CLI::App* project = app->add_subcommand("project", "projects")->require_subcommand(1);
  Handle(project->add_subcommand("ls", "projects"), invocation,
         [](Context& c) { return ListProjects(c); });
  CLI::App* show = project->add_subcommand("show", "one project's definition");
  show->add_option("PROJECT", name, "the project")->required();
  Handle(show, invocation, [](Context& c) { return ShowProject(c, name); });
  CLI::App* remove = project->add_subcommand("delete", "deletes a project");
  remove->add_option("PROJECT", name, "the project")->required();
  remove->add_flag("--force", force, "also when its models have versions");
  Handle(remove, invocation, [](Context& c) { return DeleteProject(c, name, force); });
  CLI::App* flow = app->add_subcommand("flow", "the graph of datasets, recipes and models")
                       ->require_subcommand(1);
  CLI::App* flow_show =
      flow->add_subcommand("show", "the Flow as a tree, with state and reason per item");
  flow_show->add_option("PROJECT", name, "the project")->required();
  Handle(flow_show, invocation, [](Context& c) { return ShowFlow(c, name); });
  CLI::App* schema =
      app->add_subcommand("schema", "JSON Schemas for editors")->require_subcommand(1);
  Handle(schema->add_subcommand("project", "of a project's YAML"), invocation,
         [](Context&) -> Result<int> {
           RETURN_IF_ERROR(WriteStdout(DumpJson(ProjectJsonSchema(), 2) + "\n"));
           return kExitDone;
         });
}

}  // namespace slipway
