#include "slipway/store/postgres.h"

#include <array>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "slipway/base/clock.h"
#include "slipway/base/text.h"
#include "slipway/store/postgres_result.h"
#include "slipway/store/sql_dialect.h"

namespace slipway {
namespace {

// Written beside the URL: what it says itself wins.
constexpr std::array<std::pair<const char*, const char*>, 6> kConnectDefaults = {{
    {"connect_timeout", "10"},
    {"application_name", "slipway"},
    {"keepalives_idle", "30"},
    {"keepalives_interval", "10"},
    {"keepalives_count", "3"},
    {"tcp_user_timeout", "60000"},
}};

// A client that is gone must not hold the write lock: the server looks for it, and ends a
// transaction that does nothing for five minutes. A commit that is answered must be on the disk.
constexpr const char* kSession =
    "SET client_min_messages = warning; SET standard_conforming_strings = on;"
    "SET lock_timeout = '5s'; SET statement_timeout = '60s';"
    "SET idle_in_transaction_session_timeout = '5min'; SET extra_float_digits = 1;"
    "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3;"
    "SELECT set_config('synchronous_commit', 'on', false) WHERE "
    "current_setting('synchronous_commit') = 'off'";

constexpr double kCommitAnswerSeconds = 10;

void SwallowNotice(void*, const char*) {}

class PostgresDatabase : public Database {
 public:
  PostgresDatabase(const Libpq& api, PostgresUrl url, OpenMode mode)
      : api_(api), url_(std::move(url)), mode_(mode) {}
  ~PostgresDatabase() override { Disconnect(); }
  PostgresDatabase(const PostgresDatabase&) = delete;
  PostgresDatabase& operator=(const PostgresDatabase&) = delete;

  SqlDialect dialect() const override { return SqlDialect::kPostgres; }

  Result<int64_t> Execute(std::string_view sql, std::vector<SqlValue> values) override {
    std::lock_guard lock(mutex_);
    ASSIGN_OR_RETURN(const PgAnswer answer, Run(sql, &values));
    if (answer == nullptr) return 0;
    return ParseInt64(api_.cmdTuples(answer.get())).value_or(0);
  }

  Result<std::vector<SqlRow>> Query(std::string_view sql, std::vector<SqlValue> values) override {
    std::lock_guard lock(mutex_);
    ASSIGN_OR_RETURN(const PgAnswer answer, Run(sql, &values));
    if (answer == nullptr) return std::vector<SqlRow>();
    return PgRows(api_, answer.get());
  }

  void Fence(std::string sql, Error lost) override {
    std::lock_guard lock(mutex_);
    fence_ = std::move(sql);
    lost_ = std::move(lost);
  }

  Result<bool> EndIdleWriter(double idle_seconds) override {
    ASSIGN_OR_RETURN(
        auto ended,
        Query("SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_stat_activity a ON "
              "a.pid = l.pid, hashtextextended('slipway ' || current_schema(), 0) AS k(key) WHERE "
              "l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND a.datname = "
              "current_database() AND l.database = a.datid AND ((l.classid::bigint << 32) | "
              "l.objid::bigint) = k.key AND a.state LIKE 'idle in transaction%' AND "
              "clock_timestamp() - a.state_change >= make_interval(secs => ?)",
              {idle_seconds}));
    return !ended.empty();
  }

  Status ExecuteScript(std::string_view sql) override {
    std::lock_guard lock(mutex_);
    RETURN_IF_ERROR(Run(sql, nullptr));
    return {};
  }

  Result<std::vector<std::string>> TableNames() override {
    ASSIGN_OR_RETURN(auto rows, Query("SELECT c.relname::text COLLATE \"C\" FROM pg_class c WHERE "
                                      "c.relkind IN ('r', 'p') AND "
                                      "c.relnamespace = current_schema()::regnamespace ORDER BY 1",
                                      {}));
    std::vector<std::string> names;
    for (const SqlRow& row : rows) names.push_back(row.Text(0));
    return names;
  }

