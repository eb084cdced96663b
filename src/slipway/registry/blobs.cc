#include "slipway/registry/blobs.h"

#include <cerrno>
#include <filesystem>
#include <set>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/hash.h"
#include "slipway/registry/stray.h"

namespace slipway {
namespace {

// A file that vanishes unless it was renamed away.
class TempFile {
 public:
  explicit TempFile(const Home& home) : path_(JoinPath(home.BlobsFolder(), ".tmp-" + RandomId())) {}
  ~TempFile() { ::unlink(path_.c_str()); }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Status CopyFile(const std::string& from, const std::string& to) {
  std::error_code ec;
  std::filesystem::copy_file(from, to, ec);
  if (!ec) return {};
  if (!PathExists(from)) return FileError("open", from, ENOENT);
  return FileError("copy '" + from + "' to", to, ec.value());
}

bool IsHash(std::string_view hash) {
  return hash.size() == 64 && hash.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

constexpr const char* kUnreferenced =
    "NOT EXISTS(SELECT 1 FROM versions v WHERE v.bundle_hash = b.hash) AND "
    "NOT EXISTS(SELECT 1 FROM versions v WHERE v.reference_hash = b.hash) AND "
    "NOT EXISTS(SELECT 1 FROM versions v WHERE v.holdout_hash = b.hash) AND "
    "NOT EXISTS(SELECT 1 FROM packages p WHERE p.blob_hash = b.hash) AND "
    "NOT EXISTS(SELECT 1 FROM published_versions s WHERE s.blob_hash = b.hash)";

}  // namespace

// Renames even over an existing file of that name: its content is the same, or damaged and now
// healed; and its new modification time keeps it from being collected before its row is there.
Result<Blob> Blobs::Install(const std::string& temp, const Blob& blob) {
  RETURN_IF_ERROR(FsyncFile(temp));
  const std::string path = home_.BlobPath(blob.hash);
  if (const std::string folder = DirName(path); !IsDirectory(folder)) {
    RETURN_IF_ERROR(MakeDirs(folder));
    RETURN_IF_ERROR(FsyncDir(home_.BlobsFolder()));
  }
  RETURN_IF_ERROR(RenameDurably(temp, path));
  return blob;
}

Result<Blob> Blobs::PutBytes(std::string_view content) {
  const TempFile temp(home_);
  RETURN_IF_ERROR(WriteFileAtomic(temp.path(), content));
  return Install(temp.path(), {Sha256Hex(content), static_cast<int64_t>(content.size())});
}

Result<Blob> Blobs::PutFile(const std::string& path, bool move) {
  const TempFile temp(home_);
  const bool moved = move && ::rename(path.c_str(), temp.path().c_str()) == 0;
  if (moved) {
    // Written long ago, perhaps: its age must count from now.
    ::utimensat(AT_FDCWD, temp.path().c_str(), nullptr, 0);
  } else {
    RETURN_IF_ERROR(CopyFile(path, temp.path()));
  }
  ASSIGN_OR_RETURN(const std::string hash, Sha256HexOfFile(temp.path()));
  ASSIGN_OR_RETURN(const int64_t bytes, FileSize(temp.path()));
  ASSIGN_OR_RETURN(const Blob blob, Install(temp.path(), {hash, bytes}));
  if (move && !moved) ::unlink(path.c_str());
  return blob;
}

Status Blobs::Record(const Blob& blob) {
  const std::string path = home_.BlobPath(blob.hash);
  ASSIGN_OR_RETURN(const int64_t bytes, FileSize(path));
  if (bytes != blob.bytes) return Corruption("blob '" + path + "' has changed its size");
  RETURN_IF_ERROR(database_.Execute(
      "INSERT INTO blobs(hash, bytes, stored_at) VALUES (?, ?, ?) "
      "ON CONFLICT(hash) DO UPDATE SET bytes = excluded.bytes, stored_at = excluded.stored_at",
      {blob.hash, blob.bytes, NowMicros()}));
  return {};
}

Result<std::string> Blobs::Path(std::string_view hash) const {
  ASSIGN_OR_RETURN(auto rows,
                   database_.Query("SELECT bytes FROM blobs WHERE hash = ?", {SqlText(hash)}));
  if (rows.empty() || !IsHash(hash)) return NotFound("no blob '" + std::string(hash) + "'");
  const std::string path = home_.BlobPath(hash);
  auto bytes = FileSize(path);
  if (!bytes.ok() && bytes.error().code != ErrorCode::kNotFound) return std::move(bytes).error();
  if (!bytes.ok())
    return Corruption("the file '" + path + "' is missing from the home",
                      "restore it from a backup");
  if (*bytes != rows[0].Int(0)) {
    return Corruption("'" + path + "' has " + std::to_string(*bytes) + " bytes instead of " +
                          std::to_string(rows[0].Int(0)),
                      "restore it from a backup");
  }
  return path;
}

Result<std::string> Blobs::Read(std::string_view hash, size_t max_bytes) const {
  ASSIGN_OR_RETURN(const std::string path, Path(hash));
  ASSIGN_OR_RETURN(std::string content, ReadFile(path, max_bytes));
  if (Sha256Hex(content) != hash) {
    return Corruption("the content of '" + path + "' is not what it was",
                      "restore it from a backup");
  }
  return content;
}

Status Blobs::Verify(std::string_view hash) const {
  ASSIGN_OR_RETURN(const std::string path, Path(hash));
  ASSIGN_OR_RETURN(const std::string actual, Sha256HexOfFile(path));
  if (actual != hash) {
    return Corruption("the content of '" + path + "' is not what it was",
                      "restore it from a backup");
  }
  return {};
}

Result<std::vector<Blob>> Blobs::List() const {
  ASSIGN_OR_RETURN(auto rows, database_.Query("SELECT hash, bytes FROM blobs ORDER BY hash"));
  std::vector<Blob> blobs;
  for (const SqlRow& row : rows) blobs.push_back({row.Text(0), row.Int(1)});
  return blobs;
}

// Rows first, then files without a row, each under the write lock: a crash between leaves files
// only, and nobody can refer to a blob while its file goes (Record looks for the file under the
// same lock).
Result<GarbageReport> Blobs::CollectGarbage(double min_age_seconds) {
  GarbageReport report;
  const int64_t before = NowMicros() - static_cast<int64_t>(min_age_seconds * 1e6);
  RETURN_IF_ERROR(database_.Execute(
      std::string("DELETE FROM blobs AS b WHERE b.stored_at <= ? AND ") + kUnreferenced, {before}));
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(const std::vector<std::string> stray, StrayFiles());
  for (const std::string& path : stray) {
    auto bytes = FileSize(path);
    if (!RemoveIfOld(path, min_age_seconds)) continue;
    if (IsHash(BaseName(path))) {
      ++report.blobs;
      report.bytes += bytes.ok() ? *bytes : 0;
    } else {
      report.leftovers.push_back(path);
    }
  }
  RETURN_IF_ERROR(transaction.Commit());
  return report;
}

Result<std::vector<std::string>> Blobs::StrayFiles() const {
  ASSIGN_OR_RETURN(const std::vector<Blob> blobs, List());
  std::set<std::string> known;
  for (const Blob& blob : blobs) known.insert(home_.BlobPath(blob.hash));
  std::vector<std::string> stray;
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDir(home_.BlobsFolder()));
  for (const std::string& name : names) {
    const std::string folder = JoinPath(home_.BlobsFolder(), name);
    if (!IsDirectory(folder)) {
      stray.push_back(folder);  // a temporary file
      continue;
    }
    ASSIGN_OR_RETURN(const std::vector<std::string> files, ListDir(folder));
    for (const std::string& file : files) {
      if (!known.contains(JoinPath(folder, file))) stray.push_back(JoinPath(folder, file));
    }
  }
  return stray;
}

}  // namespace slipway
