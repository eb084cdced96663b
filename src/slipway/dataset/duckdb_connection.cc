#include "slipway/dataset/duckdb_connection.h"

#include <algorithm>
#include <array>

#include "slipway/base/file.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

std::string Replace(std::string_view text, char from, std::string_view to) {
  std::string out;
  for (char c : text) {
    if (c == from) {
      out += to;
    } else {
      out += c;
    }
  }
  return out;
}

// "[" stands for itself as "[[]": so a path with glob characters names one file.
std::string EscapeGlob(std::string_view path) {
  std::string out;
  for (char c : path) {
    if (c == '*' || c == '?' || c == '[') {
      out += '[';
      out += c;
      out += ']';
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::string QuotedSqlText(std::string_view text) { return "'" + Replace(text, '\'', "''") + "'"; }
std::string SqlName(std::string_view name) { return "\"" + Replace(name, '"', "\"\"") + "\""; }

std::string SqlTexts(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ", ";
    out += QuotedSqlText(text);
  }
  return out + "]";
}

std::string SqlPath(const std::string& path) { return QuotedSqlText(EscapeGlob(path)); }

std::string SqlPaths(const std::vector<std::string>& paths) {
  std::vector<std::string> escaped;
  for (const std::string& path : paths) escaped.push_back(EscapeGlob(path));
  return SqlTexts(escaped);
}

Error TranslateDuckError(std::string_view message) {
  struct Kind {
    std::string_view prefix;
    ErrorCode code;
    std::string_view hint;
  };
  static constexpr std::array<Kind, 9> kKinds = {{
      {"Parser Error: ", ErrorCode::kInvalidArgument, ""},
      {"Binder Error: ", ErrorCode::kInvalidArgument, ""},
      {"Catalog Error: ", ErrorCode::kInvalidArgument, ""},
      {"Conversion Error: ", ErrorCode::kInvalidArgument, ""},
      {"Invalid Input Error: ", ErrorCode::kInvalidArgument, ""},
      {"Out of Range Error: ", ErrorCode::kInvalidArgument, ""},
      {"Out of Memory Error: ", ErrorCode::kUnavailable,
       "give it more memory, or a temp_dir with free space"},
      {"Permission Error: ", ErrorCode::kPermissionDenied, "a query may read only its inputs"},
      {"INTERNAL Error: ", ErrorCode::kInternal, ""},
  }};
  Error error{ErrorCode::kInvalidArgument, std::string(message), ""};
  for (const Kind& kind : kKinds) {
    if (message.substr(0, kind.prefix.size()) != kind.prefix) continue;
    error = {kind.code, std::string(message.substr(kind.prefix.size())), std::string(kind.hint)};
  }
  if (message.find("INTERRUPT") != std::string_view::npos) return Cancelled("interrupted");
  if (message.find("No space left on device") != std::string_view::npos ||
      message.find("File too large") != std::string_view::npos) {
    error.code = ErrorCode::kUnavailable;
    error.hint = "free some space, or write elsewhere";
  } else if (message.starts_with("IO Error: ")) {
    error.code = ErrorCode::kUnavailable;
    error.message = std::string(message.substr(10));
  }
  // The excerpt of a query helps who wrote the query; this one is ours.
  if (const size_t excerpt = error.message.find("\n\nLINE ");
      excerpt != std::string::npos && error.code != ErrorCode::kPermissionDenied &&
      error.message.find("FROM read_parquet(", excerpt) != std::string::npos) {
    error.message.resize(excerpt);
  }
  if (!error.message.empty() && error.message[0] >= 'A' && error.message[0] <= 'Z' &&
      (error.message.size() < 2 || error.message[1] < 'A' || error.message[1] > 'Z')) {
    error.message[0] = static_cast<char>(error.message[0] - 'A' + 'a');
  }
  return error;
}

Result<std::unique_ptr<DuckConnection>> DuckConnection::Open(const EngineOptions& options) {
  ASSIGN_OR_RETURN(const DuckDbApi* api, LoadDuckDb());
  std::unique_ptr<DuckConnection> out(new DuckConnection());
  duckdb_config config = nullptr;
  if (api->create_config(&config) != DuckDBSuccess)
    return Unavailable("the data engine has no memory");
  api->set_config(config, "threads", std::to_string(std::max(1, options.threads)).c_str());
  char* message = nullptr;
  const duckdb_state state = api->open_ext(nullptr, &out->database_, config, &message);
  api->destroy_config(&config);
  if (state != DuckDBSuccess) {
    Error error =
        TranslateDuckError(message != nullptr ? message : "the data engine does not start");
    api->free(message);
    return error;
  }
  if (api->connect(out->database_, &out->connection_) != DuckDBSuccess) {
    return Unavailable("the data engine gives no connection");
  }
  RETURN_IF_ERROR(out->Configure(options));
  out->files_ = options.files;
  return out;
}

DuckConnection::~DuckConnection() {
  if (connection_ != nullptr) Duck().disconnect(&connection_);
  if (database_ != nullptr) Duck().close(&database_);
}

Status DuckConnection::Configure(const EngineOptions& options) {
  std::vector<std::string> allowed;
  for (const std::string& file : options.files) {
    allowed.push_back(file);
    // The check compares the text that the query names, which is the escaped one.
    if (EscapeGlob(file) != file) allowed.push_back(EscapeGlob(file));
  }
  const auto kib = [](int64_t bytes) {
    return "'" + std::to_string(std::max<int64_t>(1, bytes >> 10)) + "KiB'";
  };
  std::string sql = "SET memory_limit=" + kib(options.memory_limit) + ";";
  sql += "SET temp_directory=" + QuotedSqlText(options.temp_dir) + ";";
  sql += "SET streaming_buffer_size=" + kib(options.streaming_buffer) + ";";
  sql += "SET preserve_insertion_order=true;";
  sql +=
      "SET enable_progress_bar=true; SET enable_progress_bar_print=false; SET progress_bar_time=0;";
  sql += "SET autoinstall_known_extensions=false; SET autoload_known_extensions=false;";
  sql += "SET allow_community_extensions=false;";
  if (!allowed.empty()) sql += "SET allowed_paths=" + SqlTexts(allowed) + ";";
  sql += "SET enable_external_access=false; SET lock_configuration=true;";
  ASSIGN_OR_RETURN(DuckResult result, Query(sql));
  return {};
}

Result<DuckResult> DuckConnection::Query(const std::string& sql) {
  DuckResult result;
  if (Duck().query(connection_, sql.c_str(), result.get()) != DuckDBSuccess) {
    return TranslateDuckError(Duck().result_error(result.get()));
  }
  return result;
}

Result<DuckPrepared> DuckConnection::Prepare(const std::string& sql) {
  DuckPrepared prepared;
  if (Duck().prepare(connection_, sql.c_str(), prepared.get()) != DuckDBSuccess) {
    const char* message = Duck().prepare_error(*prepared);
    return TranslateDuckError(message != nullptr ? message : "the query cannot be prepared");
  }
  return prepared;
}

Result<DuckResult> DuckConnection::Stream(const std::string& sql) {
  ASSIGN_OR_RETURN(DuckPrepared prepared, Prepare(sql));
  DuckResult result;
  if (Duck().execute_prepared_streaming(*prepared, result.get()) != DuckDBSuccess) {
    return TranslateDuckError(Duck().result_error(result.get()));
  }
  return result;
}

Result<DuckChunk> DuckConnection::Fetch(DuckResult* result) {
  DuckChunk chunk(Duck().fetch_chunk(*result->get()));
  if (!chunk) {
    // The end and a failure look alike; a failure leaves its message.
    const char* message = Duck().result_error(result->get());
    if (message != nullptr && *message != '\0') return TranslateDuckError(message);
  }
  return chunk;
}

Result<int64_t> DuckConnection::QueryInt(const std::string& sql) {
  ASSIGN_OR_RETURN(DuckResult result, Query(sql));
  ASSIGN_OR_RETURN(DuckChunk chunk, Fetch(&result));
  if (!chunk || chunk.size() < 1) return int64_t{0};
  duckdb_vector vector = Duck().data_chunk_get_vector(chunk.get(), 0);
  const uint64_t* validity = Duck().vector_get_validity(vector);
  if (validity != nullptr && (validity[0] & 1) == 0) return int64_t{0};
  return *static_cast<const int64_t*>(Duck().vector_get_data(vector));
}

void DuckConnection::Interrupt() { Duck().interrupt(connection_); }

double DuckConnection::Progress() {
  const duckdb_query_progress_type progress = Duck().query_progress(connection_);
  return progress.percentage < 0 ? -1 : std::min(1.0, progress.percentage / 100);
}

TypeMapping MapDuckType(duckdb_type id) {
  switch (id) {
    case DUCKDB_TYPE_BOOLEAN:
      return {Type::kBoolean, ""};
    case DUCKDB_TYPE_BIGINT:
      return {Type::kInt64, ""};
    case DUCKDB_TYPE_UBIGINT:
      return {Type::kInt64, "", true};
    case DUCKDB_TYPE_TINYINT:
    case DUCKDB_TYPE_SMALLINT:
    case DUCKDB_TYPE_INTEGER:
    case DUCKDB_TYPE_UTINYINT:
    case DUCKDB_TYPE_USMALLINT:
    case DUCKDB_TYPE_UINTEGER:
      return {Type::kInt64, "CAST(% AS BIGINT)"};
    case DUCKDB_TYPE_DOUBLE:
      return {Type::kDouble, ""};
    case DUCKDB_TYPE_FLOAT:
    case DUCKDB_TYPE_DECIMAL:
    case DUCKDB_TYPE_HUGEINT:
    case DUCKDB_TYPE_UHUGEINT:
    case DUCKDB_TYPE_BIGNUM:
      return {Type::kDouble, "CAST(% AS DOUBLE)"};
    case DUCKDB_TYPE_DATE:
      return {Type::kDate, ""};
    case DUCKDB_TYPE_TIMESTAMP:
      return {Type::kTimestamp, ""};
    case DUCKDB_TYPE_TIMESTAMP_TZ:  // a plain cast would go by the machine's time zone
      return {Type::kTimestamp, "make_timestamp(epoch_us(%))"};
    case DUCKDB_TYPE_TIMESTAMP_S:
    case DUCKDB_TYPE_TIMESTAMP_MS:
    case DUCKDB_TYPE_TIMESTAMP_NS:
      return {Type::kTimestamp, "CAST(% AS TIMESTAMP)"};
    case DUCKDB_TYPE_VARCHAR:
      return {Type::kString, ""};
    case DUCKDB_TYPE_LIST:
    case DUCKDB_TYPE_STRUCT:
    case DUCKDB_TYPE_MAP:
    case DUCKDB_TYPE_ARRAY:
    case DUCKDB_TYPE_UNION:
      return {Type::kString, "CAST(to_json(%) AS VARCHAR)"};
    default:
      return {Type::kString, "CAST(% AS VARCHAR)"};
  }
}

std::string CastColumn(const TypeMapping& mapping, const std::string& name) {
  const std::string column = SqlName(name);
  return mapping.cast.empty() ? column : Replace(mapping.cast, '%', column);
}

std::string_view DuckTypeName(Type type) {
  static constexpr std::array<std::string_view, 6> kNames = {"BOOLEAN", "BIGINT", "DOUBLE",
                                                             "VARCHAR", "DATE",   "TIMESTAMP"};
  return kNames[static_cast<size_t>(type)];
}

duckdb_type DuckTypeId(Type type) {
  static constexpr std::array<duckdb_type, 6> kIds = {DUCKDB_TYPE_BOOLEAN, DUCKDB_TYPE_BIGINT,
                                                      DUCKDB_TYPE_DOUBLE,  DUCKDB_TYPE_VARCHAR,
                                                      DUCKDB_TYPE_DATE,    DUCKDB_TYPE_TIMESTAMP};
  return kIds[static_cast<size_t>(type)];
}

}  // namespace slipway
