#include "slipway/dataset/engine_csv.h"

#include <algorithm>
#include <utility>

#include "slipway/base/text.h"
#include "slipway/base/utf8.h"
#include "slipway/csv/byte_source.h"
#include "slipway/csv/sniff.h"
#include "slipway/dataset/duckdb_connection.h"
#include "slipway/dataset/engine_source.h"

namespace slipway {
namespace {

constexpr size_t kHeadBytes = size_t{1} << 20;

std::string FromUtf16(std::string_view bytes) {
  const bool big = bytes.starts_with("\xFE\xFF");
  if (big || bytes.starts_with("\xFF\xFE")) bytes.remove_prefix(2);
  const auto unit = [&](size_t at) {
    const auto a = static_cast<unsigned char>(bytes[at]);
    const auto b = static_cast<unsigned char>(bytes[at + 1]);
    return static_cast<uint32_t>(big ? a << 8 | b : b << 8 | a);
  };
  std::string out;
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
    uint32_t code = unit(i);
    if (code >= 0xD800 && code < 0xDC00 && i + 3 < bytes.size()) {
      code = 0x10000 + ((code - 0xD800) << 10) + (unit(i + 2) - 0xDC00);
      i += 2;
    }
    AppendUtf8(code, &out);
  }
  return out;
}

// The cells of the first record after the skipped and blank lines.
std::vector<std::string> FirstRecord(std::string_view text, const CsvDialect& dialect) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  for (int i = 0; i < dialect.skip_lines; ++i)
    text.remove_prefix(std::min(text.size(), text.find('\n') + 1));
  while (!text.empty() && (text.front() == '\n' || text.front() == '\r')) text.remove_prefix(1);
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == dialect.escape && i + 1 < text.size() &&
        (dialect.escape != dialect.quote || text[i + 1] == dialect.quote)) {
      cells.back().push_back(text[++i]);
    } else if (dialect.quote != '\0' && c == dialect.quote && (quoted || cells.back().empty())) {
      quoted = !quoted;
    } else if (!quoted && (c == '\n' || c == '\r')) {
      break;
    } else if (!quoted && c == dialect.delimiter) {
      cells.emplace_back();
    } else {
      cells.back().push_back(c);
    }
  }
  return cells;
}

// Text of a file whose quotes are escaped in their own way, with doubled ones instead; no place
// changes. Our sniffer knows no others. A quote opens a cell only as its first byte.
void DoubleEscapedQuotes(const CsvDialect& dialect, std::string* text) {
  if (dialect.escape == dialect.quote || dialect.escape == '\0' || dialect.quote == '\0') return;
  const std::string before = std::string("\n\r,;\t|") + dialect.delimiter;
  bool quoted = false;
  for (size_t i = 0; i < text->size(); ++i) {
    if (quoted && (*text)[i] == dialect.escape && i + 1 < text->size()) {
      if ((*text)[i + 1] == dialect.quote) (*text)[i] = dialect.quote;
      ++i;
    } else if ((*text)[i] == dialect.quote) {
      quoted = !quoted && (i == 0 || before.find((*text)[i - 1]) != std::string::npos);
    }
  }
}

std::string SqlChar(char c) { return c == '\0' ? "''" : QuotedSqlText(std::string_view(&c, 1)); }

std::string ReadCsvSql(const std::string& file, const EngineCsvOptions& options,
                       const std::vector<std::string>& names) {
  const CsvDialect& dialect = options.dialect;
  std::string sql =
      "read_csv(" + SqlPath(file) + ", auto_detect=false, parallel=true, strict_mode=true";
  sql += ", delim=" + SqlChar(dialect.delimiter) + ", quote=" + SqlChar(dialect.quote);
  sql += ", escape=" + SqlChar(dialect.escape == '\0' ? dialect.quote : dialect.escape);
  sql += std::string(", header=") + (dialect.header ? "true" : "false");
  sql += ", skip=" + std::to_string(dialect.skip_lines) +
         ", encoding=" + QuotedSqlText(dialect.encoding);
  sql += ", max_line_size=16777216, columns={";
  for (size_t i = 0; i < names.size(); ++i)
    sql += (i > 0 ? ", " : "") + QuotedSqlText(names[i]) + ": 'VARCHAR'";
  return sql + "})";
}

Result<std::unique_ptr<DuckConnection>> ConnectToCsv(const EngineCsvOptions& options) {
  EngineOptions engine;
  engine.files = options.files;
  engine.threads = options.threads;
  engine.memory_limit = options.memory_limit;
  return DuckConnection::Open(engine);
}

