#include "slipway/flow/datasets.h"

#include "slipway/base/file.h"
#include "slipway/base/hash.h"
#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/jobs/worker.h"

namespace slipway {
namespace {

std::string DefinitionHash(const FilesSpec& stated) {
  return Sha256Hex(DumpJson(FilesSpecToJson(stated)));
}

// Of what is read, not only of the bytes: the same file with other types, another dialect or
// another policy for bad rows is other data.
std::string ReadFingerprint(const std::string& content, const FilesSpec& spec) {
  FilesSpec how = spec;
  how.paths.clear();
  return Xxh3Hex128(content + DumpJson(FilesSpecToJson(how)));
}

std::vector<std::string> DatasetNames(const ProjectDefinition& project) {
  std::vector<std::string> names;
  for (const auto& [name, definition] : project.datasets) names.push_back(name);
  return names;
}

Result<ResolvedDataset> ResolveManaged(Registry& registry, const ProjectDefinition& project,
                                       const std::string& name) {
  ASSIGN_OR_RETURN(std::optional<DatasetState> state, registry.datasets().Find(project.name, name));
  if (!state) {
    return InvalidArgument("the managed dataset '" + name + "' has no data yet",
                           "build it: slipway build " + project.name + "/" + name);
  }
  ResolvedDataset out;
  out.spec.paths = {state->path};
  out.spec.format = Format::kParquet;
  ASSIGN_OR_RETURN(Json schema, ParseJson(state->schema_json));
  ASSIGN_OR_RETURN(out.spec.schema, SchemaFromJson(schema));
  out.files = {state->path};
  out.bytes = state->bytes;
  out.rows = state->rows;
  out.fingerprint = state->fingerprint;
  return out;
}

// Fills spec, files, bytes and warnings from what an inspection said.
Status TakeInspection(const Json& inspection, ResolvedDataset* out) {
  ASSIGN_OR_RETURN(const Json* spec, GetObject(inspection, "spec"));
  ASSIGN_OR_RETURN(out->spec, FilesSpecFromJson(*spec));
  ASSIGN_OR_RETURN(out->files, GetStrings(inspection, "files"));
  ASSIGN_OR_RETURN(out->bytes, GetInt(inspection, "bytes"));
  ASSIGN_OR_RETURN(out->warnings, GetStrings(inspection, "warnings"));
  return {};
}

}  // namespace

Result<FilesSpec> SpecFromDefinition(const DatasetDefinition& definition) {
  const Json& settings = definition.settings;
  FilesSpec spec;
  spec.paths = definition.paths;
  if (const Json* format = FindMember(settings, "format")) {
    spec.format = FormatFromName(format->get<std::string>());
    if (!spec.format) return InvalidArgument("unknown format " + DumpJson(*format));
  }
  CsvDialect dialect;
  bool stated = false;
  for (const char* key : {"delimiter", "quote", "escape"}) {
    const Json* value = FindMember(settings, key);
    if (value == nullptr) continue;
    const std::string text = value->get<std::string>();
    const char c = text.empty() ? '\0' : text == "\\t" ? '\t' : text.front();
    (key == std::string_view("delimiter") ? dialect.delimiter
     : key == std::string_view("quote")   ? dialect.quote
                                          : dialect.escape) = c;
    if (key == std::string_view("quote")) dialect.escape = c;
    stated = true;
  }
  if (const Json* header = FindMember(settings, "header")) {
    dialect.header = header->get<bool>();
    stated = true;
  }
  if (const Json* lines = FindMember(settings, "skip_lines")) {
    dialect.skip_lines = lines->get<int>();
    stated = true;
  }
  if (const Json* encoding = FindMember(settings, "encoding")) {
    dialect.encoding = encoding->get<std::string>();
    stated = true;
  }
  if (stated) {
    spec.dialect = dialect;
    spec.sniff_delimiter = FindMember(settings, "delimiter") == nullptr;
    spec.sniff_header = FindMember(settings, "header") == nullptr;
  }
  if (const Json* schema = FindMember(settings, "schema")) {
    Json list = *schema;
    if (schema->is_object()) {
      list = Json::array();
      for (const auto& [column, type] : schema->items())
        list.push_back({{"name", column}, {"type", type}});
    }
    ASSIGN_OR_RETURN(spec.schema, SchemaFromJson(list));
  }
  if (const Json* policy = FindMember(settings, "on_bad_rows")) {
    const std::string word = policy->get<std::string>();
    spec.on_bad_rows = word == "skip"         ? OnBadRows::kSkip
                       : word == "quarantine" ? OnBadRows::kQuarantine
                                              : OnBadRows::kFail;
  }
  return spec;
}

Result<Json> RunLook(const std::string& kind, const Json& task) {
  ASSIGN_OR_RETURN(TempDir scratch, TempDir::Make());
  WorkerRun run;
  run.kind = kind;
  run.work_folder = scratch.path();
  run.log_path = scratch.File("log.txt");
  return RunWorker(run, task);
}

Result<ResolvedDataset> ResolveDataset(Registry& registry, const ProjectDefinition& project,
                                       const std::string& name, const ResolveOptions& options) {
  auto it = project.datasets.find(name);
  if (it == project.datasets.end()) {
    return NotFound("project '" + project.name + "' has no dataset '" + name + "'",
                    DidYouMean(name, DatasetNames(project)));
  }
  if (it->second.type == DatasetType::kManaged) return ResolveManaged(registry, project, name);
  if (options.check) RETURN_IF_ERROR(options.check(it->second.paths));

  ASSIGN_OR_RETURN(FilesSpec stated, SpecFromDefinition(it->second));
  const std::string hash = DefinitionHash(stated);
  ASSIGN_OR_RETURN(std::optional<FilesState> known,
                   registry.datasets().FindFilesState(project.name, name));
  ResolvedDataset out;
  FilesState state;
  bool changed = false;
  if (known && known->definition_hash == hash && !options.refresh) {
    state = *known;
    ASSIGN_OR_RETURN(Json inspection, ParseJson(state.inspection_json));
    RETURN_IF_ERROR(TakeInspection(inspection, &out));
  } else {
    auto inspection = RunLook("inspect", {{"input", FilesSpecToJson(stated)}});
    if (!inspection.ok()) return inspection.error().Within("dataset '" + name + "'");
    RETURN_IF_ERROR(TakeInspection(*inspection, &out));
    state.definition_hash = hash;
    state.inspection_json = DumpJson(*inspection);
    state.bytes = out.bytes;
    changed = true;
  }
  if (options.fingerprint) {
    auto fingerprint = FingerprintFiles(out.spec, state.fingerprint_state);
    if (!fingerprint.ok()) return fingerprint.error().Within("dataset '" + name + "'");
    const std::string value = ReadFingerprint(fingerprint->value, out.spec);
    if (value != state.fingerprint || fingerprint->state != state.fingerprint_state) {
      if (value != state.fingerprint) state.rows.reset();
      state.fingerprint = value;
      state.fingerprint_state = fingerprint->state;
      state.bytes = fingerprint->bytes;
      changed = true;
    }
    out.fingerprint = state.fingerprint;
    out.bytes = state.bytes;
  }
  out.rows = state.rows;
  if (changed && options.persist)
    RETURN_IF_ERROR(registry.datasets().PutFilesState(project.name, name, state));
  if (changed && !options.persist) out.learned = state;
  return out;
}

}  // namespace slipway
