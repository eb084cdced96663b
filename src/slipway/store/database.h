// Database: the metadata database behind one small interface, so that SQLite (embedded) and
// PostgreSQL (shared) serve the same callers. SQL is written in the common subset (sql_dialect.h),
// with `?` placeholders in order. Thread-safe: one statement at a time; a Transaction holds the
// database for its thread until it ends. Not to be carried across fork(2). Errors: full disk, busy
// and a lost connection -> kUnavailable, read-only -> kPermissionDenied, damaged -> kCorruption
// (each names the file or the server, never a password), a broken constraint -> kConflict, bad SQL
// -> kInternal.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "slipway/base/result.h"

namespace slipway {

// NULL, integer, number or text. Booleans are 0 and 1.
using SqlValue = std::variant<std::monostate, int64_t, double, std::string>;
SqlValue SqlText(std::string_view text);
SqlValue SqlTextOrNull(std::string_view text);  // "" is NULL
SqlValue SqlIntOrNull(std::optional<int64_t> value);

// One row of an answer, materialised. A column of another type reads as the zero of the asked type.
class SqlRow {
 public:
  explicit SqlRow(std::vector<SqlValue> values) : values_(std::move(values)) {}
  size_t size() const { return values_.size(); }
  bool IsNull(size_t column) const;
  int64_t Int(size_t column) const;
  double Double(size_t column) const;
  std::string Text(size_t column) const;  // "" for NULL
  std::optional<int64_t> OptionalInt(size_t column) const;
  std::vector<SqlValue> values() && { return std::move(values_); }

 private:
  std::vector<SqlValue> values_;
};

enum class SqlDialect { kSqlite, kPostgres };

enum class OpenMode {
  kCreate,  // read and write; makes the database (SQLite's file, PostgreSQL's schema) when absent
  kReadWrite,  // it must exist
  kReadOnly,   // writes are refused
};

class Database {
 public:
  virtual ~Database() = default;
  virtual SqlDialect dialect() const = 0;
  // Runs one statement; gives the number of rows that it changed.
  virtual Result<int64_t> Execute(std::string_view sql, std::vector<SqlValue> values = {}) = 0;
  // Runs one statement (also INSERT ... RETURNING) and gives its rows.
  virtual Result<std::vector<SqlRow>> Query(std::string_view sql,
                                            std::vector<SqlValue> values = {}) = 0;
  // Runs a script of several statements without values (migrations).
  virtual Status ExecuteScript(std::string_view sql) = 0;
  virtual Result<std::vector<std::string>> TableNames() = 0;
  // From now on every change first runs `sql`, in its own transaction, and is refused with `lost`
  // when it gives no row: for a process that another one may have followed. Of databases that
  // several processes write to at a time; nothing elsewhere.
  virtual void Fence(std::string /*sql*/, Error /*lost*/) {}
  // Ends the session of whoever holds the write lock and has asked for nothing for `idle_seconds`:
  // a process that was cut off or stopped in the middle of a change, which is undone. False: there
  // is none, or this user may not. Of databases on a server; a file's lock ends with its process.
  virtual Result<bool> EndIdleWriter(double /*idle_seconds*/) { return false; }
  // Slow check of the whole database; each string is one finding, none when sound.
  virtual Result<std::vector<std::string>> CheckIntegrity() = 0;

 protected:
  // Starts a transaction that no other can write beside (a reader's: one state of the data).
  virtual Status BeginOutermost() = 0;
  // False also when the database itself rolled the transaction back (disk full, I/O error).
  virtual bool InTransaction() const = 0;
  int depth() const { return depth_; }
  std::recursive_mutex mutex_;

 private:
  friend class Transaction;
  struct AfterCommit {
    int depth;
    std::function<void()> run;
  };
  Status Begin();
  Status Commit();
  void Rollback();

  // Guarded by mutex_.
  int depth_ = 0;
  std::vector<AfterCommit> after_commit_;
};

// All or nothing: rolled back by the destructor unless Commit succeeded. Nested ones on the same
// thread are parts of the outer one: an inner rollback undoes the inner part only. Confined to one
// thread; must not outlive the database.
class Transaction {
 public:
  static Result<Transaction> Begin(Database& database);
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  // On an error everything is rolled back.
  Status Commit();
  // Runs `action` once the outermost transaction is committed; never, when this part is rolled
  // back.
  void AfterCommit(std::function<void()> action);

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  Database* database_;
};

// Something that goes into the next transaction that this thread commits: while it lives, `write`
// runs once, inside the outermost transaction, just before its commit; its error rolls everything
// back. For records that belong to a change whoever makes it. Confined to one thread; not nested.
class OnNextCommit {
 public:
  explicit OnNextCommit(std::function<Status()> write);
  ~OnNextCommit();
  OnNextCommit(const OnNextCommit&) = delete;
  OnNextCommit& operator=(const OnNextCommit&) = delete;
  bool done() const { return done_; }

 private:
  friend class Transaction;
  std::function<Status()> write_;
  bool done_ = false;
};

}  // namespace slipway