// The file's own column names, which must be the schema's in some order.
Result<std::vector<std::string>> NamesOf(const std::string& file, const EngineCsvOptions& options) {
  if (!options.dialect.header) return options.schema.Names();
  ASSIGN_OR_RETURN(std::vector<std::string> names, EngineCsvNames(file, options.dialect));
  std::vector<std::string> missing;
  for (const Field& field : options.schema.fields) {
    if (std::find(names.begin(), names.end(), field.name) == names.end())
      missing.push_back(field.name);
  }
  if (!missing.empty()) return InvalidArgument(file + " has no column " + QuotedList(missing));
  if (names.size() != options.schema.fields.size()) {
    return InvalidArgument(file + " has " + std::to_string(names.size()) + " columns, not " +
                           std::to_string(options.schema.size()));
  }
  return names;
}

}  // namespace

Result<std::string> ToUtf8(std::string_view bytes, const std::string& encoding) {
  const std::string name = ToLower(encoding);
  if (name == "utf-8") return std::string(bytes);
  if (name == "utf-16") return FromUtf16(bytes);
  if (name != "latin-1" && name != "iso-8859-1") {
    return InvalidArgument("the encoding '" + encoding + "' is not known",
                           "use utf-8, latin-1 or utf-16");
  }
  std::string out;
  for (char c : bytes) AppendUtf8(static_cast<unsigned char>(c), &out);
  return out;
}

Status SniffEngineCsv(const std::string& file, const KnownDialect& known, CsvDialect* dialect) {
  ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> source, ByteSource::Open(file));
  ASSIGN_OR_RETURN(const std::string_view head, source->Peek(kHeadBytes + 1));
  Result<std::string> text = ToUtf8(head.substr(0, kHeadBytes), known.dialect.encoding);
  if (!text.ok()) return text.error().Within(file);
  if (text->starts_with("\xEF\xBB\xBF")) text->erase(0, 3);
  DoubleEscapedQuotes(known.dialect, &*text);
  // The engine reads lines that end with CR alone, the sniffer would refuse them.
  if (text->find('\n') == std::string::npos) std::replace(text->begin(), text->end(), '\r', '\n');
  KnownDialect plain = known;
  plain.dialect.escape = plain.dialect.quote;
  plain.dialect.encoding = "utf-8";
  const Result<CsvSniff> sniff = SniffCsv(*text, head.size() <= kHeadBytes, plain);
  if (!sniff.ok()) return sniff.error().Within(file);
  dialect->delimiter = sniff->dialect.delimiter;
  dialect->header = sniff->dialect.header;
  return {};
}

Result<std::vector<std::string>> EngineCsvNames(const std::string& file,
                                                const CsvDialect& dialect) {
  ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> source, ByteSource::Open(file));
  ASSIGN_OR_RETURN(const std::string_view head, source->Peek(kHeadBytes));
  Result<std::string> text = ToUtf8(head, dialect.encoding);
  if (!text.ok()) return text.error().Within(file);
  if (Trim(*text).empty()) return InvalidArgument(file + " is empty");
  std::vector<std::string> cells = FirstRecord(*text, dialect);
  if (dialect.header) {
    Result<std::vector<std::string>> names = CsvHeaderNames(cells);
    if (!names.ok()) return names.error().Within(file);
    return names;
  }
  for (size_t i = 0; i < cells.size(); ++i) cells[i] = "column" + std::to_string(i + 1);
  return cells;
}

Result<std::unique_ptr<ChunkSource>> OpenEngineCsv(const EngineCsvOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<DuckConnection> connection, ConnectToCsv(options));
  EngineScan scan;
  scan.schema = options.schema;
  ASSIGN_OR_RETURN(scan.wanted, WantedColumns(options.schema, options.columns));
  for (const std::string& path : options.files) {
    ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesOf(path, options));
    EngineFile file;
    file.path = path;
    for (int i : scan.wanted) {
      if (!file.sql.empty()) file.sql += ", ";
      file.sql += SqlName(scan.schema.fields[static_cast<size_t>(i)].name);
      file.native.push_back({Type::kString, "", false});
    }
    file.sql = "SELECT " + file.sql + " FROM " + ReadCsvSql(path, options, names);
    scan.files.push_back(std::move(file));
  }
  return MakeEngineSource(std::move(connection), std::move(scan));
}

Result<int64_t> CountEngineCsvRows(const EngineCsvOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<DuckConnection> connection, ConnectToCsv(options));
  int64_t count = 0;
  for (const std::string& path : options.files) {
    ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesOf(path, options));
    Result<int64_t> rows =
        connection->QueryInt("SELECT count(*) FROM " + ReadCsvSql(path, options, names));
    if (!rows.ok()) return rows.error().Within(path);
    count += *rows;
  }
  return count;
}

}  // namespace slipway
