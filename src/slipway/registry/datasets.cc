#include "slipway/registry/datasets.h"

#include <filesystem>
#include <fstream>
#include <set>

#include <sys/stat.h>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/hash.h"
#include "slipway/base/names.h"
#include "slipway/base/text.h"
#include "slipway/registry/sequence.h"
#include "slipway/registry/stray.h"

namespace slipway {
namespace {

constexpr const char* kSelectDatasets =
    "SELECT project, dataset, version, file, schema, row_count, bytes, fingerprint, build, at, "
    "made_by, "
    "previous_version, previous_file FROM dataset_data ";

Result<DatasetState> DatasetFromRow(const Home& home, const SqlRow& row) {
  DatasetState state;
  state.project = row.Text(0);
  state.dataset = row.Text(1);
  state.version = row.Int(2);
  const std::string folder = home.DataFolder(state.project, state.dataset);
  state.path = JoinPath(folder, row.Text(3));
  state.schema_json = row.Text(4);
  state.rows = row.Int(5);
  state.bytes = row.Int(6);
  state.fingerprint = row.Text(7);
  ASSIGN_OR_RETURN(state.build, BuildRecordFromText(row.Text(8)));
  state.at = row.Text(9);
  state.by = row.Text(10);
  state.previous_version = row.Int(11);
  if (!row.Text(12).empty()) state.previous_path = JoinPath(folder, row.Text(12));
  return state;
}

Result<std::string> HashOfFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return FileError("open", path, errno);
  Xxh3Stream hash;
  std::string buffer(size_t{1} << 20, '\0');
  while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) ||
         file.gcount() > 0) {
    hash.Update(std::string_view(buffer).substr(0, static_cast<size_t>(file.gcount())));
  }
  if (file.bad()) return FileError("read", path, EIO);
  return hash.Hex();
}

// Names become folders: nothing else may get through.
Status CheckNames(std::string_view project, std::string_view dataset) {
  if (IsValidName(project) && IsValidName(dataset)) return {};
  return InvalidArgument(
      "'" + std::string(project) + "/" + std::string(dataset) + "' is not a valid dataset name",
      NameRule(IsValidName(project) ? dataset : project));
}

// The folder and its parents, durably: a new folder's name must survive a power cut as its files
// do.
Status MakeDataFolder(const Home& home, std::string_view project, std::string_view dataset) {
  const std::string folder = home.DataFolder(project, dataset);
  if (IsDirectory(folder)) return {};
  RETURN_IF_ERROR(MakeDirs(folder));
  RETURN_IF_ERROR(FsyncDir(DirName(folder)));
  return FsyncDir(DirName(DirName(folder)));
}

}  // namespace

Result<std::optional<DatasetState>> Datasets::Find(std::string_view project,
                                                   std::string_view dataset) const {
  ASSIGN_OR_RETURN(
      auto rows, database_.Query(std::string(kSelectDatasets) + "WHERE project = ? AND dataset = ?",
                                 {SqlText(project), SqlText(dataset)}));
  if (rows.empty()) return std::optional<DatasetState>();
  ASSIGN_OR_RETURN(DatasetState state, DatasetFromRow(home_, rows[0]));
  return std::optional<DatasetState>(std::move(state));
}

Result<std::vector<DatasetState>> Datasets::List(std::string_view project) const {
  ASSIGN_OR_RETURN(auto rows, database_.Query(std::string(kSelectDatasets) +
                                                  "WHERE project = ? ORDER BY dataset",
                                              {SqlText(project)}));
  std::vector<DatasetState> states;
  for (const SqlRow& row : rows) {
    ASSIGN_OR_RETURN(DatasetState state, DatasetFromRow(home_, row));
    states.push_back(std::move(state));
  }
  return states;
}

Result<DatasetState> Datasets::Publish(std::string_view project, std::string_view dataset,
                                       const NewDatasetData& data) {
  RETURN_IF_ERROR(CheckNames(project, dataset));
  RETURN_IF_ERROR(FsyncFile(data.path));
  ASSIGN_OR_RETURN(const int64_t bytes, FileSize(data.path));
  std::string fingerprint = data.fingerprint;
  if (fingerprint.empty()) {
    ASSIGN_OR_RETURN(fingerprint, HashOfFile(data.path));
  }
  RETURN_IF_ERROR(MakeDataFolder(home_, project, dataset));

  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(const std::optional<DatasetState> old, Find(project, dataset));
  const std::string name = std::string(project) + "/" + std::string(dataset);
  ASSIGN_OR_RETURN(const int64_t version, NextNumber(database_, "dataset/" + name));
  const std::string file =
      "v" + std::to_string(version) + std::filesystem::path(data.path).extension().string();
  const std::string target = JoinPath(home_.DataFolder(project, dataset), file);
  RETURN_IF_ERROR(RenameDurably(data.path, target));

  bool committing = false;
  auto commit = [&]() -> Status {
    RETURN_IF_ERROR(database_.Execute(
        "INSERT INTO dataset_data(project, dataset, version, file, schema, row_count, "
        "bytes, fingerprint, "
        "build, at, made_by, previous_version, previous_file) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, "
        "?, ?, ?, ?) ON CONFLICT(project, dataset) DO UPDATE SET version = excluded.version, "
        "file = excluded.file, schema = excluded.schema, row_count = excluded.row_count, "
        "bytes = excluded.bytes, fingerprint = excluded.fingerprint, build = excluded.build, "
        "at = excluded.at, made_by = excluded.made_by, "
        "previous_version = excluded.previous_version, previous_file = excluded.previous_file",
        {SqlText(project), SqlText(dataset), version, file, data.schema_json, data.rows, bytes,
         fingerprint, BuildRecordToText(data.build), NowText(), data.who,
         old ? old->version : int64_t{0}, old ? BaseName(old->path) : std::string()}));
    if (old && !old->previous_path.empty()) {
      transaction.AfterCommit(
          [this, path = old->previous_path] { RemoveUnlessBackup(home_, path); });
    }
    committing = true;
    return transaction.Commit();
  };
  if (Status status = commit(); !status.ok()) {
    // Back where it was, but never from under a row: a commit whose answer was lost may have been
    // done.
    const auto now = committing ? Find(project, dataset) : Result(old);
    if (now.ok() && (!*now || (*now)->version != version))
      (void)RenameDurably(target, data.path).ok();
    Error error = status.error();
    if (error.code == ErrorCode::kConflict)
      return NotFound("no project '" + std::string(project) + "'");
    return error.Within("publishing dataset '" + name + "'");
  }
  ASSIGN_OR_RETURN(std::optional<DatasetState> state, Find(project, dataset));
  if (!state) return Internal("dataset '" + name + "' was published and is gone");
  return *std::move(state);
}