  // The server looks after its files; what is looked for here is what a person may have done to the
  // schema, and that every table can be read to its end.
  Result<std::vector<std::string>> CheckIntegrity() override {
    std::lock_guard lock(mutex_);
    static constexpr const char* kSchema = "current_schema()::regnamespace";
    const std::string checks[] = {
        std::string(
            "SELECT 'index ' || c.relname || ' is not valid' FROM pg_index i JOIN pg_class c "
            "ON c.oid = i.indexrelid WHERE NOT i.indisvalid AND c.relnamespace = ") +
            kSchema,
        std::string(
            "SELECT 'constraint ' || conname || ' was never checked' FROM pg_constraint WHERE "
            "NOT convalidated AND connamespace = ") +
            kSchema,
        std::string(
            "SELECT 'trigger ' || t.tgname || ' of table ' || c.relname || ' is switched off' "
            "FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE t.tgenabled = 'D' "
            "AND c.relnamespace = ") +
            kSchema};
    std::vector<std::string> findings;
    for (const std::string& check : checks) {
      ASSIGN_OR_RETURN(auto rows, Query(check, {}));
      for (const SqlRow& row : rows) findings.push_back(row.Text(0));
    }
    ASSIGN_OR_RETURN(const std::vector<std::string> tables, TableNames());
    for (const std::string& table : tables) {
      auto read = Query("SELECT count(t::text) FROM \"" + table + "\" t", {});
      if (read.ok()) continue;
      if (read.error().code != ErrorCode::kCorruption) return std::move(read).error();
      findings.push_back(read.error().message);
    }
    return findings;
  }

  // Connects and sets the session up. The schema is made in kCreate only.
  Status Connect() {
    Disconnect();
    std::vector<const char*> names, values;
    for (const auto& [name, value] : kConnectDefaults) {
      names.push_back(name);
      values.push_back(value);
    }
    for (const auto& [name, value] :
         {std::pair<const char*, const char*>("dbname", url_.connect.c_str()),
          {"client_encoding", "UTF8"},
          {nullptr, nullptr}}) {
      names.push_back(name);
      values.push_back(value);
    }
    connection_ = api_.connectdbParams(names.data(), values.data(), 1);
    if (connection_ == nullptr) return Unavailable("no memory for a connection to PostgreSQL");
    if (api_.status(connection_) != CONNECTION_OK) {
      const Error error = PgConnectError(api_.errorMessage(connection_), url_);
      Disconnect();
      return error;
    }
    api_.setNoticeProcessor(connection_, &SwallowNotice, nullptr);
    Status ready = SetUpSession();
    if (!ready.ok()) Disconnect();
    return ready;
  }

 protected:
  // The lock is asked for before anything is read, and every statement sees what was committed
  // before it (READ COMMITTED): with SERIALIZABLE the state would be that from before the wait.
  Status BeginOutermost() override {
    const char* begin =
        mode_ == OpenMode::kReadOnly ? "BEGIN ISOLATION LEVEL REPEATABLE READ" : "BEGIN";
    RETURN_IF_ERROR(Again([&]() -> Result<PgAnswer> { return Send(begin, nullptr); }));
    if (mode_ == OpenMode::kReadOnly) return {};
    const std::vector<SqlValue> none;
    auto locked = Send(
        "SELECT pg_advisory_xact_lock(hashtextextended('slipway ' || current_schema(), 0))", &none);
    Status may = locked.ok() ? PassFence() : Status(std::move(locked).error());
    if (!may.ok() && connection_ != nullptr) (void)Send("ROLLBACK", nullptr).ok();
    return may;
  }

  bool InTransaction() const override {
    if (connection_ == nullptr) return false;
    const PGTransactionStatusType state = api_.transactionStatus(connection_);
    return state == PQTRANS_INTRANS || state == PQTRANS_INERROR;
  }

