#include "slipway/store/sqlite.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <string>
#include <utility>

#include <sqlite3.h>
#include <unistd.h>

#include "slipway/base/file.h"

namespace slipway {
namespace {

constexpr int kBusyMillis = 5000;

Error DiskFull(const std::string& path) {
  return Unavailable("no space left on the disk while writing '" + path + "'",
                     "free some disk space and run the command again; nothing was changed");
}

// The error for a failed call on the connection; `code` is an extended result code.
Error SqliteError(sqlite3* handle, int code, const std::string& path, std::string_view sql) {
  const int system_error = handle != nullptr ? sqlite3_system_errno(handle) : 0;
  const std::string detail = handle != nullptr && sqlite3_errcode(handle) != SQLITE_OK
                                 ? sqlite3_errmsg(handle)
                                 : sqlite3_errstr(code);
  const std::string message = "database '" + path + "': " + detail;
  switch (code & 0xff) {
    case SQLITE_FULL:
      return DiskFull(path);
    case SQLITE_IOERR:
      if (system_error == ENOSPC || system_error == EDQUOT || system_error == EFBIG) {
        return DiskFull(path);
      }
      return Unavailable(
          message + (system_error != 0 ? std::string(" (") + std::strerror(system_error) + ")"
                                       : std::string()),
          "check the disk; nothing was changed");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Unavailable("database '" + path + "' is busy: another process is writing to it",
                         "try again when that process has finished");
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return PermissionDenied("cannot write to '" + path + "': " + detail,
                              "check the owner and the mode of the file and its folder");
    case SQLITE_CANTOPEN:
      if (!PathExists(path)) return FileError("open", path, ENOENT);
      if (::access(path.c_str(), R_OK) != 0 || ::access(DirName(path).c_str(), W_OK) != 0) {
        return FileError("open", path, EACCES);
      }
      return system_error != 0 ? FileError("open", path, system_error) : Unavailable(message);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Corruption("database '" + path + "' is damaged or not a database: " + detail,
                        "restore the file from a backup");
    case SQLITE_CONSTRAINT:
      return Conflict(message);
    case SQLITE_NOMEM:
      return Unavailable(message);
    case SQLITE_INTERRUPT:
      return Cancelled(message);
    default:
      return Internal(message + (sql.empty() ? std::string() : " in: " + std::string(sql)));
  }
}

// Compiled statements by their text: parsing costs more than most of them do. The least recently
// used ones go. SQLite compiles one again by itself when the schema has changed.
class StatementCache {
 public:
  static constexpr size_t kMost = 64;

  ~StatementCache() { Clear(); }
  void Clear() {
    for (const auto& [sql, entry] : entries_) sqlite3_finalize(entry.statement);
    entries_.clear();
  }
  // nullptr: none of this text. It is the caller's until Put.
  sqlite3_stmt* Take(std::string_view sql) {
    const auto found = entries_.find(sql);
    if (found == entries_.end()) return nullptr;
    sqlite3_stmt* const statement = found->second.statement;
    entries_.erase(found);
    return statement;
  }
  void Put(std::string_view sql, sqlite3_stmt* statement) {
    if (entries_.size() >= kMost) {
      const auto oldest = std::min_element(
          entries_.begin(), entries_.end(),
          [](const auto& a, const auto& b) { return a.second.used < b.second.used; });
      sqlite3_finalize(oldest->second.statement);
      entries_.erase(oldest);
    }
    const auto [at, fresh] = entries_.try_emplace(std::string(sql), Entry{statement, ++uses_});
    if (!fresh) sqlite3_finalize(statement);
  }

 private:
  struct Entry {
    sqlite3_stmt* statement;
    uint64_t used;
  };
  std::map<std::string, Entry, std::less<>> entries_;
  uint64_t uses_ = 0;
};

// A statement at work. When it is done it holds no lock and no value, and waits for its next use.
class Statement {
 public:
  Statement(StatementCache& cache, std::string_view sql, sqlite3_stmt* statement)
      : cache_(cache), sql_(sql), statement_(statement) {}
  ~Statement() {
    if (statement_ == nullptr) return;
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
    cache_.Put(sql_, statement_);
  }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

