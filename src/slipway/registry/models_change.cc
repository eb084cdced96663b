// Saved models: what changes them. Each function is one transaction.
#include <algorithm>

#include "slipway/base/clock.h"
#include "slipway/base/names.h"
#include "slipway/base/text.h"
#include "slipway/registry/models.h"
#include "slipway/registry/sequence.h"

namespace slipway {
namespace {

// The files of a version as blobs, on disk and durable; their rows are written with the version's.
struct VersionBlobs {
  Blob bundle;
  std::optional<Blob> reference, holdout;
};

Result<VersionBlobs> PutFiles(Blobs& blobs, const NewVersion& version) {
  VersionBlobs put;
  ASSIGN_OR_RETURN(put.bundle, blobs.PutFile(version.bundle_path, version.move_files));
  if (!version.reference_path.empty()) {
    ASSIGN_OR_RETURN(put.reference, blobs.PutFile(version.reference_path, version.move_files));
  }
  if (!version.holdout_path.empty()) {
    ASSIGN_OR_RETURN(put.holdout, blobs.PutFile(version.holdout_path, version.move_files));
  }
  return put;
}

Status RecordAll(Blobs& blobs, const VersionBlobs& put) {
  RETURN_IF_ERROR(blobs.Record(put.bundle));
  if (put.reference) RETURN_IF_ERROR(blobs.Record(*put.reference));
  if (put.holdout) RETURN_IF_ERROR(blobs.Record(*put.holdout));
  return {};
}

SqlValue HashOrNull(const std::optional<Blob>& blob) {
  return SqlTextOrNull(blob ? blob->hash : "");
}

}  // namespace

std::optional<int64_t> RollbackTarget(const std::vector<Activation>& history,
                                      const std::set<int64_t>& existing, int64_t active) {
  std::vector<int64_t> stack;  // what was active, as an undo list: the last is the current one
  for (const Activation& activation : history) {
    const auto at = std::find(stack.rbegin(), stack.rend(), activation.to);
    if (activation.kind == "rollback" && at != stack.rend()) {
      stack.erase(at.base(), stack.end());
    } else {
      stack.push_back(activation.to);
    }
  }
  for (auto it = stack.rbegin(); it != stack.rend(); ++it) {
    if (*it != active && existing.contains(*it)) return *it;
  }
  return std::nullopt;
}

Result<Models::Row> Models::EnsureRow(std::string_view project, std::string_view model,
                                      std::string_view who) {
  ASSIGN_OR_RETURN(const std::optional<Row> found, FindRow(project, model));
  if (found) return *found;
  ASSIGN_OR_RETURN(auto exists,
                   database_.Query("SELECT 1 FROM projects WHERE name = ?", {SqlText(project)}));
  if (exists.empty()) return NoModel(project, model);
  ASSIGN_OR_RETURN(auto made,
                   database_.Query("INSERT INTO models(project, name, created_at, created_by) "
                                   "VALUES (?, ?, ?, ?) RETURNING id",
                                   {SqlText(project), SqlText(model), NowText(), SqlText(who)}));
  return Row{made[0].Int(0), 0};
}

Status Models::SetActive(const Row& row, int64_t number, std::string_view kind,
                         std::string_view who, std::string_view why) {
  RETURN_IF_ERROR(
      database_.Execute("UPDATE models SET active_version = ? WHERE id = ?", {number, row.id}));
  RETURN_IF_ERROR(
      database_.Execute("INSERT INTO activations(model_id, kind, from_version, to_version, who, "
                        "why, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                        {row.id, SqlText(kind), row.active == 0 ? SqlValue() : SqlValue(row.active),
                         number, SqlText(who), SqlText(why), NowText()}));
  return {};
}

Result<VersionRecord> Models::AddVersion(std::string_view project, std::string_view model,
                                         const NewVersion& version) {
  const std::string name = FullModelName(project, model);
  if (!IsValidName(model)) {
    return InvalidArgument("'" + std::string(model) + "' is not a valid model name",
                           NameRule(model));
  }
  if (version.origin != "train" && version.origin != "import") {
    return Internal("a version's origin is train or import, not '" + version.origin + "'");
  }
  ASSIGN_OR_RETURN(const VersionBlobs put, PutFiles(blobs_, version));

  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(const Row row, EnsureRow(project, model, version.who));
  ASSIGN_OR_RETURN(const int64_t number, NextNumber(database_, "model/" + name));
  RETURN_IF_ERROR(RecordAll(blobs_, put));
  RETURN_IF_ERROR(database_.Execute(
      "INSERT INTO versions(model_id, number, origin, info, bundle_hash, reference_hash, "
      "holdout_hash, "
      "dataset_fingerprint, build, note, created_at, created_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, "
      "?, ?, ?, ?)",
      {row.id, number, version.origin, version.info_json, put.bundle.hash,
       HashOrNull(put.reference), HashOrNull(put.holdout), version.dataset_fingerprint,
       BuildRecordToText(version.build), version.note, NowText(), version.who}));
  if (version.activate || row.active == 0) {
    const std::string reason =
        version.reason.empty() && row.active == 0 ? "the first version" : version.reason;
    RETURN_IF_ERROR(SetActive(row, number, version.origin, version.who, reason));
  }
  ASSIGN_OR_RETURN(VersionRecord record, GetVersion(project, model, number));
  RETURN_IF_ERROR(transaction.Commit());
  return record;
}