 private:
  void Disconnect() {
    if (connection_ != nullptr) api_.finish(connection_);
    connection_ = nullptr;
  }

  // Under the write lock: whoever followed has changed the row before, or waits for us.
  Status PassFence() {
    if (fence_.empty()) return {};
    const std::vector<SqlValue> none;
    ASSIGN_OR_RETURN(const PgAnswer answer, Send(fence_, &none));
    if (api_.ntuples(answer.get()) > 0) return {};
    return lost_;
  }

  Status SetUpSession() {
    RETURN_IF_ERROR(Send(kSession, nullptr));
    if (mode_ == OpenMode::kReadOnly)
      RETURN_IF_ERROR(Send("SET default_transaction_read_only = on", nullptr));
    RETURN_IF_ERROR(Send("SET search_path = \"" + url_.schema + "\"", nullptr));
    const std::vector<SqlValue> name = {SqlText(url_.schema)};
    for (int round = 0;; ++round) {
      ASSIGN_OR_RETURN(const PgAnswer found,
                       Send("SELECT 1 FROM pg_namespace WHERE nspname = $1", &name));
      if (api_.ntuples(found.get()) > 0) return {};
      if (mode_ != OpenMode::kCreate) {
        return NotFound("the registry '" + url_.shown + "' has no schema '" + url_.schema + "'",
                        "check the URL; `slipway init --registry URL` makes a new one, `slipway "
                        "restore` one from a backup");
      }
      // Another process may be as far: the second round finds its schema.
      auto made = Send("CREATE SCHEMA \"" + url_.schema + "\"", nullptr);
      if (!made.ok() && (round > 0 || made.error().code == ErrorCode::kPermissionDenied))
        return std::move(made).error();
    }
  }

  // One statement as it is; without values: a script.
  Result<PgAnswer> Send(const std::string& sql, const std::vector<SqlValue>* values) {
    if (connection_ == nullptr) return PgLost(url_);
    PGresult* raw = nullptr;
    if (values == nullptr) {
      raw = api_.exec(connection_, sql.c_str());
    } else {
      const PgValues bound(*values);
      raw = api_.execParams(connection_, sql.c_str(), static_cast<int>(values->size()),
                            bound.types(), bound.bytes(), bound.lengths(), bound.formats(), 0);
    }
    PgAnswer answer(raw, PgClear{&api_});
    const ExecStatusType status = api_.resultStatus(answer.get());
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return answer;
    if (api_.status(connection_) == CONNECTION_BAD || PgIsLost(api_, answer.get())) {
      Disconnect();
      return PgLost(url_);
    }
    return PgError(api_, answer.get(), url_, sql);
  }

  // What changes nothing is done again once when the connection turns out to be gone: a server that
  // was restarted between two calls fails neither.
  Result<PgAnswer> Again(const std::function<Result<PgAnswer>()>& run) {
    const bool was_open = connection_ != nullptr;
    if (!was_open) RETURN_IF_ERROR(Connect());
    auto answer = run();
    if (answer.ok() || connection_ != nullptr || !was_open) return answer;
    RETURN_IF_ERROR(Connect());
    return run();
  }

  Result<PgAnswer> Run(std::string_view sql, const std::vector<SqlValue>* values) {
    int placeholders = 0;
    const std::string text =
        values != nullptr ? NumberedPlaceholders(sql, &placeholders) : std::string(sql);
    if (values != nullptr && placeholders != static_cast<int>(values->size())) {
      return Internal("wrong number of values for: " + std::string(sql));
    }
    const StatementKind kind = values != nullptr ? KindOfStatement(sql) : StatementKind::kWrite;
    if (depth() > 0 || kind == StatementKind::kControl) return RunInTransaction(text, values, kind);
    if (kind == StatementKind::kRead)
      return Again([&]() -> Result<PgAnswer> { return Send(text, values); });
    // A change of its own takes its turn as a transaction does.
    RETURN_IF_ERROR(BeginOutermost());
    auto answer = Send(text, values);
    if (!answer.ok()) {
      if (connection_ != nullptr) (void)Send("ROLLBACK", nullptr).ok();
      return answer;
    }
    RETURN_IF_ERROR(CommitNow());
    return answer;
  }

