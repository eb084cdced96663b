#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/cli/commands.h"
#include "slipway/cli/service_ref.h"
#include "slipway/cli/trial_node.h"
#include "slipway/package/package.h"
#include "slipway/package/test_query.h"

namespace slipway {
namespace {

Result<std::string> PackageFile(Context& context, const std::string& text) {
  if (NamesFile(text)) return AbsolutePath(text);
  ASSIGN_OR_RETURN(const ServiceRef ref, ParseServiceRef(text));
  ASSIGN_OR_RETURN(const Response archive, context.CallRaw("GET", ref.PackagePath("/archive")));
  return archive.file;
}

Json OutcomesAsAnswer(const Json& outcomes, const std::string& generation) {
  Json out = Json::array();
  for (const Json& outcome : outcomes) {
    out.push_back({{"endpoint", outcome.value("endpoint", "")},
                   {"query", outcome.value("name", "")},
                   {"ok", outcome.value("ok", false)},
                   {"answer", outcome.value("answer", Json())},
                   {"expected", outcome.value("expected", Json())},
                   {"difference", outcome.value("difference", "")},
                   {"generation", generation},
                   {"milliseconds", outcome.value("milliseconds", 0.0)}});
  }
  return out;
}

}  // namespace

Result<int> TestService(Context& context, const std::string& text) {
  ASSIGN_OR_RETURN(const std::string path, PackageFile(context, text));
  ASSIGN_OR_RETURN(const PackageManifest manifest, ReadPackageManifest(path));
  ASSIGN_OR_RETURN(const std::unique_ptr<TrialNode> node, TrialNode::Start());
  RETURN_IF_ERROR(node->Import(path, manifest.service));
  ASSIGN_OR_RETURN(const Json outcomes, node->Test(manifest.service, manifest.id));
  if (!outcomes.is_array()) return Unavailable("the API node's outcomes are no list");
  const Json answer = OutcomesAsAnswer(outcomes, manifest.id);
  TextTable table({"ENDPOINT", "QUERY", "OUTCOME", "MS"});
  int64_t failed = 0;
  for (const Json& outcome : answer) {
    const bool ok = outcome["ok"].get<bool>();
    failed += ok ? 0 : 1;
    char milliseconds[32];
    std::snprintf(milliseconds, sizeof milliseconds, "%.3f", outcome["milliseconds"].get<double>());
    table.Add({outcome["endpoint"].get<std::string>(), outcome["query"].get<std::string>(),
               ok ? "ok" : outcome["difference"].get<std::string>(), milliseconds});
  }
  const auto count = static_cast<int64_t>(answer.size());
  std::string human = table.empty() ? "" : table.ToString() + "\n";
  human += manifest.service + " " + manifest.id + ": " +
           (count == 0    ? "no test queries\n"
            : failed == 0 ? QueryCount(count) + ", all as expected\n"
                          : std::to_string(failed) + " of " + QueryCount(count) + " failed\n");
  RETURN_IF_ERROR(context.Print(human, answer));
  return failed == 0 ? kExitDone : kExitDifference;
}

Result<int> ShowPackageFile(Context& context, const std::string& path) {
  ASSIGN_OR_RETURN(const TempDir folder, TempDir::Make());
  ASSIGN_OR_RETURN(const PackageManifest manifest,
                   UnpackPackage(AbsolutePath(path), folder.File("package")));
  ASSIGN_OR_RETURN(const std::vector<TestQuery> queries, ReadTestQueries(folder.File("package")));
  std::string human = manifest.service + " " + manifest.id + ", made " + manifest.created_at +
                      " by " + manifest.created_by + "\n";
  if (!manifest.notes.empty()) human += "notes: " + manifest.notes + "\n";
  TextTable endpoints({"ENDPOINT", "TYPE", "MODEL", "TABLES"}), parts({"PART", "BYTES", "SHA256"});
  for (const PackageEndpoint& endpoint : manifest.endpoints) {
    std::vector<std::string> tables;
    for (const auto* uses : {&endpoint.enrichments, &endpoint.tables}) {
      for (const TableUse& use : *uses) tables.push_back(use.table);
    }
    endpoints.Add({endpoint.id, std::string(EndpointTypeName(endpoint.type)),
                   endpoint.model.empty() ? "-" : endpoint.model,
                   tables.empty() ? "-" : Join(tables, ", ")});
  }
  for (const PackagePart& part : manifest.parts)
    parts.Add({part.name, FormatCount(part.bytes), part.sha256.substr(0, 16)});
  human += "\n" + endpoints.ToString() + "\n" + parts.ToString() + "\n" +
           QueryCount(static_cast<int64_t>(queries.size())) +
           "; every part has the hash that the manifest says\n";
  Json json = {{"verified", true}, {"manifest", ManifestToJson(manifest)}};
  json["test_queries"] = Json::array();
  for (const TestQuery& query : queries) json["test_queries"].push_back(TestQueryToJson(query));
  RETURN_IF_ERROR(context.Print(human, json));
  return kExitDone;
}

}  // namespace slipway