Result<VersionRecord> Models::Activate(std::string_view project, std::string_view model,
                                       int64_t number, std::string_view who, std::string_view why) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(VersionRecord version, GetVersion(project, model, number));
  if (version.active) return version;
  ASSIGN_OR_RETURN(const Row row, GetRow(project, model));
  RETURN_IF_ERROR(SetActive(row, number, "activate", who, why));
  RETURN_IF_ERROR(transaction.Commit());
  version.active = true;
  return version;
}

Result<VersionRecord> Models::Rollback(std::string_view project, std::string_view model,
                                       std::string_view who, std::string_view why) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(const Row row, GetRow(project, model));
  ASSIGN_OR_RETURN(const std::vector<Activation> history, History(project, model));
  ASSIGN_OR_RETURN(const std::set<int64_t> numbers, Numbers(row.id));
  const std::optional<int64_t> target = RollbackTarget(history, numbers, row.active);
  if (!target) {
    return Conflict(
        "model '" + FullModelName(project, model) +
            "' cannot be rolled back: no version that was active before " +
            std::to_string(row.active) + " exists",
        "choose a version with `slipway model activate " + FullModelName(project, model) + "@N`");
  }
  RETURN_IF_ERROR(SetActive(row, *target, "rollback", who, why));
  ASSIGN_OR_RETURN(VersionRecord version, GetVersion(project, model, *target));
  RETURN_IF_ERROR(transaction.Commit());
  return version;
}

Status Models::SetNote(std::string_view project, std::string_view model, int64_t number,
                       std::string_view note) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(const VersionRecord version, GetVersion(project, model, number));
  ASSIGN_OR_RETURN(const Row row, GetRow(project, model));
  RETURN_IF_ERROR(
      database_.Execute("UPDATE versions SET note = ? WHERE model_id = ? AND number = ?",
                        {SqlText(note), row.id, number}));
  return transaction.Commit();
}

Status Models::DeleteVersion(std::string_view project, std::string_view model, int64_t number,
                             const std::set<int64_t>& pinned) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(const VersionRecord version, GetVersion(project, model, number));
  const std::string what =
      "version " + std::to_string(number) + " of '" + FullModelName(project, model) + "'";
  if (version.active) {
    return Conflict(what + " is the active one", "activate another version first");
  }
  if (pinned.contains(number)) {
    return Conflict(what + " is in use: a recipe or a service names '" + std::string(model) + "@" +
                        std::to_string(number) + "'",
                    "change it first");
  }
  ASSIGN_OR_RETURN(const Row row, GetRow(project, model));
  RETURN_IF_ERROR(database_.Execute("DELETE FROM versions WHERE model_id = ? AND number = ?",
                                    {row.id, number}));
  return transaction.Commit();
}

Result<std::vector<int64_t>> Models::ApplyKeepVersions(std::string_view project,
                                                       std::string_view model, int64_t keep,
                                                       const std::set<int64_t>& pinned) {
  std::vector<int64_t> deleted;
  if (keep <= 0) return deleted;
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(const Row row, GetRow(project, model));
  ASSIGN_OR_RETURN(const std::set<int64_t> numbers, Numbers(row.id));
  int64_t beyond = static_cast<int64_t>(numbers.size()) - keep;
  for (const int64_t number : numbers) {
    if (beyond <= 0) break;
    // Nor the newest: a version that was just trained does not go for being inactive.
    if (number == row.active || number == *numbers.rbegin() || pinned.contains(number)) continue;
    RETURN_IF_ERROR(database_.Execute("DELETE FROM versions WHERE model_id = ? AND number = ?",
                                      {row.id, number}));
    deleted.push_back(number);
    --beyond;
  }
  RETURN_IF_ERROR(transaction.Commit());
  return deleted;
}

Status Models::DeleteModel(std::string_view project, std::string_view model, bool force) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(const std::optional<Row> row, FindRow(project, model));
  if (!row) return {};
  ASSIGN_OR_RETURN(const std::set<int64_t> numbers, Numbers(row->id));
  if (!numbers.empty() && !force) {
    return Conflict("model '" + FullModelName(project, model) + "' has " +
                        std::to_string(numbers.size()) +
                        (numbers.size() == 1 ? " version" : " versions"),
                    "add --force to delete them too");
  }
  for (const char* sql :
       {"DELETE FROM versions WHERE model_id = ?", "DELETE FROM activations WHERE model_id = ?",
        "DELETE FROM models WHERE id = ?"}) {
    RETURN_IF_ERROR(database_.Execute(sql, {row->id}));
  }
  return transaction.Commit();
}

}  // namespace slipway
