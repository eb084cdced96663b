#include "slipway/flow/package_task.h"

#include <list>
#include <map>
#include <memory>
#include <optional>

#include "slipway/base/file.h"
#include "slipway/base/hash.h"
#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/flow/package_answer.h"
#include "slipway/flow/package_queries.h"
#include "slipway/flow/package_tables.h"
#include "slipway/package/openapi.h"

namespace slipway {
namespace {

// A model version that goes in: once, however many endpoints answer with it.
struct PackagedModel {
  std::string name, path, part;
  std::unique_ptr<Model> model;
  std::optional<BundleContent> bundle;  // none: a bare model file
};

class PackageMaker {
 public:
  PackageMaker(const Json& task, WorkerReporter* reporter, const std::atomic<bool>* cancel)
      : task_(task), reporter_(reporter), cancel_(cancel), tables_(datasets_) {}

  Result<Json> Make() {
    RETURN_IF_ERROR(ReadTask());
    for (const EndpointDefinition& endpoint : service_.endpoints)
      RETURN_IF_ERROR(AddEndpoint(endpoint));
    RETURN_IF_ERROR(tables_.Build(folder_, Progress("table"), cancel_, &queries_.warnings));
    for (size_t i = 0; i < service_.endpoints.size(); ++i)
      RETURN_IF_ERROR(AddQueries(service_.endpoints[i], manifest_.endpoints[i]));
    RETURN_IF_ERROR(CheckExpectations());
    reporter_->Progress({"write", -1, 0, ""});
    return Write();
  }

 private:
  std::function<void(const std::string&, double, int64_t)> Progress(const std::string& stage) {
    return [this, stage](const std::string& dataset, double part, int64_t rows) {
      reporter_->Progress({stage + " " + dataset, part, rows, ""});
    };
  }

  Status ReadTask() {
    ASSIGN_OR_RETURN(manifest_.service, GetString(task_, "service"));
    ASSIGN_OR_RETURN(manifest_.id, GetString(task_, "id"));
    ASSIGN_OR_RETURN(manifest_.created_at, GetString(task_, "created_at"));
    ASSIGN_OR_RETURN(manifest_.created_by, GetString(task_, "created_by"));
    ASSIGN_OR_RETURN(manifest_.notes, GetString(task_, "notes"));
    ASSIGN_OR_RETURN(folder_, GetString(task_, "folder"));
    ASSIGN_OR_RETURN(const Json* definition, GetObject(task_, "definition"));
    service_ = ReadService(manifest_.service, *definition);
    manifest_.auth = service_.auth;
    ASSIGN_OR_RETURN(const Json* datasets, GetObject(task_, "datasets"));
    for (const auto& [name, spec] : datasets->items()) {
      ASSIGN_OR_RETURN(datasets_[name], FilesSpecFromJson(spec));
    }
    return {};
  }

  Result<PackagedModel*> OpenModel(const std::string& endpoint) {
    ASSIGN_OR_RETURN(const Json* models, GetObject(task_, "models"));
    ASSIGN_OR_RETURN(const Json* given, GetObject(*models, endpoint));
    PackagedModel model;
    ASSIGN_OR_RETURN(model.name, GetString(*given, "name"));
    ASSIGN_OR_RETURN(model.path, GetString(*given, "path"));
    std::vector<std::string> taken;
    for (PackagedModel& known : models_) {
      if (known.name == model.name) return &known;
      taken.push_back(known.part);
    }
    reporter_->Progress({"load " + model.name, -1, 0, ""});
    auto opened = Model::Open(model.path);
    if (!opened.ok()) return opened.error().Within("model '" + model.name + "'");
    model.model = *std::move(opened);
    ASSIGN_OR_RETURN(const std::string head, ReadFile(model.path));
    if (LooksLikeBundle(head)) {
      ASSIGN_OR_RETURN(model.bundle, ParseBundle(head));
    }
    std::string part = model.name.substr(model.name.find('/') + 1);
    if (const size_t at = part.find('@'); at != std::string::npos) part[at] = '-';
    model.part = PartName(part, model.bundle ? ".bundle" : ".model", taken);
    models_.push_back(std::move(model));
    return &models_.back();
  }

