// Saved models: numbered immutable versions, exactly one active (a column of the model's row, so
// that two cannot be), and the history of activations. Every change is one transaction. Thread-safe
// as Database is. Numbers come from a sequence per PROJECT/MODEL that never goes back, also not
// when versions or the model are deleted. The first version is active whatever `activate` says: a
// model with versions always has one.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/registry/blobs.h"
#include "slipway/registry/build_record.h"
#include "slipway/registry/home.h"
#include "slipway/registry/model_ref.h"
#include "slipway/store/database.h"

namespace slipway {

struct VersionRecord {
  std::string project, model;
  int64_t number = 0;
  bool active = false;
  std::string origin;     // "train" or "import"
  std::string info_json;  // info.json of the version: algorithm, rows, metrics, ...
  std::string bundle;     // blob hash
  std::string reference_hash, holdout_hash;  // blob hashes; empty: none
  std::string dataset_fingerprint;           // of the training data
  BuildRecord build;
  std::string note;
  std::string created_at, created_by;
};

struct ModelRecord {
  std::string project, name;
  int64_t active = 0;  // number; 0: no versions
  int64_t latest = 0;  // highest existing number
  int64_t versions = 0;
  std::string created_at, created_by;
};

struct Activation {
  std::string at, who, why;
  std::string kind;          // activate | rollback | train | import
  int64_t from = 0, to = 0;  // from 0: it was the first
};

struct NewVersion {
  std::string bundle_path;                   // required
  std::string reference_path, holdout_path;  // empty: none
  bool move_files = false;                   // else copied
  std::string origin = "train";              // or "import"
  std::string info_json = "{}";
  std::string dataset_fingerprint;
  BuildRecord build;
  std::string note;
  std::string who;
  bool activate = true;
  std::string reason;  // of the activation
};

class Models {
 public:
  Models(Database& database, Blobs& blobs) : database_(database), blobs_(blobs) {}

  // By project and name. Of a project: those after the name `after`, at most `limit` (0: all).
  Result<std::vector<ModelRecord>> List(std::string_view project, std::string_view after = "",
                                        int64_t limit = 0) const;
  // kNotFound with a suggestion; says so when it is defined but has no version yet.
  Result<ModelRecord> Get(std::string_view project, std::string_view model) const;
  Result<std::optional<ModelRecord>> Find(std::string_view project, std::string_view model) const;
  // Oldest first: those after the number `after`, at most `limit` (0: all).
  Result<std::vector<VersionRecord>> Versions(std::string_view project, std::string_view model,
                                              int64_t after = 0, int64_t limit = 0) const;
  Result<std::set<int64_t>> VersionNumbers(std::string_view project, std::string_view model) const;
  // One version by "@active", "@latest" or number; kNotFound names what exists.
  Result<VersionRecord> Resolve(const ModelRef& ref) const;
  Result<std::string> BundlePath(const VersionRecord& version) const;
  Result<std::string> ReferencePath(const VersionRecord& version) const;  // kNotFound: none kept
  Result<std::string> HoldoutPath(const VersionRecord& version) const;
  Result<std::vector<Activation>> History(std::string_view project,
                                          std::string_view model) const;  // oldest first

  // The project must exist; the model's row is made when absent.
  Result<VersionRecord> AddVersion(std::string_view project, std::string_view model,
                                   const NewVersion& version);
  // The active one again: no error and no history row.
  Result<VersionRecord> Activate(std::string_view project, std::string_view model, int64_t number,
                                 std::string_view who, std::string_view why);
  // To the version that was active before the current one, as undo does: activations push,
  // rollbacks pop, deleted versions are skipped. So 1, 2, 3 active in turn, then two rollbacks, is
  // back at 1. kConflict when there is none.
  Result<VersionRecord> Rollback(std::string_view project, std::string_view model,
                                 std::string_view who, std::string_view why);
  Status SetNote(std::string_view project, std::string_view model, int64_t number,
                 std::string_view note);
  // kConflict for the active one and for `pinned` numbers (that a recipe or a deployment names).
  Status DeleteVersion(std::string_view project, std::string_view model, int64_t number,
                       const std::set<int64_t>& pinned);
  // Deletes the oldest versions beyond `keep` (0: all are kept), never the active one, the newest
  // nor a pinned one; gives the deleted numbers.
  Result<std::vector<int64_t>> ApplyKeepVersions(std::string_view project, std::string_view model,
                                                 int64_t keep, const std::set<int64_t>& pinned);
  // The model with its versions and history. Without `force` kConflict when it has versions. No
  // error when absent.
  Status DeleteModel(std::string_view project, std::string_view model, bool force);

 private:
  // A model's row with its id; nullopt when it has none.
  struct Row {
    int64_t id = 0;
    int64_t active = 0;
  };
  Result<std::optional<Row>> FindRow(std::string_view project, std::string_view model) const;
  Result<Row> GetRow(std::string_view project, std::string_view model) const;
  Result<Row> EnsureRow(std::string_view project, std::string_view model, std::string_view who);
  // `limit` 0: all.
  Result<std::vector<ModelRecord>> Select(std::string_view where, std::vector<SqlValue> values,
                                          int64_t limit) const;
  Result<std::vector<VersionRecord>> SelectVersions(int64_t model_id, std::string_view more,
                                                    std::vector<SqlValue> values,
                                                    int64_t limit = 0) const;
  Result<VersionRecord> GetVersion(std::string_view project, std::string_view model,
                                   int64_t number) const;
  Result<std::set<int64_t>> Numbers(int64_t model_id) const;
  Status SetActive(const Row& row, int64_t number, std::string_view kind, std::string_view who,
                   std::string_view why);
  // Why `model` cannot be had: no such project, no such model, or no version yet.
  Error NoModel(std::string_view project, std::string_view model) const;

  Database& database_;
  Blobs& blobs_;
};

// The version that Rollback goes to; nullopt: none. `history` oldest first; `existing` the numbers
// that exist. Pure.
std::optional<int64_t> RollbackTarget(const std::vector<Activation>& history,
                                      const std::set<int64_t>& existing, int64_t active);

}  // namespace slipway