 private:
  StatementCache& cache_;
  const std::string_view sql_;
  sqlite3_stmt* const statement_;
};

int BindValue(sqlite3_stmt* statement, int index, const SqlValue& value) {
  if (const int64_t* number = std::get_if<int64_t>(&value)) {
    return sqlite3_bind_int64(statement, index, *number);
  }
  if (const double* number = std::get_if<double>(&value)) {
    return sqlite3_bind_double(statement, index, *number);
  }
  if (const std::string* text = std::get_if<std::string>(&value)) {
    // The values outlive the statement: no copy is needed (a null destructor is SQLITE_STATIC).
    return sqlite3_bind_text64(statement, index, text->data(), text->size(), nullptr, SQLITE_UTF8);
  }
  return sqlite3_bind_null(statement, index);
}

SqlValue ReadColumn(sqlite3_stmt* statement, int column) {
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
      return SqlValue(static_cast<int64_t>(sqlite3_column_int64(statement, column)));
    case SQLITE_FLOAT:
      return SqlValue(sqlite3_column_double(statement, column));
    case SQLITE_NULL:
      return {};
    default: {
      const void* bytes = sqlite3_column_blob(statement, column);
      const int size = sqlite3_column_bytes(statement, column);
      if (bytes == nullptr || size <= 0) return SqlValue(std::string());
      return SqlValue(std::string(static_cast<const char*>(bytes), static_cast<size_t>(size)));
    }
  }
}

class SqliteDatabase : public Database {
 public:
  SqliteDatabase(sqlite3* handle, std::string path) : handle_(handle), path_(std::move(path)) {}
  ~SqliteDatabase() override {
    statements_.Clear();
    sqlite3_close_v2(handle_);
  }
  SqliteDatabase(const SqliteDatabase&) = delete;
  SqliteDatabase& operator=(const SqliteDatabase&) = delete;

  SqlDialect dialect() const override { return SqlDialect::kSqlite; }

  Result<int64_t> Execute(std::string_view sql, std::vector<SqlValue> values) override {
    std::lock_guard lock(mutex_);
    RETURN_IF_ERROR(Run(sql, values, nullptr));
    return static_cast<int64_t>(sqlite3_changes64(handle_));
  }

  Result<std::vector<SqlRow>> Query(std::string_view sql, std::vector<SqlValue> values) override {
    std::lock_guard lock(mutex_);
    std::vector<SqlRow> rows;
    RETURN_IF_ERROR(Run(sql, values, &rows));
    return rows;
  }