Status Datasets::Clear(std::string_view project, std::string_view dataset) {
  RETURN_IF_ERROR(CheckNames(project, dataset));
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  RETURN_IF_ERROR(database_.Execute("DELETE FROM dataset_data WHERE project = ? AND dataset = ?",
                                    {SqlText(project), SqlText(dataset)}));
  transaction.AfterCommit(
      [this, folder = home_.DataFolder(project, dataset)] { RemoveUnlessBackup(home_, folder); });
  return transaction.Commit();
}

Result<std::optional<FilesState>> Datasets::FindFilesState(std::string_view project,
                                                           std::string_view dataset) const {
  ASSIGN_OR_RETURN(
      auto rows,
      database_.Query("SELECT definition_hash, inspection, fingerprint, fingerprint_state, "
                      "row_count, bytes, at FROM dataset_files WHERE project = ? AND "
                      "dataset = ?",
                      {SqlText(project), SqlText(dataset)}));
  if (rows.empty()) return std::optional<FilesState>();
  const SqlRow& row = rows[0];
  return std::optional<FilesState>(FilesState{row.Text(0), row.Text(1), row.Text(2), row.Text(3),
                                              row.OptionalInt(4), row.Int(5), row.Text(6)});
}

Status Datasets::PutFilesState(std::string_view project, std::string_view dataset,
                               const FilesState& state) {
  RETURN_IF_ERROR(CheckNames(project, dataset));
  auto done = database_.Execute(
      "INSERT INTO dataset_files(project, dataset, definition_hash, inspection, "
      "fingerprint, "
      "fingerprint_state, row_count, bytes, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
      "ON CONFLICT(project, dataset) DO UPDATE SET definition_hash = excluded.definition_hash, "
      "inspection = excluded.inspection, fingerprint = excluded.fingerprint, "
      "fingerprint_state = excluded.fingerprint_state, row_count = excluded.row_count, "
      "bytes = excluded.bytes, at = excluded.at",
      {SqlText(project), SqlText(dataset), state.definition_hash, state.inspection_json,
       state.fingerprint, state.fingerprint_state, SqlIntOrNull(state.rows), state.bytes,
       NowText()});
  if (done.ok()) return {};
  if (done.error().code == ErrorCode::kConflict)
    return NotFound("no project '" + std::string(project) + "'");
  return std::move(done).error();
}

Status Datasets::ForgetFilesState(std::string_view project, std::string_view dataset) {
  RETURN_IF_ERROR(database_.Execute("DELETE FROM dataset_files WHERE project = ? AND dataset = ?",
                                    {SqlText(project), SqlText(dataset)}));
  return {};
}

Result<std::vector<std::string>> Datasets::StrayFiles() const {
  ASSIGN_OR_RETURN(
      auto rows, database_.Query("SELECT project, dataset, file, previous_file FROM dataset_data"));
  std::set<std::string> known;
  for (const SqlRow& row : rows) {
    const std::string folder = home_.DataFolder(row.Text(0), row.Text(1));
    known.insert(JoinPath(folder, row.Text(2)));
    if (!row.Text(3).empty()) known.insert(JoinPath(folder, row.Text(3)));
  }
  std::vector<std::string> stray;
  std::error_code ec;
  const std::string root = JoinPath(home_.root(), "data");
  for (std::filesystem::recursive_directory_iterator it(root, ec), end; !ec && it != end;
       it.increment(ec)) {
    const std::string path = it->path().string();
    if (!it->is_directory(ec) && !known.contains(path)) stray.push_back(path);
  }
  if (ec) return FileError("list", root, ec.value());
  return stray;
}

Result<std::vector<std::string>> Datasets::RemoveStrayFiles(double min_age_seconds) {
  // Under the write lock, as Publish renames and commits under it.
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(const std::vector<std::string> stray, StrayFiles());
  std::vector<std::string> removed;
  for (const std::string& path : stray) {
    if (RemoveIfOld(path, min_age_seconds)) removed.push_back(path);
  }
  RETURN_IF_ERROR(transaction.Commit());
  return removed;
}

}  // namespace slipway