  Status AddEndpoint(const EndpointDefinition& definition) {
    PackageEndpoint endpoint;
    endpoint.id = definition.id;
    endpoint.description = definition.description;
    endpoint.type = definition.lookup ? EndpointType::kLookup : EndpointType::kPrediction;
    endpoint.explain_by_default = definition.explain;
    endpoint.explanations = definition.explanations;
    const Schema* wanted = nullptr;
    if (!definition.lookup) {
      ASSIGN_OR_RETURN(PackagedModel * model, OpenModel(definition.id));
      endpoint.model = model->name;
      endpoint.model_part = model->part;
      wanted = &model->model->inputs();
      endpoint_models_[definition.id] = model;
    }
    const std::string who = "endpoint '" + definition.id + "'";
    for (size_t i = 0; i < definition.tables.size(); ++i) {
      std::vector<std::string> later_keys;
      for (size_t j = i + 1; wanted != nullptr && j < definition.tables.size(); ++j) {
        for (const TableUseDefinition::Pair& key : definition.tables[j].keys)
          later_keys.push_back(key.field);
      }
      ASSIGN_OR_RETURN(TableUse use, tables_.Add(definition.tables[i], wanted, later_keys, who));
      RETURN_IF_ERROR(
          CheckFields(use, definition.lookup ? endpoint.tables : endpoint.enrichments, who));
      (definition.lookup ? endpoint.tables : endpoint.enrichments).push_back(std::move(use));
    }
    manifest_.endpoints.push_back(std::move(endpoint));
    return {};
  }

  // Short forms name columns that nobody wrote down: only now are clashes known.
  static Status CheckFields(const TableUse& use, const std::vector<TableUse>& before,
                            const std::string& who) {
    for (const TableUse& other : before) {
      for (const TableUse::Pair& a : other.columns) {
        for (const TableUse::Pair& b : use.columns) {
          if (a.field != b.field) continue;
          return InvalidArgument(who + " gets '" + a.field + "' twice, from '" + other.table +
                                     "' and from '" + use.table + "'",
                                 "give one of them another name under 'columns'");
        }
      }
    }
    return {};
  }

  Status AddQueries(const EndpointDefinition& definition, const PackageEndpoint& endpoint) {
    std::map<std::string, const LookupTable*> tables;
    for (const PackageTable& table : tables_.tables()) tables[table.part] = table.table.get();
    const auto model = endpoint_models_.find(definition.id);
    QueryContext context;
    context.definition = &definition;
    context.endpoint = &endpoint;
    context.model = model == endpoint_models_.end() ? nullptr : model->second->model.get();
    const EndpointAnswerer answerer(endpoint, context.model, std::move(tables));
    context.answerer = &answerer;
    context.datasets = &datasets_;
    context.progress = Progress("draw from");
    context.cancel = cancel_;
    return MakeTestQueries(context, &queries_);
  }

  Status CheckExpectations() {
    if (queries_.mismatches.empty()) return {};
    const std::string what = queries_.mismatches.size() == 1
                                 ? "a test query does not give what it expects"
                                 : std::to_string(queries_.mismatches.size()) +
                                       " test queries do not give what they expect";
    if (task_.value("force", false)) {
      queries_.warnings.insert(queries_.warnings.end(), queries_.mismatches.begin(),
                               queries_.mismatches.end());
      return {};
    }
    std::string text = what;
    for (size_t i = 0; i < queries_.mismatches.size() && i < 10; ++i)
      text += (i == 0 ? ": " : "; ") + queries_.mismatches[i];
    if (queries_.mismatches.size() > 10) text += "; and more";
    return InvalidArgument(text,
                           "correct the expectation or the model; --force packages it as it is");
  }

