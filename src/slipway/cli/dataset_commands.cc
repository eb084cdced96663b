#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/cli/commands.h"
#include "slipway/cli/counted.h"

namespace slipway {
namespace {

struct AddOptions {
  std::vector<std::string> files;
  std::string format, delimiter, on_bad_rows, description;
  bool replace = false, managed = false;
};

std::string SchemaText(const Json& schema) {
  TextTable table({"COLUMN", "TYPE"});
  for (const Json& field : schema)
    table.Add({field["name"].get<std::string>(), field["type"].get<std::string>()});
  return table.ToString();
}

std::string CountOrDash(const Json& value, bool bytes = false) {
  if (!value.is_number()) return "-";
  return bytes ? FormatBytes(value.get<int64_t>()) : FormatCount(value.get<int64_t>());
}

Result<int> Add(Context& context, const std::string& text, const AddOptions& options) {
  ASSIGN_OR_RETURN(ObjectRef ref, ParseObjectRef(text, "dataset"));
  Json definition = {{"type", options.managed ? "managed" : "files"}};
  if (options.managed && !options.files.empty()) return Usage("a managed dataset takes no files");
  if (!options.managed) {
    if (options.files.empty())
      return Usage("which files?", "slipway dataset add " + text + " trips.csv");
    Json paths = Json::array();
    for (const std::string& file : options.files) paths.push_back(AbsolutePath(file));
    definition["path"] = std::move(paths);
    if (!options.format.empty()) definition["format"] = options.format;
    if (!options.delimiter.empty()) definition["delimiter"] = options.delimiter;
    if (!options.on_bad_rows.empty()) definition["on_bad_rows"] = options.on_bad_rows;
  }
  if (!options.description.empty()) definition["description"] = options.description;
  Json body = {
      {"name", ref.name}, {"definition", std::move(definition)}, {"replace", options.replace}};
  ASSIGN_OR_RETURN(
      Json added,
      context.Call("POST", ApiPath("/api/v1/projects/{}/datasets", {ref.project}), body));
  for (const Json& warning : added["warnings"]) context.Warn(warning.get<std::string>());
  if (added["project_created"].get<bool>()) context.Say("made the project " + ref.project);
  std::string human = "added " + text;
  if (added["schema"].is_array())
    human +=
        ": " + Counted(std::ssize(added["schema"]), "column") + "\n" + SchemaText(added["schema"]);
  RETURN_IF_ERROR(context.Print(human + (human.back() == '\n' ? "" : "\n"), added));
  return kExitDone;
}

Result<int> ListDatasets(Context& context, const std::string& project) {
  std::vector<std::string> projects = {project};
  if (project.empty()) {
    projects.clear();
    ASSIGN_OR_RETURN(Json all, context.Call("GET", "/api/v1/projects"));
    for (const Json& p : all) projects.push_back(p["name"].get<std::string>());
  }
  Json out = Json::array();
  for (const std::string& name : projects) {
    ASSIGN_OR_RETURN(Json datasets,
                     context.Call("GET", ApiPath("/api/v1/projects/{}/datasets", {name})));
    for (Json& dataset : datasets) out.push_back(std::move(dataset));
  }
  TextTable table({"DATASET", "TYPE", "ROWS", "SIZE", "BUILT"});
  for (const Json& d : out) {
    table.Add({d["name"].get<std::string>(), d["type"].get<std::string>(), CountOrDash(d["rows"]),
               CountOrDash(d["bytes"], true),
               d["built_at"].is_string() ? d["built_at"].get<std::string>() : "-"});
  }
  RETURN_IF_ERROR(context.Print(
      table.empty() ? "no datasets yet; add one: slipway dataset add PROJECT/NAME FILE\n"
                    : table.ToString(),
      out));
  return kExitDone;
}

Result<std::string> DatasetPath(const std::string& text, const std::string& rest = "") {
  ASSIGN_OR_RETURN(ObjectRef ref, ParseObjectRef(text, "dataset"));
  return ApiPath("/api/v1/projects/{}/datasets/{}", {ref.project, ref.name}) + rest;
}

Result<int> ShowDataset(Context& context, const std::string& text) {
  ASSIGN_OR_RETURN(std::string path, DatasetPath(text));
  ASSIGN_OR_RETURN(Json d, context.Call("GET", path));
  for (const Json& warning : d["warnings"]) context.Warn(warning.get<std::string>());
  std::string human = d["name"].get<std::string>() + "\n";
  human +=
      "type         " + d["type"].get<std::string>() + ", " + d["format"].get<std::string>() + "\n";
  human += "rows         " + CountOrDash(d["rows"]) + "\n";
  human += "size         " + CountOrDash(d["bytes"], true) + "\n";
  human += "fingerprint  " +
           (d["fingerprint"].is_string() ? d["fingerprint"].get<std::string>() : "-") + "\n";
  if (d["built_at"].is_string()) human += "built        " + d["built_at"].get<std::string>() + "\n";
  for (const Json& file : d["files"]) human += "file         " + file.get<std::string>() + "\n";
  for (const Json& user : d["used_by"]) human += "recipe       " + user.get<std::string>() + "\n";
  human += "\n" + SchemaText(d["schema"]);
  RETURN_IF_ERROR(context.Print(human, d));
  return kExitDone;
}

Result<int> Head(Context& context, const std::string& text, int64_t rows) {
  ASSIGN_OR_RETURN(std::string path, DatasetPath(text, "/head?rows=" + std::to_string(rows)));
  ASSIGN_OR_RETURN(Json head, context.Call("GET", path));
  for (const Json& bad : head["bad_rows"]) context.Warn(bad.get<std::string>());
  std::vector<std::string> header;
  for (const Json& field : head["schema"]) header.push_back(field["name"].get<std::string>());
  TextTable table(header);
  for (const Json& row : head["rows"]) {
    std::vector<std::string> cells;
    for (const auto& [name, value] : row.items())
      cells.push_back(value.is_null()     ? ""
                      : value.is_string() ? value.get<std::string>()
                                          : DumpJson(value));
    table.Add(std::move(cells));
  }
  RETURN_IF_ERROR(context.Print(table.ToString(), head["rows"]));
  return kExitDone;
}

Result<int> ShowSchema(Context& context, const std::string& text, bool refresh) {
  ASSIGN_OR_RETURN(std::string path, DatasetPath(text, refresh ? "/refresh" : "/schema"));
  ASSIGN_OR_RETURN(Json schema, context.Call(refresh ? "POST" : "GET", path));
  RETURN_IF_ERROR(context.Print(SchemaText(schema), schema));
  return kExitDone;
}

Result<int> Clear(Context& context, const std::string& text) {
  ASSIGN_OR_RETURN(std::string path, DatasetPath(text, "/clear"));
  ASSIGN_OR_RETURN(Json answer, context.Call("POST", path));
  RETURN_IF_ERROR(context.Print("cleared " + text + "; a build makes it again\n", answer));
  return kExitDone;
}

Result<int> RemoveDataset(Context& context, const std::string& text) {
  ASSIGN_OR_RETURN(std::string path, DatasetPath(text));
  ASSIGN_OR_RETURN(Json answer, context.Call("DELETE", path));
  RETURN_IF_ERROR(context.Print(
      "removed " + text + " from its project; files of yours are untouched\n", answer));
  return kExitDone;
}

struct RecipeOptions {
  std::string project, name, model, input, output, query, target, prediction;
  std::vector<std::string> inputs;
  bool replace = false;
};

// The recipe's definition in the canonical form, from the flags.
Result<Json> RecipeDefinitionFrom(const std::string& type, const RecipeOptions& o) {
  const auto need = [&](const std::string& value, const char* flag) -> Status {
    if (value.empty()) return Usage(std::string("a ") + type + " recipe needs " + flag);
    return {};
  };
  RETURN_IF_ERROR(need(o.output, "--output"));
  Json d = {{"type", type}, {"output", o.output}};
  const std::string input = !o.inputs.empty() ? o.inputs[0] : "";
  if (type == "score") {
    RETURN_IF_ERROR(need(o.model, "--model"));
    RETURN_IF_ERROR(need(input, "--input"));
    d["inputs"] = {{"model", o.model}, {"data", input}};
  } else if (type == "sync") {
    RETURN_IF_ERROR(need(input, "--input"));
    d["input"] = input;
  } else if (type == "sql") {
    RETURN_IF_ERROR(need(o.query, "--query"));
    d["inputs"] = o.inputs;
    d["query"] = o.query;
  } else if (type == "train") {
    RETURN_IF_ERROR(need(input, "--input"));
    RETURN_IF_ERROR(need(o.target, "--target"));
    d["input"] = input;
    d["target"] = o.target;
    d["prediction"] = o.prediction;
    d["algorithm"] = {{"lightgbm", Json::object()}};
  }
  return d;
}

Result<int> AddRecipe(Context& context, const std::string& type, const RecipeOptions& options) {
  ASSIGN_OR_RETURN(Json definition, RecipeDefinitionFrom(type, options));
  const std::string name = options.name.empty() ? type + "_" + options.output : options.name;
  ASSIGN_OR_RETURN(
      Json added,
      context.Call("POST", ApiPath("/api/v1/projects/{}/recipes", {options.project}),
                   {{"name", name}, {"definition", definition}, {"replace", options.replace}}));
  RETURN_IF_ERROR(context.Print("added the recipe " + added["name"].get<std::string>() +
                                    "; run it: slipway build " + options.project + "/" +
                                    options.output + "\n",
                                added));
  return kExitDone;
}

Result<int> ListRecipes(Context& context, const std::string& project) {
  ASSIGN_OR_RETURN(Json recipes,
                   context.Call("GET", ApiPath("/api/v1/projects/{}/recipes", {project})));
  TextTable table({"RECIPE", "TYPE", "OUTPUT"});
  for (const Json& r : recipes)
    table.Add({r["name"].get<std::string>(), r["type"].get<std::string>(),
               r["output"].get<std::string>()});
  RETURN_IF_ERROR(context.Print(table.empty() ? "no recipes yet\n" : table.ToString(), recipes));
  return kExitDone;
}

Result<int> ShowRecipe(Context& context, const std::string& text) {
  ASSIGN_OR_RETURN(ObjectRef ref, ParseObjectRef(text, "recipe"));
  ASSIGN_OR_RETURN(Json recipes,
                   context.Call("GET", ApiPath("/api/v1/projects/{}/recipes", {ref.project})));
  std::vector<std::string> names;
  for (const Json& r : recipes) {
    if (r["name"] == text) {
      RETURN_IF_ERROR(context.Print(DumpJson(r, 2) + "\n", r));
      return kExitDone;
    }
    names.push_back(r["name"].get<std::string>());
  }
  return NotFound("there is no recipe '" + text + "'", DidYouMean(text, names));
}

Result<int> RemoveRecipe(Context& context, const std::string& text) {
  ASSIGN_OR_RETURN(ObjectRef ref, ParseObjectRef(text, "recipe"));
  ASSIGN_OR_RETURN(Json answer, context.Call("DELETE", ApiPath("/api/v1/projects/{}/recipes/{}",
                                                               {ref.project, ref.name})));
  RETURN_IF_ERROR(context.Print("removed the recipe " + text + "\n", answer));
  return kExitDone;
}

void AddRecipeCommands(CLI::App* app, Invocation* invocation) {
  CLI::App* recipe = app->add_subcommand("recipe", "recipes: steps from inputs to an output")
                         ->require_subcommand(1);
  static RecipeOptions options;
  static std::string ref;
  CLI::App* add =
      recipe->add_subcommand("add", "adds a recipe without writing YAML")->require_subcommand(1);
  for (const char* type : {"score", "sync", "sql", "train"}) {
    CLI::App* command = add->add_subcommand(type, std::string("adds a ") + type + " recipe");
    command->add_option("PROJECT", options.project, "the project")->required();
    command->add_option("--name", options.name, "the recipe's name (default: TYPE_OUTPUT)");
    command->add_option("--input", options.inputs,
                        type == std::string("sql") ? "input datasets" : "input dataset");
    command->add_option("--output", options.output,
                        type == std::string("train") ? "saved model to make" : "dataset to make");
    command->add_flag("--replace", options.replace, "give an existing recipe another definition");
    if (type == std::string("score"))
      command->add_option("--model", options.model, "model, or model@version");
    if (type == std::string("sql"))
      command->add_option("--query", options.query, "one SELECT over the inputs");
    if (type == std::string("train")) {
      command->add_option("--target", options.target, "column to predict");
      options.prediction = "regression";
      command->add_option("--prediction", options.prediction,
                          "regression (default), binary or multiclass");
    }
    Handle(command, invocation,
           [type = std::string(type)](Context& c) { return AddRecipe(c, type, options); });
  }
  CLI::App* ls = recipe->add_subcommand("ls", "recipes of a project");
  ls->add_option("PROJECT", ref, "the project")->required();
  Handle(ls, invocation, [](Context& c) { return ListRecipes(c, ref); });
  CLI::App* show = recipe->add_subcommand("show", "one recipe's definition");
  show->add_option("RECIPE", ref, "PROJECT/NAME")->required();
  Handle(show, invocation, [](Context& c) { return ShowRecipe(c, ref); });
  CLI::App* rm = recipe->add_subcommand("rm", "takes a recipe out of its project");
  rm->add_option("RECIPE", ref, "PROJECT/NAME")->required();
  Handle(rm, invocation, [](Context& c) { return RemoveRecipe(c, ref); });
}

}  // namespace

void AddDatasetCommands(CLI::App* app, Invocation* invocation) {
  CLI::App* dataset =
      app->add_subcommand("dataset", "datasets: named tables")->require_subcommand(1);
  static AddOptions options;
  static std::string ref, project;
  static int64_t rows = 10;
  static bool refresh = false;
  const auto add = [&](const char* name, const char* about) {
    CLI::App* command = dataset->add_subcommand(name, about);
    command->add_option("DATASET", ref, "PROJECT/NAME")->required();
    return command;
  };
  CLI::App* add_command = add("add", "adds files as a dataset");
  add_command->add_option("FILE", options.files,
                          "files or globs: CSV, Parquet, JSON lines; .gz and .zst too");
  add_command->add_option("--format", options.format,
                          "csv, parquet or jsonl (default: by extension)");
  add_command->add_option("--delimiter", options.delimiter, "of CSV (default: sniffed)");
  add_command
      ->add_option("--on-bad-rows", options.on_bad_rows, "fail (default), skip or quarantine")
      ->check(CLI::IsMember({"fail", "skip", "quarantine"}));
  add_command->add_option("--description", options.description, "one line about it");
  add_command->add_flag("--managed", options.managed,
                        "an empty managed dataset, filled by a recipe");
  add_command->add_flag("--replace", options.replace,
                        "give an existing dataset another definition");
  Handle(add_command, invocation, [](Context& c) { return Add(c, ref, options); });
  CLI::App* ls = dataset->add_subcommand("ls", "datasets");
  ls->add_option("PROJECT", project, "only this project's");
  Handle(ls, invocation, [](Context& c) { return ListDatasets(c, project); });
  Handle(add("show", "schema, rows, size, fingerprint"), invocation,
         [](Context& c) { return ShowDataset(c, ref); });
  CLI::App* head = add("head", "the first rows");
  head->add_option("-n,--rows", rows, "how many (10)")
      ->check(CLI::Range(int64_t{0}, int64_t{100000}));
  Handle(head, invocation, [](Context& c) { return Head(c, ref, rows); });
  CLI::App* schema = add("schema", "columns and types");
  schema->add_flag("--refresh", refresh, "look at the files again and pin what is found");
  Handle(schema, invocation, [](Context& c) { return ShowSchema(c, ref, refresh); });
  Handle(add("clear", "deletes the data of a managed dataset"), invocation,
         [](Context& c) { return Clear(c, ref); });
  Handle(add("rm", "takes a dataset out of its project"), invocation,
         [](Context& c) { return RemoveDataset(c, ref); });
  AddRecipeCommands(app, invocation);
}

}  // namespace slipway
