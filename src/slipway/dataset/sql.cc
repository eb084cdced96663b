#include <algorithm>
#include <thread>

#include <unistd.h>

#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/dataset/dataset.h"
#include "slipway/dataset/duckdb_connection.h"
#include "slipway/dataset/files.h"
#include "slipway/dataset/parquet_source.h"
#include "slipway/dataset/parquet_writer.h"
#include "slipway/dataset/source_feed.h"
#include "slipway/dataset/stream_function.h"

namespace slipway {
namespace {

using std::chrono_literals::operator""ms;

struct Output {
  Schema schema;
  std::vector<TypeMapping> mappings;
};

std::vector<std::string> InputNames(const SqlTask& task) {
  std::vector<std::string> names;
  for (const auto& [name, spec] : task.inputs) names.push_back(name);
  return names;
}

Error QueryError(Error error, const SqlTask& task) {
  if (error.hint.empty() && error.message.find("does not exist") != std::string::npos) {
    const std::vector<std::string> names = InputNames(task);
    error.hint =
        names.empty() ? "the query has no inputs" : "the query's inputs are " + QuotedList(names);
  }
  return error;
}

// Prepares the query if it is one SELECT statement.
Result<DuckPrepared> PrepareSelect(DuckConnection* connection, const SqlTask& task) {
  duckdb_extracted_statements statements = nullptr;
  const idx_t count = Duck().extract_statements(connection->get(), task.query.c_str(), &statements);
  DuckPrepared prepared;
  Status status;
  if (count == 0) {
    const char* message = Duck().extract_statements_error(statements);
    status =
        message != nullptr ? TranslateDuckError(message) : InvalidArgument("the query is empty");
  } else if (count > 1) {
    status = InvalidArgument("the query has " + std::to_string(count) +
                             " statements; it must be one SELECT");
  } else if (Duck().prepare_extracted_statement(connection->get(), statements, 0, prepared.get()) !=
             DuckDBSuccess) {
    const char* message = Duck().prepare_error(*prepared);
    status = TranslateDuckError(message != nullptr ? message : "the query cannot be prepared");
  } else if (Duck().prepared_statement_type(*prepared) != DUCKDB_STATEMENT_TYPE_SELECT) {
    status = InvalidArgument(
        "the query is not a SELECT statement",
        "a sql recipe reads its inputs and gives rows; Slipway writes the output itself");
  } else if (Duck().nparams(*prepared) > 0) {
    status =
        InvalidArgument("the query has parameters ($1 or ?)", "write the values into the query");
  }
  Duck().destroy_extracted(&statements);
  if (!status.ok()) return QueryError(status.error(), task);
  return prepared;
}

Result<Output> Describe(const DuckPrepared& prepared) {
  Output out;
  const idx_t count = Duck().prepared_statement_column_count(*prepared);
  for (idx_t i = 0; i < count; ++i) {
    const DuckType type(Duck().prepared_statement_column_logical_type(*prepared, i));
    const char* text = Duck().prepared_statement_column_name(*prepared, i);
    const std::string name = text;
    Duck().free(const_cast<char*>(text));
    const std::string lower = ToLower(name);
    for (const Field& field : out.schema.fields) {
      if (ToLower(field.name) == lower) {
        return InvalidArgument("the query gives two columns named '" + name + "'",
                               "name one of them with AS");
      }
    }
    out.mappings.push_back(MapDuckType(type.id()));
    out.schema.fields.push_back({name, out.mappings.back().type});
  }
  return out;
}

std::string ColumnList(const Schema& schema) {
  std::string out;
  for (const Field& field : schema.fields) {
    out += (out.empty() ? "" : ", ") + SqlName(field.name) + " " +
           std::string(DuckTypeName(field.type));
  }
  return out;
}

// A Parquet input that DuckDB may scan itself: the cast of each column, or nothing when our own
// reader must convert.
Result<std::optional<std::string>> NativeScan(DuckConnection* connection, const FilesSpec& spec,
                                              const std::vector<std::string>& files) {
  std::string select;
  for (const std::string& file : files) {
    ASSIGN_OR_RETURN(const std::vector<ParquetColumn> columns, ParquetColumns(connection, file));
    if (file == files.front() && columns.size() != spec.schema.fields.size())
      return std::optional<std::string>();
    for (size_t i = 0; i < columns.size(); ++i) {
      const TypeMapping& mapping = columns[i].mapping;
      // Different files, stated types, large integers and empty strings have rules of their own.
      if (i >= spec.schema.fields.size() || columns[i].name != spec.schema.fields[i].name ||
          mapping.type != spec.schema.fields[i].type || mapping.unsigned_int) {
        return std::optional<std::string>();
      }
      if (file != files.front()) continue;
      std::string cast = CastColumn(mapping, columns[i].name);
      if (mapping.type == Type::kString) cast = "nullif(" + cast + ", '')";
      select += (select.empty() ? "" : ", ") + cast + " AS " + SqlName(columns[i].name);
    }
  }
  return std::optional<std::string>("SELECT " + select + " FROM read_parquet(" + SqlPaths(files) +
                                    ", hive_partitioning=false)");
}

class SqlRun {
 public:
  explicit SqlRun(const SqlTask& task) : task_(task) {}
  ~SqlRun() {
    if (!temporary_.empty()) unlink(temporary_.c_str());
  }
  Result<SqlOutcome> Run();

 private:
  Status Open();
  Status MakeViews();
  Status Copy(const Output& output);