  Result<Json> Write() {
    PackageContent content;
    content.manifest = manifest_;
    std::vector<EndpointDescription> descriptions;
    for (const PackageEndpoint& endpoint : content.manifest.endpoints) {
      EndpointDescription description;
      description.endpoint = &endpoint;
      if (const auto model = endpoint_models_.find(endpoint.id); model != endpoint_models_.end())
        description.bundle = model->second->bundle ? &*model->second->bundle : nullptr;
      for (const auto* uses : {&endpoint.enrichments, &endpoint.tables}) {
        for (const TableUse& use : *uses)
          description.tables.push_back(&tables_.Find(use.part)->schema());
      }
      descriptions.push_back(std::move(description));
    }
    for (const PackagedModel& model : models_) content.files[model.part] = model.path;
    for (const PackageTable& table : tables_.tables()) content.files[table.part] = table.path;
    content.openapi = ServiceOpenApi(content.manifest, descriptions);
    content.test_queries = Json::array();
    for (const TestQuery& query : queries_.queries)
      content.test_queries.push_back(TestQueryToJson(query));
    ASSIGN_OR_RETURN(const std::string output, GetString(task_, "output"));
    RETURN_IF_ERROR(WritePackage(output, content));
    ASSIGN_OR_RETURN(const PackageManifest written, ReadPackageManifest(output));
    return Describe(output, written);
  }

  Json Describe(const std::string& output, const PackageManifest& written) const {
    Json endpoints = Json::array();
    for (const PackageEndpoint& endpoint : written.endpoints) {
      const auto queries =
          std::count_if(queries_.queries.begin(), queries_.queries.end(),
                        [&](const TestQuery& query) { return query.endpoint == endpoint.id; });
      Json tables = Json::array();
      for (const auto* uses : {&endpoint.enrichments, &endpoint.tables}) {
        for (const TableUse& use : *uses) tables.push_back(use.table);
      }
      endpoints.push_back({{"endpoint", endpoint.id},
                           {"type", EndpointTypeName(endpoint.type)},
                           {"model", endpoint.model.empty() ? Json() : Json(endpoint.model)},
                           {"tables", std::move(tables)},
                           {"test_queries", queries}});
    }
    Json tables = Json::array();
    for (const PackageTable& table : tables_.tables()) {
      tables.push_back({{"table", table.dataset},
                        {"part", table.part},
                        {"keys", table.keys},
                        {"columns", table.columns},
                        {"rows", table.table->rows()},
                        {"bytes", table.table->file_bytes()}});
    }
    return {{"path", output},
            {"content_hash", ContentHash(written)},
            {"endpoints", std::move(endpoints)},
            {"tables", std::move(tables)},
            {"test_queries", queries_.queries.size()},
            {"warnings", queries_.warnings}};
  }

  // Of what the package does: without what differs from one packaging to the next.
  static std::string ContentHash(const PackageManifest& written) {
    PackageManifest content = written;
    content.id = "v0";
    content.created_at = content.created_by = content.notes = "";
    // The description of the API names the version; it follows from the rest.
    std::erase_if(content.parts,
                  [](const PackagePart& part) { return part.name == "openapi.json"; });
    return Sha256Hex(DumpJson(ManifestToJson(content)));
  }

  const Json& task_;
  WorkerReporter* reporter_;
  const std::atomic<bool>* cancel_;
  ServiceDefinition service_;
  PackageManifest manifest_;
  std::string folder_;
  std::map<std::string, FilesSpec> datasets_;
  std::list<PackagedModel> models_;  // pointers into it stay
  std::map<std::string, PackagedModel*> endpoint_models_;
  PackageTables tables_;
  MadeQueries queries_;
};

}  // namespace

Result<Json> RunPackageTask(const Json& task, WorkerReporter* reporter,
                            const std::atomic<bool>* cancel) {
  return PackageMaker(task, reporter, cancel).Make();
}

}  // namespace slipway