  Status ExecuteScript(std::string_view sql) override {
    std::lock_guard lock(mutex_);
    RETURN_IF_ERROR(CheckStillInTransaction());
    const std::string script(sql);
    const int code = sqlite3_exec(handle_, script.c_str(), nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return SqliteError(handle_, code, path_, "");
    return {};
  }

  Result<std::vector<std::string>> TableNames() override {
    ASSIGN_OR_RETURN(auto rows, Query("SELECT name FROM sqlite_master WHERE type = 'table' AND "
                                      "name NOT LIKE 'sqlite%' ORDER BY name",
                                      {}));
    std::vector<std::string> names;
    for (const SqlRow& row : rows) names.push_back(row.Text(0));
    return names;
  }

  Result<std::vector<std::string>> CheckIntegrity() override {
    std::vector<std::string> findings;
    for (const char* check : {"PRAGMA integrity_check(20)", "PRAGMA foreign_key_check"}) {
      auto rows = Query(check, {});
      if (!rows.ok() && rows.error().code == ErrorCode::kCorruption) {
        findings.push_back(rows.error().message);
        continue;
      }
      if (!rows.ok()) return std::move(rows).error();
      for (const SqlRow& row : *rows) {
        if (row.Text(0) == "ok") continue;
        const bool foreign = std::string_view(check).ends_with("foreign_key_check");
        findings.push_back(foreign ? "a row of table '" + row.Text(0) +
                                         "' refers to a missing row of '" + row.Text(2) + "'"
                                   : row.Text(0));
      }
    }
    return findings;
  }

  // Settings of every connection, before anything is read.
  Status Configure(SqliteMode mode) {
    sqlite3_extended_result_codes(handle_, 1);
    sqlite3_busy_timeout(handle_, kBusyMillis);
    sqlite3_db_config(handle_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    sqlite3_db_config(handle_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    sqlite3_db_config(handle_, SQLITE_DBCONFIG_ENABLE_FKEY, 1, nullptr);
    // EXTRA is FULL plus an fsync of the folder after the journal is deleted: without it a power
    // cut just after an acknowledged commit can bring the journal back and undo the commit.
    RETURN_IF_ERROR(ExecuteScript("PRAGMA cell_size_check=ON; PRAGMA synchronous=EXTRA;"));
    if (mode == SqliteMode::kReadOnly) return ExecuteScript("PRAGMA query_only=ON;");
    if (sqlite3_db_readonly(handle_, "main") == 1 || ::access(DirName(path_).c_str(), W_OK) != 0) {
      return FileError("write", path_, EACCES);
    }
    return ExecuteScript("PRAGMA journal_mode=DELETE;");
  }

 protected:
  Status BeginOutermost() override {
    RETURN_IF_ERROR(Run("BEGIN IMMEDIATE", {}, nullptr));
    return {};
  }
  bool InTransaction() const override { return sqlite3_get_autocommit(handle_) == 0; }

 private:
  // After some errors SQLite rolls the whole transaction back by itself; what follows must not then
  // run outside of it.
  Status CheckStillInTransaction() const {
    if (depth() > 0 && !InTransaction()) {
      return Unavailable("the transaction on '" + path_ + "' was rolled back after an error");
    }
    return {};
  }

  Status Run(std::string_view sql, const std::vector<SqlValue>& values, std::vector<SqlRow>* rows) {
    RETURN_IF_ERROR(CheckStillInTransaction());
    ASSIGN_OR_RETURN(sqlite3_stmt* const raw, Compiled(sql));
    const Statement statement(statements_, sql, raw);
    int code = SQLITE_OK;
    if (sqlite3_bind_parameter_count(raw) != static_cast<int>(values.size())) {
      return Internal("wrong number of values for: " + std::string(sql));
    }
    for (size_t i = 0; i < values.size(); ++i) {
      code = BindValue(raw, static_cast<int>(i) + 1, values[i]);
      if (code != SQLITE_OK) return SqliteError(handle_, code, path_, sql);
    }
    while ((code = sqlite3_step(raw)) == SQLITE_ROW) {
      if (rows == nullptr) continue;
      std::vector<SqlValue> row;
      const int columns = sqlite3_column_count(raw);
      row.reserve(static_cast<size_t>(columns));
      for (int c = 0; c < columns; ++c) row.push_back(ReadColumn(raw, c));
      rows->emplace_back(std::move(row));
    }
    if (code != SQLITE_DONE) return SqliteError(handle_, code, path_, sql);
    return {};
  }

  Result<sqlite3_stmt*> Compiled(std::string_view sql) {
    if (sqlite3_stmt* const kept = statements_.Take(sql)) return kept;
    sqlite3_stmt* fresh = nullptr;
    const char* tail = nullptr;
    const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &fresh, &tail);
    if (code != SQLITE_OK) return SqliteError(handle_, code, path_, sql);
    if (fresh == nullptr || tail != sql.data() + sql.size()) {
      sqlite3_finalize(fresh);
      return Internal("not exactly one SQL statement: " + std::string(sql));
    }
    return fresh;
  }

  sqlite3* handle_;
  std::string path_;
  StatementCache statements_;
};

}  // namespace

Result<std::unique_ptr<Database>> OpenSqlite(const std::string& path, SqliteMode mode) {
  // Also for reading the file is opened for writing, when it can be: only so can a journal that a
  // crash left be rolled back. SQLite falls back to a read-only file by itself.
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
  if (mode == SqliteMode::kCreate) flags |= SQLITE_OPEN_CREATE;
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  auto database = std::make_unique<SqliteDatabase>(handle, path);
  if (code != SQLITE_OK) return SqliteError(handle, code, path, "");
  RETURN_IF_ERROR(database->Configure(mode));
  return std::unique_ptr<Database>(std::move(database));
}

namespace {

// All pages in one step: a writer waits as for any other reader, and the copy never starts again.
Status CopyPages(const std::string& from, const std::string& to) {
  sqlite3* source = nullptr;
  int code =
      sqlite3_open_v2(from.c_str(), &source, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  const std::unique_ptr<sqlite3, int (*)(sqlite3*)> close_source(source, sqlite3_close_v2);
  if (code != SQLITE_OK) return SqliteError(source, code, from, "");
  sqlite3_busy_timeout(source, kBusyMillis);
  sqlite3* target = nullptr;
  code = sqlite3_open_v2(
      to.c_str(), &target,
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_EXCLUSIVE | SQLITE_OPEN_NOMUTEX,
      nullptr);
  const std::unique_ptr<sqlite3, int (*)(sqlite3*)> close_target(target, sqlite3_close_v2);
  if (code != SQLITE_OK) return SqliteError(target, code, to, "");
  sqlite3_backup* backup = sqlite3_backup_init(target, "main", source, "main");
  if (backup == nullptr) return SqliteError(target, sqlite3_extended_errcode(target), to, "");
  do {
    code = sqlite3_backup_step(backup, -1);
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED) sqlite3_sleep(10);
  } while (code == SQLITE_OK);
  sqlite3_backup_finish(backup);
  if (code == SQLITE_DONE) return {};
  const bool read_failed = (code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_CORRUPT;
  return SqliteError(nullptr, code, read_failed ? from : to, "");
}

}  // namespace

Status CopySqlite(const std::string& from, const std::string& to) {
  const std::string temp = to + ".tmp" + std::to_string(::getpid());
  ::unlink(temp.c_str());
  auto copy = [&]() -> Status {
    RETURN_IF_ERROR(CopyPages(from, temp));
    {
      ASSIGN_OR_RETURN(auto made, OpenSqlite(temp, SqliteMode::kReadWrite));
      ASSIGN_OR_RETURN(const std::vector<std::string> damage, made->CheckIntegrity());
      if (!damage.empty()) {
        return Corruption("database '" + from + "' is damaged: " + damage[0],
                          "restore it from a backup");
      }
    }
    RETURN_IF_ERROR(FsyncFile(temp));
    return RenameDurably(temp, to);
  };
  Status status = copy();
  if (!status.ok()) ::unlink(temp.c_str());
  return status;
}

std::string SqliteVersion() { return sqlite3_libversion(); }

}  // namespace slipway
