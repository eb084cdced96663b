// Registry::CheckIntegrity: what doctor says about a home. Reads only.
#include "slipway/base/text.h"
#include "slipway/registry/registry.h"

namespace slipway {
namespace {

constexpr const char* kRestore = "restore the home from a backup";

void Add(std::vector<Finding>* findings, const Error& error) {
  findings->push_back({true, error.message, error.hint});
}

Status CheckBlobs(const Blobs& blobs, bool deep, std::vector<Finding>* findings) {
  ASSIGN_OR_RETURN(const std::vector<Blob> all, blobs.List());
  for (const Blob& blob : all) {
    Status status;
    if (deep) {
      status = blobs.Verify(blob.hash);
    } else if (auto path = blobs.Path(blob.hash); !path.ok()) {
      status = path.error();
    }
    if (!status.ok()) Add(findings, status.error());
  }
  return {};
}

// Every model with versions has one active one that exists: the schema holds it; doctor looks
// again.
Status CheckModels(Database& database, std::vector<Finding>* findings) {
  ASSIGN_OR_RETURN(
      auto rows,
      database.Query(
          "SELECT m.project, m.name FROM models m WHERE EXISTS(SELECT 1 FROM versions v WHERE "
          "v.model_id = m.id) AND NOT EXISTS(SELECT 1 FROM versions v WHERE v.model_id = m.id "
          "AND v.number = m.active_version)"));
  for (const SqlRow& row : rows) {
    findings->push_back({true,
                         "model '" + row.Text(0) + "/" + row.Text(1) + "' has no active version",
                         "activate one with `slipway model activate`"});
  }
  return {};
}

Status CheckDataFile(const std::string& name, const std::string& path, std::optional<int64_t> bytes,
                     std::vector<Finding>* findings) {
  auto size = FileSize(path);
  if (!size.ok()) {
    findings->push_back({true, "the data of dataset '" + name + "' is missing: '" + path + "'",
                         "build the dataset again"});
  } else if (bytes && *size != *bytes) {
    findings->push_back({true,
                         "the data of dataset '" + name + "', '" + path + "', has " +
                             std::to_string(*size) + " bytes instead of " + std::to_string(*bytes),
                         "build the dataset again"});
  }
  return {};
}

Status CheckDatasets(const Datasets& datasets, const std::vector<std::string>& projects,
                     std::vector<Finding>* findings) {
  for (const std::string& project : projects) {
    ASSIGN_OR_RETURN(const std::vector<DatasetState> states, datasets.List(project));
    for (const DatasetState& state : states) {
      const std::string name = state.project + "/" + state.dataset;
      RETURN_IF_ERROR(CheckDataFile(name, state.path, state.bytes, findings));
    }
  }
  return {};
}

// Without their key, or with another one, secrets stay closed; everything else goes on.
Status CheckSecrets(Database& database, const Secrets& secrets, std::vector<Finding>* findings) {
  ASSIGN_OR_RETURN(auto rows, database.Query("SELECT id FROM secrets ORDER BY id"));
  for (const SqlRow& row : rows) {
    const auto text = secrets.Open(row.Int(0));
    if (text.ok()) continue;
    findings->push_back({false,
                         text.error().message + " (" + std::to_string(rows.size()) +
                             " sealed, such as API nodes' admin keys)",
                         text.error().hint});
    break;  // the others have the same key
  }
  return {};
}

}  // namespace

Result<std::vector<Finding>> Registry::CheckIntegrity(bool deep) {
  std::vector<Finding> findings;
  ASSIGN_OR_RETURN(const std::vector<std::string> damage, database_->CheckIntegrity());
  for (const std::string& line : damage) {
    findings.push_back({true, "'" + home_.RegistryName() + "' is damaged: " + line, kRestore});
  }
  if (!damage.empty()) return findings;  // what it says about the files cannot be trusted

  RETURN_IF_ERROR(CheckBlobs(blobs_, deep, &findings));
  RETURN_IF_ERROR(CheckModels(*database_, &findings));
  ASSIGN_OR_RETURN(const std::vector<std::string> projects, projects_.Names());
  RETURN_IF_ERROR(CheckDatasets(datasets_, projects, &findings));
  RETURN_IF_ERROR(CheckSecrets(*database_, secrets_, &findings));
  ASSIGN_OR_RETURN(const std::vector<JobRecord> dead, jobs_.DeadJobs());
  for (const JobRecord& job : dead) {
    findings.push_back({false, "job '" + job.id + "' was interrupted",
                        "the next command that writes marks it failed"});
  }
  ASSIGN_OR_RETURN(std::vector<std::string> stray, datasets_.StrayFiles());
  ASSIGN_OR_RETURN(const std::vector<std::string> stray_blobs, blobs_.StrayFiles());
  stray.insert(stray.end(), stray_blobs.begin(), stray_blobs.end());
  ASSIGN_OR_RETURN(const std::vector<std::string> work, jobs_.StrayFolders());
  if (dead.empty()) stray.insert(stray.end(), work.begin(), work.end());
  for (const std::string& path : stray) {
    findings.push_back(
        {false, "leftover '" + path + "'", "it is removed by itself once it is an hour old"});
  }
  return findings;
}

}  // namespace slipway