  const SqlTask& task_;
  std::vector<std::vector<std::string>> files_;
  std::string temporary_;
  std::unique_ptr<FeedTables> tables_;  // outlives the connection
  std::unique_ptr<DuckConnection> connection_;
};

Status SqlRun::Open() {
  EngineOptions options;
  options.threads = task_.threads;
  options.memory_limit = task_.memory_limit;
  options.temp_dir = task_.temp_dir.empty() ? "" : AbsolutePath(task_.temp_dir);
  std::vector<FeedTable> tables;
  for (const auto& [name, spec] : task_.inputs) {
    Result<std::vector<std::string>> files = ResolveFiles(spec.paths);
    if (!files.ok()) return files.error().Within("input '" + name + "'");
    if (files->front() == kStandardInput) {
      return InvalidArgument("input '" + name + "' is standard input, which a query cannot read");
    }
    options.files.insert(options.files.end(), files->begin(), files->end());
    files_.push_back(std::move(files).value());
    tables.push_back(SourceTable(name, spec, task_.cancel));
  }
  options.files.push_back(temporary_);
  ASSIGN_OR_RETURN(connection_, DuckConnection::Open(options));
  tables_ = std::make_unique<FeedTables>(std::move(tables));
  return tables_->Register(connection_.get());
}

Status SqlRun::MakeViews() {
  for (size_t i = 0; i < task_.inputs.size(); ++i) {
    const auto& [name, spec] = task_.inputs[i];
    std::string select = "SELECT * FROM slipway_rows(" + std::to_string(i) + ")";
    if (spec.format == Format::kParquet) {
      Result<std::optional<std::string>> native = NativeScan(connection_.get(), spec, files_[i]);
      if (!native.ok()) return native.error().Within("input '" + name + "'");
      if (*native) select = **native;
    }
    const Result<DuckResult> made =
        connection_->Query("CREATE VIEW " + SqlName(name) + " AS " + select);
    if (!made.ok()) return made.error().Within("input '" + name + "'");
  }
  return {};
}

Status SqlRun::Copy(const Output& output) {
  const Result<DuckResult> view =
      connection_->Query("CREATE TEMP VIEW slipway_query AS\n" + task_.query);
  if (!view.ok()) return view.error();
  std::string select;
  for (size_t i = 0; i < output.mappings.size(); ++i) {
    const Field& field = output.schema.fields[i];
    select += (i > 0 ? ", CAST(" : "CAST(") + CastColumn(output.mappings[i], field.name) + " AS " +
              std::string(DuckTypeName(field.type)) + ") AS " + SqlName(field.name);
  }
  // Progress and cancelling: DuckDB has no callback for either.
  std::jthread watcher([this](const std::stop_token& stop) {
    for (int tick = 1; !stop.stop_requested(); ++tick) {
      std::this_thread::sleep_for(10ms);
      if (task_.cancel != nullptr && task_.cancel->load()) connection_->Interrupt();
      if (task_.progress && tick % 20 == 0) task_.progress(connection_->Progress());
    }
  });
  const Result<DuckResult> copied =
      connection_->Query("COPY (SELECT " + select + " FROM slipway_query) TO " +
                         QuotedSqlText(temporary_) + " " + ParquetCopyOptions(output.schema));
  watcher.request_stop();
  watcher.join();
  if (task_.cancel != nullptr && task_.cancel->load()) return Cancelled("interrupted");
  if (copied.ok()) return {};
  if (Status failed = tables_->error(); !failed.ok()) return failed;
  Error error = copied.error();
  // A position in our COPY statement tells nobody anything.
  if (error.message.find("slipway_query") != std::string::npos) {
    error.message.resize(std::min(error.message.size(), error.message.find("\n\nLINE")));
  }
  if (error.code == ErrorCode::kUnavailable) error.message += " (writing '" + task_.output + "')";
  return error;
}

Result<SqlOutcome> SqlRun::Run() {
  const std::string target = AbsolutePath(task_.output);
  ASSIGN_OR_RETURN(temporary_, CreateFileBeside(target));
  RETURN_IF_ERROR(Open());
  RETURN_IF_ERROR(MakeViews());
  Output output;
  {
    Result<DuckPrepared> prepared = PrepareSelect(connection_.get(), task_);
    if (!prepared.ok()) return prepared.error();
    ASSIGN_OR_RETURN(output, Describe(*prepared));
  }
  RETURN_IF_ERROR(Copy(output));
  SqlOutcome outcome;
  outcome.schema = output.schema;
  ASSIGN_OR_RETURN(
      outcome.rows,
      connection_->QueryInt("SELECT CAST(sum(num_rows) AS BIGINT) FROM parquet_file_metadata(" +
                            SqlPath(temporary_) + ")"));
  connection_.reset();
  RETURN_IF_ERROR(FsyncFile(temporary_));
  RETURN_IF_ERROR(RenameDurably(temporary_, target));
  temporary_.clear();
  if (task_.progress) task_.progress(1);
  return outcome;
}

}  // namespace

Result<SqlOutcome> RunSql(const SqlTask& task) { return SqlRun(task).Run(); }

Result<Schema> CheckSql(const SqlTask& task) {
  ASSIGN_OR_RETURN(const std::unique_ptr<DuckConnection> connection, DuckConnection::Open({}));
  // Empty tables of the inputs' schemas stand for the inputs: no file is touched.
  for (const auto& [name, spec] : task.inputs) {
    const Result<DuckResult> made =
        connection->Query("CREATE TABLE " + SqlName(name) + " (" + ColumnList(spec.schema) + ")");
    if (!made.ok()) return made.error().Within("input '" + name + "'");
  }
  Result<DuckPrepared> prepared = PrepareSelect(connection.get(), task);
  if (!prepared.ok()) return prepared.error();
  ASSIGN_OR_RETURN(Output output, Describe(*prepared));
  return output.schema;
}

}  // namespace slipway
