// Fills a home for `./run bench hub`: versions of saved models, written by the registry itself,
// without training each. Every version is a copy of one that was trained: the same bundle, its info
// with other metrics.
//   hub_seed HOME PROJECT/MODEL PER_MODEL PROJECT...    PER_MODEL versions of every model that the
//                                                       projects define
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <unistd.h>

#include "slipway/base/json.h"
#include "slipway/registry/registry.h"

namespace slipway {
namespace {

Status Fill(const std::string& home, const std::string& original, int64_t per_model,
            const std::vector<std::string>& projects) {
  ASSIGN_OR_RETURN(const auto registry, Registry::OpenForWriting(home, "hub_seed"));
  Models& models = registry->models();
  ASSIGN_OR_RETURN(const ModelRef ref, ParseModelRef(original));
  ASSIGN_OR_RETURN(const VersionRecord trained, models.Resolve(ref));
  ASSIGN_OR_RETURN(const Json info, ParseJson(trained.info_json));
  NewVersion version;
  ASSIGN_OR_RETURN(version.bundle_path, models.BundlePath(trained));
  ASSIGN_OR_RETURN(version.reference_path, models.ReferencePath(trained));
  version.dataset_fingerprint = trained.dataset_fingerprint;
  version.build = trained.build;
  version.who = "bench";
  version.note = "a copy of the one that was trained";
  // One transaction: nobody waits for these to be durable one by one.
  ASSIGN_OR_RETURN(Transaction transaction, registry->Begin());
  int64_t made = 0;
  for (const std::string& name : projects) {
    ASSIGN_OR_RETURN(const ProjectRecord project, registry->projects().Get(name));
    ASSIGN_OR_RETURN(const Json definition, ParseJson(project.definition_json));
    ASSIGN_OR_RETURN(const Json* defined, GetObject(definition, "models"));
    for (const auto& [model, settings] : defined->items()) {
      for (int64_t i = 0; i < per_model; ++i) {
        Json mine = info;
        for (auto& [metric, value] : mine["metrics"].items()) {
          if (value.is_number()) value = value.get<double>() * (1 + 1e-4 * static_cast<double>(i));
        }
        version.info_json = DumpJson(mine);
        version.activate = i % 3 == 0;
        RETURN_IF_ERROR(models.AddVersion(name, model, version));
        ++made;
      }
    }
  }
  RETURN_IF_ERROR(transaction.Commit());
  std::printf("%lld versions\n", static_cast<long long>(made));
  return {};
}

}  // namespace
}  // namespace slipway

// In place of the C library's: 40,000 of them took two minutes, and nobody would miss a home that a
// power cut took. What is on the disk is synced once, at the end.
extern "C" int fsync(int) { return 0; }
extern "C" int fdatasync(int) { return 0; }

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: hub_seed HOME PROJECT/MODEL PER_MODEL PROJECT...\n");
    return 2;
  }
  const slipway::Status status =
      slipway::Fill(argv[1], argv[2], std::atoll(argv[3]), {argv + 4, argv + argc});
  ::sync();
  if (status.ok()) return 0;
  std::fprintf(stderr, "hub_seed: %s\n", status.error().message.c_str());
  return 1;
}