  // When the connection is lost before the answer, the server is asked what became of it: whoever
  // undoes files after a failed commit must not do so under a row that is there.
  Status CommitNow() {
    const std::vector<SqlValue> none;
    std::string id;
    if (auto asked = Send("SELECT txid_current_if_assigned()", &none); asked.ok()) {
      const std::vector<SqlRow> rows = PgRows(api_, asked->get());
      if (!rows[0].IsNull(0)) id = std::to_string(rows[0].Int(0));
    }
    auto done = Send("COMMIT", nullptr);
    if (done.ok()) {
      // A transaction in error answers COMMIT with ROLLBACK, as a success.
      if (std::string_view(api_.cmdStatus(done->get())) == "COMMIT") return {};
      return Unavailable("the transaction on '" + url_.shown + "' was rolled back after an error");
    }
    if (connection_ != nullptr || id.empty()) return std::move(done).error();
    return AskAboutCommit(id);
  }

  Status AskAboutCommit(const std::string& id) {
    const double deadline = SteadySeconds() + kCommitAnswerSeconds;
    const std::vector<SqlValue> none;
    do {
      if (connection_ != nullptr || Connect().ok()) {
        if (auto told = Send("SELECT txid_status(" + id + ")", &none); told.ok()) {
          const std::string status = PgRows(api_, told->get())[0].Text(0);
          if (status == "committed") return {};
          if (status == "aborted") return PgLost(url_);
        }
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    } while (SteadySeconds() < deadline);
    return Unavailable(
        "the connection to the registry '" + url_.shown + "' was lost during a commit",
        "whether the change was made is not known: look before doing it again");
  }

  // An error ends PostgreSQL's transaction, and with SQLite only the statement: each change stands
  // behind a savepoint of its own.
  Result<PgAnswer> RunInTransaction(const std::string& text, const std::vector<SqlValue>* values,
                                    StatementKind kind) {
    if (depth() > 0 && !InTransaction()) {
      return Unavailable("the transaction on '" + url_.shown + "' was rolled back after an error");
    }
    if (kind != StatementKind::kWrite) {
      if (ToLower(Trim(text)) != "commit") return Send(text, values);
      RETURN_IF_ERROR(CommitNow());
      return PgAnswer(nullptr, PgClear{&api_});
    }
    RETURN_IF_ERROR(Send("SAVEPOINT one_statement", nullptr));
    auto answer = Send(text, values);
    if (connection_ == nullptr) return answer;
    if (!answer.ok()) (void)Send("ROLLBACK TO SAVEPOINT one_statement", nullptr).ok();
    auto released = Send("RELEASE SAVEPOINT one_statement", nullptr);
    if (answer.ok() && !released.ok()) return std::move(released).error();
    return answer;
  }

  const Libpq& api_;
  const PostgresUrl url_;
  const OpenMode mode_;
  // Guarded by mutex_.
  std::string fence_;
  Error lost_;
  // Null: not connected.
  PGconn* connection_ = nullptr;
};

}  // namespace

Result<std::unique_ptr<Database>> OpenPostgres(std::string_view url, OpenMode mode) {
  ASSIGN_OR_RETURN(PostgresUrl parsed, ParsePostgresUrl(url));
  ASSIGN_OR_RETURN(const Libpq* api, Libpq::Load());
  auto database = std::make_unique<PostgresDatabase>(*api, std::move(parsed), mode);
  RETURN_IF_ERROR(database->Connect());
  return std::unique_ptr<Database>(std::move(database));
}

}  // namespace slipway
