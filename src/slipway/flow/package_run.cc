#include "slipway/flow/package_run.h"

#include <algorithm>
#include <set>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/flow/datasets.h"
#include "slipway/flow/package_changes.h"

namespace slipway {
namespace {

std::string ModelName(const PackageModel& model) {
  return model.project + "/" + model.model + "@" + std::to_string(model.version);
}

// What of the outcome stays with the package.
Json Summary(const Json& result, const Json& fingerprints, const PackageJob& job) {
  return {{"endpoints", result["endpoints"]},
          {"tables", result["tables"]},
          {"test_queries", result["test_queries"]},
          {"warnings", result["warnings"]},
          {"datasets", fingerprints},
          {"versions", job.versions}};
}

Result<Json> MakeTask(const ActivityContext& context, const PackageJob& job, int64_t number,
                      const std::string& created_at, Json* fingerprints) {
  Json models = Json::object(), datasets = Json::object();
  for (const PackageModel& model : job.models) {
    ASSIGN_OR_RETURN(const std::string path,
                     context.registry->blobs().Path(job.bundle.at(model.endpoint)));
    models[model.endpoint] = {{"name", ModelName(model)}, {"path", path}};
  }
  for (const std::string& name : job.datasets) {
    ASSIGN_OR_RETURN(
        const ResolvedDataset data,
        ResolveDataset(*context.registry, *context.project, name,
                       {.fingerprint = true, .persist = true, .check = context.check}));
    datasets[name] = FilesSpecToJson(data.spec);
    (*fingerprints)[name] = data.fingerprint;
  }
  const std::string folder = JoinPath(context.work_folder, "package");
  RETURN_IF_ERROR(MakeDirs(folder));
  return Json{{"service", job.service},
              {"id", PackageId(number)},
              {"created_at", created_at},
              {"created_by", context.who},
              {"notes", job.notes},
              {"definition", job.definition},
              {"force", job.force},
              {"models", std::move(models)},
              {"datasets", std::move(datasets)},
              {"folder", folder},
              {"output", JoinPath(folder, "package.zip")}};
}

}  // namespace

Result<VersionRecord> EndpointVersion(Registry& registry, const std::string& project,
                                      const EndpointDefinition& endpoint) {
  ASSIGN_OR_RETURN(const ModelRef ref, ParseModelRefIn(project, endpoint.model));
  return registry.models().Resolve(ref);
}

Result<PackageJob> PlanPackage(Registry& registry, const ProjectDefinition& project,
                               const std::string& service, bool persist, const FileCheck& check) {
  if (!project.services.contains(service)) {
    std::vector<std::string> known;
    for (const auto& [name, definition] : project.services.items()) known.push_back(name);
    std::string hint = DidYouMean(service, known);
    if (hint.empty())
      hint = known.empty() ? "services are defined under 'services:' of the project's YAML"
                           : "there are " + QuotedList(known);
    return NotFound("project '" + project.name + "' has no service '" + service + "'", hint);
  }
  PackageJob job;
  job.service = service;
  job.definition = project.services[service];
  const ServiceDefinition definition = ReadService(service, job.definition);
  if (definition.endpoints.empty()) {
    return InvalidArgument("service '" + project.name + "/" + service + "' has no endpoints",
                           "define one under 'endpoints:'");
  }
  for (const EndpointDefinition& endpoint : definition.endpoints) {
    if (endpoint.lookup) continue;
    auto version = EndpointVersion(registry, project.name, endpoint);
    if (!version.ok()) return version.error().Within("endpoint '" + endpoint.id + "'");
    job.models.push_back({endpoint.id, version->project, version->model, version->number});
    job.bundle[endpoint.id] = version->bundle;
    job.versions[endpoint.id] = VersionFacts(*version);
  }
  std::set<std::string> datasets = TablesOf(definition);
  datasets.merge(DrawnFrom(definition));
  for (const std::string& name : datasets) {
    auto data = ResolveDataset(registry, project, name, {.persist = persist, .check = check});
    if (!data.ok()) return data.error();
    job.datasets.push_back(name);
  }
  return job;
}

Result<ActivityRecord> RunPackage(const ActivityContext& context, const PackageJob& job) {
  Registry& registry = *context.registry;
  const std::string& project = context.project->name;
  ASSIGN_OR_RETURN(const std::optional<PackageRecord> before,
                   registry.packages().Latest(project, job.service));
  ASSIGN_OR_RETURN(const int64_t number, registry.packages().NextNumber(project, job.service));
  if (job.number != 0 && job.number != number)
    return Conflict("the next package of '" + project + "/" + job.service + "' is " +
                        PackageId(number) + ", not " + PackageId(job.number),
                    "its numbers are never given twice");
  const std::string created_at = NowText();
  Json fingerprints = Json::object();
  ASSIGN_OR_RETURN(const Json task,
                   MakeTask(context, job, number,
                            job.created_at.empty() ? created_at : job.created_at, &fingerprints));
  WorkerRun run;
  run.kind = "package";
  run.work_folder = task["folder"].get<std::string>();
  run.log_path = context.log_path;
  run.on_progress = context.on_progress;
  run.cancel = context.cancel;
  run.also_cancel = context.also_cancel;
  ASSIGN_OR_RETURN(const Json result, RunWorker(run, task));

  NewPackage package;
  package.project = project;
  package.service = job.service;
  package.number = number;
  ASSIGN_OR_RETURN(package.path, GetString(result, "path"));
  package.move_file = true;
  ASSIGN_OR_RETURN(package.content_hash, GetString(result, "content_hash"));
  package.definition_json = DumpJson(job.definition);
  package.summary_json = DumpJson(Summary(result, fingerprints, job));
  package.notes = job.notes;
  package.created_at = created_at;
  package.who = context.who;
  package.models = job.models;
  ASSIGN_OR_RETURN(const PackageRecord record, registry.packages().Add(package));
  const bool same = before && before->content_hash == record.content_hash;
  Json details = Summary(result, fingerprints, job);
  details.erase("versions");
  details["changes"] = Json();
  if (before) {
    ASSIGN_OR_RETURN(const PackageFacts old, FactsOf(registry, *before));
    ASSIGN_OR_RETURN(const PackageFacts made, FactsOf(registry, record));
    details["changes"] = ComparePackages(old, made);
  }
  details["package"] = PackageId(record.number);
  details["number"] = record.number;
  details["unchanged_since"] = same ? Json(PackageId(before->number)) : Json();
  details["bytes"] = record.bytes;
  details["sha256"] = record.blob;
  ActivityRecord activity;
  activity.details_json = DumpJson(details);
  return activity;
}

Result<Json> ChangesSincePackage(Registry& registry, const ProjectDefinition& project,
                                 const std::string& service, const PackageRecord& package,
                                 const FileCheck& check) {
  ASSIGN_OR_RETURN(const PackageFacts before, FactsOf(registry, package));
  PackageFacts now;
  now.definition = project.services[service];
  std::vector<std::string> problems;
  const ServiceDefinition definition = ReadService(service, now.definition);
  for (const EndpointDefinition& endpoint : definition.endpoints) {
    if (endpoint.lookup) continue;
    const auto version = EndpointVersion(registry, project.name, endpoint);
    if (version.ok()) {
      now.models[endpoint.id] = version->model + "@" + std::to_string(version->number);
      now.versions[endpoint.id] = VersionFacts(*version);
    } else if (before.models.contains(endpoint.id)) {
      problems.push_back("endpoint " + endpoint.id + ": " + version.error().message);
    }
  }
  for (const std::string& name : TablesOf(definition)) {
    if (!before.tables.contains(name)) continue;
    const auto data =
        ResolveDataset(registry, project, name, {.fingerprint = true, .check = check});
    if (data.ok()) {
      now.tables[name] = data->fingerprint;
    } else {
      problems.push_back("table " + name + ": " + data.error().message);
    }
  }
  Json out = ComparePackages(before, now);
  for (const std::string& problem : problems) out["text"].push_back(problem);
  return out;
}

}  // namespace slipway
