#include <algorithm>
#include <cmath>
#include <cstdio>

#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/bundle/bundle.h"
#include "slipway/cli/commands.h"
#include "slipway/cli/lineage_options.h"
#include "slipway/cli/model_table.h"
#include "slipway/http/client.h"
#include "slipway/registry/model_ref.h"

namespace slipway {
namespace {

Result<ModelRef> Parse(const std::string& text) {
  auto ref = ParseModelRef(text);
  if (!ref.ok()) return Usage(ref.error().message, ref.error().hint);
  return ref;
}

std::string Selector(const ModelRef& ref) {
  switch (ref.select) {
    case ModelRef::Select::kActive:
      return "active";
    case ModelRef::Select::kLatest:
      return "latest";
    case ModelRef::Select::kNumber:
      return std::to_string(ref.number);
  }
  return "active";
}

std::string ModelPath(const ModelRef& ref, const std::string& rest) {
  return ApiPath("/api/v1/projects/{}/models/{}", {ref.project, ref.model}) + rest;
}

std::string VersionPath(const ModelRef& ref, const std::string& rest = "") {
  return ModelPath(ref, "/versions/" + Selector(ref) + rest);
}

Result<int> ListModels(Context& context, const std::string& project) {
  ASSIGN_OR_RETURN(Json models, context.Call("GET", project.empty() ? "/api/v1/models"
                                                                    : "/api/v1/projects/" +
                                                                          project + "/models"));
  TextTable table({"MODEL", "ACTIVE", "LATEST", "VERSIONS"});
  for (const Json& m : models) {
    const auto number = [&](const char* key) {
      return m[key].is_null() ? std::string("-") : DumpJson(m[key]);
    };
    table.Add(
        {m["name"].get<std::string>(), number("active"), number("latest"), number("versions")});
  }
  RETURN_IF_ERROR(context.Print(
      table.empty() ? "no saved models yet; a train recipe makes one\n" : table.ToString(),
      models));
  return kExitDone;
}

Result<int> Versions(Context& context, const std::string& text) {
  ASSIGN_OR_RETURN(ModelRef ref, Parse(text));
  ASSIGN_OR_RETURN(Json versions, context.Call("GET", ModelPath(ref, "/versions")));
  std::string human = VersionTable(versions);
  if (versions.empty())
    human = "no version yet; train one: slipway build " + ref.project + "/" + ref.model + "\n";
  RETURN_IF_ERROR(context.Print(human, versions));
  return kExitDone;
}

// Keys and values below each other; a value that is itself a list or an object is left to --json.
std::string Indented(const Json& object, const std::string& indent) {
  size_t width = 0;
  for (const auto& [key, value] : object.items()) width = std::max(width, key.size());
  std::string out;
  for (const auto& [key, value] : object.items()) {
    const std::string pad(width - key.size() + 2, ' ');
    out += indent + key + pad +
           (value.is_string()         ? value.get<std::string>()
            : value.is_number_float() ? FormatMetric(value)
            : value.is_structured()   ? "(" + std::to_string(value.size()) + " values, --json)"
                                      : DumpJson(value)) +
           "\n";
  }
  return out;
}

// All with one decimal: they are compared with each other.
std::string Gain(const Json& value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.1f", value.is_number() ? value.get<double>() : 0.0);
  return text;
}

std::string VersionText(const Json& v) {
  const Json& info = v["info"];
  std::string out = v["project"].get<std::string>() + "/" + v["model"].get<std::string>() + "@" +
                    DumpJson(v["version"]);
  out += v["active"].get<bool>() ? "  (active)\n" : "\n";
  out += "created     " + v["created_at"].get<std::string>() + " by " +
         v["created_by"].get<std::string>() + " (" + v["origin"].get<std::string>() + ")\n";
  out += "algorithm   " + v["algorithm"].get<std::string>() + ", " +
         DumpJson(info.value("trees", Json())) + " trees\n";
  out += "engine      " + v["engine"].get<std::string>() + ": " +
         v["engine_reason"].get<std::string>() + "\n";
  if (v["rows"].is_number()) {
    out += "rows        " + DumpJson(v["rows"]) + " for training, " +
           DumpJson(info.value("holdout_rows", Json(0))) + " held out\n";
  }
  if (info.contains("target")) out += "target      " + info["target"].get<std::string>() + "\n";
  if (!v["note"].get<std::string>().empty())
    out += "note        " + v["note"].get<std::string>() + "\n";
  out += "bundle      " + FormatBytes(v["bundle_bytes"].get<int64_t>()) + ", sha256 " +
         v["bundle_sha256"].get<std::string>().substr(0, 16) + "…\n";
  if (!v["packages"].empty())
    out += "packages    " + Join(v["packages"].get<std::vector<std::string>>(), ", ") + "\n";
  if (v["metrics"].is_object())
    out += "\nmetrics on held-out rows\n" + Indented(v["metrics"], "  ");
  if (const Json* importance = FindMember(info, "importance");
      importance != nullptr && importance->is_array() && !importance->empty()) {
    out += "\nimportance\n";
    TextTable table({"  FEATURE", "GAIN", "SPLITS"});
    size_t shown = 0;
    for (const Json& item : *importance) {
      if (++shown > 15) break;
      table.Add({"  " + item.value("feature", ""), Gain(item["gain"]), DumpJson(item["split"])});
    }
    out += table.ToString();
    if (importance->size() > 15)
      out += "  and " + std::to_string(importance->size() - 15) + " more, --json has all\n";
  }
  if (const Json* schema = FindMember(info, "schema")) {
    out += "\ninputs\n";
    Json inputs = Json::object();
    for (const Json& field : *schema) inputs[field.value("name", "")] = field.value("type", "");
    out += Indented(inputs, "  ");
  }
  if (const Json* warnings = FindMember(info, "warnings");
      warnings != nullptr && !warnings->empty()) {
    out += "\nwarnings\n";
    for (const Json& warning : *warnings) out += "  " + warning.get<std::string>() + "\n";
  }
  return out;
}

Result<int> ShowVersion(Context& context, const std::string& text) {
  ASSIGN_OR_RETURN(ModelRef ref, Parse(text));
  ASSIGN_OR_RETURN(Json version, context.Call("GET", VersionPath(ref)));
  RETURN_IF_ERROR(context.Print(VersionText(version), version));
  return kExitDone;
}

std::string CompareText(const Json& c) {
  const std::string a = "@" + DumpJson(c["a"]), b = "@" + DumpJson(c["b"]);
  std::string out;
  for (const char* part : {"metrics", "settings", "importance", "schema"}) {
    TextTable table({part, a, b, "DELTA"});
    int same = 0;
    for (const Json& row : c[part]) {
      if (!row["different"].get<bool>()) {
        ++same;
        continue;
      }
      const auto cell = [](const Json& v) {
        return v.is_null()           ? std::string("-")
               : v.is_string()       ? v.get<std::string>()
               : v.is_number_float() ? FormatMetric(v)
                                     : DumpJson(v);
      };
      table.Add({row["name"].get<std::string>(), cell(row["a"]), cell(row["b"]),
                 row.contains("delta") ? FormatMetric(row["delta"]) : ""});
    }
    if (!out.empty() && !table.empty()) out += "\n";
    if (!table.empty()) out += table.ToString();
    if (same > 0)
      out += (table.empty() ? std::string(part) + ": all " : "  and ") + std::to_string(same) +
             " equal\n";
  }
  return out;
}

Result<int> Compare(Context& context, const std::string& text,
                    const std::vector<std::string>& numbers) {
  ASSIGN_OR_RETURN(ModelRef ref, Parse(text));
  std::string a = Selector(ref), b;
  if (numbers.size() == 1) {
    b = numbers[0];
  } else if (numbers.size() == 2) {
    a = numbers[0];
    b = numbers[1];
  }
  ASSIGN_OR_RETURN(Json comparison,
                   context.Call("GET", ModelPath(ref, "/compare?a=" + a + "&b=" + b)));
  RETURN_IF_ERROR(context.Print(CompareText(comparison), comparison));
  return kExitDone;
}

// Activating moves no deployment: which ones serve another version, and how to move them.
std::string BehindText(const Json& version) {
  std::string out;
  for (const Json& each : version.value("deployments_behind", Json::array()))
    out += "deployment " + each["deployment"].get<std::string>() + " (" +
           each["stage"].get<std::string>() + ") still serves " +
           each["serves"].get<std::string>() + "; to move it:\n  " +
           each["command"].get<std::string>() + "\n";
  return out;
}

Result<int> Activate(Context& context, const std::string& text, const std::string& reason) {
  ASSIGN_OR_RETURN(ModelRef ref, Parse(text));
  if (ref.select == ModelRef::Select::kActive) {
    return Usage("which version is to be active?",
                 "name it: " + text + "@3 (slipway model versions " + text + ")");
  }
  ASSIGN_OR_RETURN(Json version,
                   context.Call("POST", VersionPath(ref, "/activate"), {{"reason", reason}}));
  RETURN_IF_ERROR(context.Print("version " + DumpJson(version["version"]) + " of " + ref.project +
                                    "/" + ref.model + " is active\n" + BehindText(version),
                                version));
  return kExitDone;
}

Result<int> Rollback(Context& context, const std::string& text, const std::string& reason) {
  ASSIGN_OR_RETURN(ModelRef ref, Parse(text));
  ASSIGN_OR_RETURN(Json version,
                   context.Call("POST", ModelPath(ref, "/rollback"), {{"reason", reason}}));
  RETURN_IF_ERROR(context.Print("rolled back: version " + DumpJson(version["version"]) + " of " +
                                    ref.project + "/" + ref.model + " is active again\n" +
                                    BehindText(version),
                                version));
  return kExitDone;
}

Result<int> ModelHistory(Context& context, const std::string& text) {
  ASSIGN_OR_RETURN(ModelRef ref, Parse(text));
  ASSIGN_OR_RETURN(Json history, context.Call("GET", ModelPath(ref, "/history")));
  TextTable table({"AT", "KIND", "FROM", "TO", "WHO", "WHY"});
  for (const Json& h : history) {
    table.Add({h["at"].get<std::string>(), h["kind"].get<std::string>(),
               h["from"].is_null() ? "-" : DumpJson(h["from"]), DumpJson(h["to"]),
               h["who"].get<std::string>(), h["why"].get<std::string>()});
  }
  RETURN_IF_ERROR(context.Print(table.ToString(), history));
  return kExitDone;
}

Result<int> DeleteVersion(Context& context, const std::string& text) {
  ASSIGN_OR_RETURN(ModelRef ref, Parse(text));
  if (ref.select != ModelRef::Select::kNumber) {
    return Usage("which version is to be deleted?",
                 "name it: " + ref.project + "/" + ref.model + "@3");
  }
  ASSIGN_OR_RETURN(Json answer, context.Call("DELETE", VersionPath(ref)));
  RETURN_IF_ERROR(context.Print("deleted version " + DumpJson(answer["deleted"]) + " of " +
                                    ref.project + "/" + ref.model + "\n",
                                answer));
  return kExitDone;
}

Result<int> ExportBundle(Context& context, const std::string& text, std::string output,
                         const std::string& format) {
  ASSIGN_OR_RETURN(ModelRef ref, Parse(text));
  ASSIGN_OR_RETURN(Json version, context.Call("GET", VersionPath(ref)));
  ASSIGN_OR_RETURN(Response bundle, context.CallRaw("GET", VersionPath(ref, "/bundle")));
  const bool text_model = format == "lightgbm";
  if (output.empty())
    output = ref.model + "-" + DumpJson(version["version"]) + (text_model ? ".txt" : ".bundle");
  std::string content;
  if (text_model) {
    auto parsed = ReadBundle(bundle.file);
    if (parsed.ok()) {
      content = std::move(parsed->model_text);
    } else {
      ASSIGN_OR_RETURN(content, ReadFile(bundle.file));  // imported as a bare model file
    }
  } else {
    ASSIGN_OR_RETURN(content, ReadFile(bundle.file));
  }
  RETURN_IF_ERROR(WriteFileAtomic(output, content));
  RETURN_IF_ERROR(context.Print(
      "wrote " + output + " (" + FormatBytes(static_cast<int64_t>(content.size())) + ")\n",
      {{"output", output}, {"version", version["version"]}, {"bytes", content.size()}}));
  return kExitDone;
}

Result<int> Import(Context& context, const std::string& text, const std::string& file,
                   const std::string& note, bool activate) {
  ASSIGN_OR_RETURN(ObjectRef ref, ParseObjectRef(text, "saved model"));
  const std::string path = ApiPath("/api/v1/projects/{}/models/{}/import", {ref.project, ref.name});
  Json version;
  ASSIGN_OR_RETURN(const bool remote, context.RemoteHub());
  if (remote) {
    const std::string query = "?file=" + UrlEncode(BaseName(file)) + "&note=" + UrlEncode(note) +
                              "&activate=" + (activate ? "true" : "false");
    ASSIGN_OR_RETURN(version, context.Upload(path + query, AbsolutePath(file)));
  } else {
    const Json body = {{"path", AbsolutePath(file)}, {"note", note}, {"activate", activate}};
    ASSIGN_OR_RETURN(version, context.Call("POST", path, body));
  }
  RETURN_IF_ERROR(context.Print("imported as version " + DumpJson(version["version"]) + " of " +
                                    text + (version["active"].get<bool>() ? ", active\n" : "\n"),
                                version));
  return kExitDone;
}

}  // namespace

void AddModelCommands(CLI::App* app, Invocation* invocation) {
  CLI::App* model =
      app->add_subcommand("model", "saved models and their versions")->require_subcommand(1);
  static std::string ref, project, reason, file, output, note, format = "bundle";
  static std::vector<std::string> numbers;
  static bool keep_active = false;
  const auto add = [&](const char* name, const char* about, bool needs_ref = true) {
    CLI::App* command = model->add_subcommand(name, about);
    if (needs_ref)
      command->add_option("REF", ref, "PROJECT/MODEL, PROJECT/MODEL@3, @active, @latest")
          ->required();
    return command;
  };
  CLI::App* ls = add("ls", "saved models", false);
  ls->add_option("PROJECT", project, "only this project's");
  Handle(ls, invocation, [](Context& c) { return ListModels(c, project); });
  Handle(add("versions", "versions with their metrics; the active one is marked"), invocation,
         [](Context& c) { return Versions(c, ref); });
  Handle(add("show", "everything about one version"), invocation,
         [](Context& c) { return ShowVersion(c, ref); });
  CLI::App* compare = add("compare", "differences between two versions");
  compare->add_option("VERSIONS", numbers, "one number: against REF; two: against each other")
      ->required()
      ->expected(1, 2);
  Handle(compare, invocation, [](Context& c) { return Compare(c, ref, numbers); });
  CLI::App* activate = add("activate", "makes a version the active one");
  activate->add_option("--reason", reason, "kept in the history");
  Handle(activate, invocation, [](Context& c) { return Activate(c, ref, reason); });
  CLI::App* rollback = add("rollback", "activates the previously active version");
  rollback->add_option("--reason", reason, "kept in the history");
  Handle(rollback, invocation, [](Context& c) { return Rollback(c, ref, reason); });
  Handle(add("history", "activations: who, when, why"), invocation,
         [](Context& c) { return ModelHistory(c, ref); });
  Handle(add("delete", "deletes a version that is neither active nor used"), invocation,
         [](Context& c) { return DeleteVersion(c, ref); });
  static LineageOptions lineage_options;
  CLI::App* lineage =
      add("lineage", "where a version, or an answer of an API node, came from", false);
  AddLineageOptions(lineage, &lineage_options);
  Handle(lineage, invocation, [](Context& c) { return RunLineage(c, lineage_options); });
  CLI::App* export_ = add("export", "writes a version's bundle, or its LightGBM text, to a file");
  export_->add_option("-o,--output", output, "file (default: MODEL-N.bundle)");
  export_->add_option("--format", format, "bundle or lightgbm")
      ->check(CLI::IsMember({"bundle", "lightgbm"}));
  Handle(export_, invocation, [](Context& c) { return ExportBundle(c, ref, output, format); });
  CLI::App* import_ = add("import", "adds a version from a bundle or a LightGBM text file");
  import_->add_option("FILE", file, "the bundle or model file")->required();
  import_->add_option("--note", note, "kept with the version");
  import_->add_flag("--no-activate", keep_active, "leave the active version as it is");
  Handle(import_, invocation, [](Context& c) { return Import(c, ref, file, note, !keep_active); });
}

}  // namespace slipway
