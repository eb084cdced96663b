#include <algorithm>
#include <utility>

#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/csv/reader.h"
#include "slipway/csv/sniff.h"
#include "slipway/dataset/dataset.h"
#include "slipway/dataset/engine_csv.h"
#include "slipway/dataset/files.h"
#include "slipway/dataset/jsonl_source.h"
#include "slipway/dataset/parquet_source.h"
#include "slipway/table/cell.h"

namespace slipway {
namespace {

constexpr int64_t kFirstRows = 20'000;
constexpr int64_t kOtherRows = 1'000;
constexpr size_t kFirstHead = size_t{8} << 20;
constexpr size_t kOtherHead = size_t{512} << 10;

Result<std::shared_ptr<ByteSource>> OpenHead(const std::string& path) {
  if (path == kStandardInput) return PeekStandardInput();
  ASSIGN_OR_RETURN(std::shared_ptr<ByteSource> source, ByteSource::Open(path));
  return source;
}

// By the name, else by the first bytes.
Result<Format> DetectFormat(const std::string& path) {
  if (const auto named = FormatFromPath(path)) return *named;
  ASSIGN_OR_RETURN(const std::shared_ptr<ByteSource> source, OpenHead(path));
  ASSIGN_OR_RETURN(const std::string_view head, source->Peek(4096));
  if (head.starts_with("PAR1")) return Format::kParquet;
  const std::string_view text = Trim(head.starts_with("\xEF\xBB\xBF") ? head.substr(3) : head);
  if (text.starts_with('{') || text.starts_with("[{")) return Format::kJsonLines;
  return Format::kCsv;
}

// The type that holds the values of both.
Type Common(Type a, Type b) {
  const auto pair = [&](Type x, Type y) { return (a == x && b == y) || (a == y && b == x); };
  if (a == b) return a;
  if (pair(Type::kInt64, Type::kDouble)) return Type::kDouble;
  if (pair(Type::kDate, Type::kTimestamp)) return Type::kTimestamp;
  return Type::kString;
}

// Reads up to `max_rows` rows of a source of strings into the guessers.
Status SeeRows(ChunkSource* source, int64_t max_rows, std::vector<TypeGuesser>* guessers) {
  std::unique_ptr<ChunkDecoder> decoder = source->NewDecoder();
  int64_t rows = 0;
  std::vector<BadRow> bad;
  Chunk chunk;
  while (rows < max_rows) {
    ASSIGN_OR_RETURN(const bool more, source->Next(&chunk));
    if (!more) break;
    const BatchConsumer see = [&](const Batch& batch) -> Status {
      for (int row = 0; row < batch.rows && rows < max_rows; ++row, ++rows) {
        for (size_t i = 0; i < guessers->size(); ++i) {
          if (batch.columns[i].valid(row)) (*guessers)[i].See(batch.columns[i].strings()[row]);
        }
      }
      return {};
    };
    RETURN_IF_ERROR(decoder->Decode(chunk, see, &bad));
    // A file of bad rows only says nothing about types, and need not be read to its end.
    if (bad.size() > static_cast<size_t>(max_rows)) break;
  }
  return {};
}

Schema AllStrings(const std::vector<std::string>& names) {
  Schema out;
  for (const std::string& name : names) out.fields.push_back({name, Type::kString});
  return out;
}

Result<Schema> InspectCsvText(const std::vector<std::string>& files, const CsvDialect& dialect,
                              const std::vector<std::string>& names) {
  const Schema strings = AllStrings(names);
  std::vector<TypeGuesser> guessers(names.size());
  const auto open = [&](std::vector<std::string> some) -> Result<std::unique_ptr<ChunkSource>> {
    if (!dialect.IsPlain()) {
      EngineCsvOptions options;
      options.files = std::move(some);
      options.dialect = dialect;
      options.schema = strings;
      return OpenEngineCsv(options);
    }
    CsvReadOptions options;
    options.files = std::move(some);
    options.dialect = dialect;
    options.schema = strings;
    return OpenCsv(std::move(options));
  };
  // The headers of all files are checked by opening them together.
  ASSIGN_OR_RETURN(std::unique_ptr<ChunkSource> all, open(files));
  RETURN_IF_ERROR(SeeRows(all.get(), kFirstRows, &guessers));
  for (size_t i = 1; i < files.size(); ++i) {
    ASSIGN_OR_RETURN(std::unique_ptr<ChunkSource> source, open({files[i]}));
    RETURN_IF_ERROR(SeeRows(source.get(), kOtherRows, &guessers));
  }
  Schema out = strings;
  for (size_t i = 0; i < guessers.size(); ++i) out.fields[i].type = guessers[i].type();
  return out;
}

// Sets spec.dialect and gives the file's schema.
Result<Schema> InspectCsv(const std::vector<std::string>& files, FilesSpec* spec) {
  const std::string& first = files.front();
  KnownDialect known;
  if (spec->dialect) {
    known = *spec->dialect;
    known.delimiter = !std::exchange(spec->sniff_delimiter, false);
    known.header = !std::exchange(spec->sniff_header, false);
  }
  if (spec->dialect && !spec->dialect->IsPlain()) {
    if (first == kStandardInput) {
      return InvalidArgument("standard input must be plain CSV in UTF-8",
                             "save it to a file first");
    }
    RETURN_IF_ERROR(SniffEngineCsv(first, known, &*spec->dialect));
    ASSIGN_OR_RETURN(const std::vector<std::string> names, EngineCsvNames(first, *spec->dialect));
    return InspectCsvText(files, *spec->dialect, names);
  }
  ASSIGN_OR_RETURN(const std::shared_ptr<ByteSource> source, OpenHead(first));
  ASSIGN_OR_RETURN(CsvSniff sniff, SniffCsvSource(source.get(), known));
  spec->dialect = sniff.dialect;
  if (first != kStandardInput) return InspectCsvText(files, sniff.dialect, sniff.names);
  Schema out = AllStrings(sniff.names);
  for (size_t i = 0; i < out.fields.size(); ++i) out.fields[i].type = sniff.types[i];
  return out;
}

Result<Schema> InspectJsonLines(const std::vector<std::string>& files) {
  JsonLinesSniffer sniffer;
  for (size_t i = 0; i < files.size(); ++i) {
    const size_t size = i == 0 ? kFirstHead : kOtherHead;
    ASSIGN_OR_RETURN(const std::shared_ptr<ByteSource> source, OpenHead(files[i]));
    ASSIGN_OR_RETURN(const std::string_view head, source->Peek(size));
    const Status added = sniffer.Add(head, head.size() < size, i == 0 ? kFirstRows : kOtherRows);
    if (!added.ok()) return added.error().Within(source->name());
  }
  return sniffer.schema();
}

Result<Schema> InspectParquet(const std::vector<std::string>& files,
                              std::shared_ptr<DuckConnection>* engine) {
  if (files.front() == kStandardInput) {
    return InvalidArgument("Parquet cannot be read from standard input", "name a file");
  }
  EngineOptions options;
  options.files = files;
  options.memory_limit = ReadOptions().memory_limit;
  ASSIGN_OR_RETURN(const std::shared_ptr<DuckConnection> connection, DuckConnection::Open(options));
  Schema out;
  for (size_t i = 0; i < files.size(); ++i) {
    ASSIGN_OR_RETURN(const std::vector<ParquetColumn> columns,
                     ParquetColumns(connection.get(), files[i]));
    if (i == 0) {
      for (const ParquetColumn& column : columns)
        out.fields.push_back({column.name, column.mapping.type});
      continue;
    }
    Schema theirs;
    for (const ParquetColumn& column : columns)
      theirs.fields.push_back({column.name, column.mapping.type});
    std::vector<std::string> missing;
    for (Field& field : out.fields) {
      const int at = theirs.Find(field.name);
      if (at < 0) {
        missing.push_back(field.name);
      } else {
        field.type = Common(field.type, theirs.fields[static_cast<size_t>(at)].type);
      }
    }
    if (!missing.empty()) {
      return InvalidArgument(files[i] + " has no column " + QuotedList(missing) + ", which " +
                             files[0] + " has");
    }
  }
  *engine = connection;
  return out;
}

// The files' schema with the stated types. Every stated column must be there; further ones keep
// what was found.
Result<Schema> ApplyStated(const Schema& stated, const Schema& found, bool typed,
                           const std::string& where, std::vector<std::string>* warnings) {
  Schema out = found;
  std::vector<std::string> missing;
  for (const Field& field : stated.fields) {
    const int at = found.Find(field.name);
    if (at < 0) {
      missing.push_back(field.name);
      continue;
    }
    Field& target = out.fields[static_cast<size_t>(at)];
    // Parquet has types of its own; texts are only guessed at.
    if (typed && !CanConvert(target.type, field.type)) {
      return InvalidArgument("column '" + field.name + "' of " + where + " is " +
                             std::string(TypeName(target.type)) + ", which cannot be read as " +
                             std::string(TypeName(field.type)));
    }
    if (!typed && field.type != Type::kString && !CanConvert(target.type, field.type)) {
      warnings->push_back("column '" + field.name + "' is stated as " +
                          std::string(TypeName(field.type)) + ", but its first values look like " +
                          std::string(TypeName(target.type)));
    }
    target.type = field.type;
  }
  if (!missing.empty()) {
    std::string hint = missing.size() == 1 ? DidYouMean(missing[0], found.Names()) : "";
    if (hint.empty()) hint = "its columns are " + QuotedList(found.Names());
    return InvalidArgument(where + " has no column " + QuotedList(missing), hint);
  }
  std::vector<std::string> more;
  for (const Field& field : found.fields) {
    if (!stated.fields.empty() && stated.Find(field.name) < 0) more.push_back(field.name);
  }
  if (!more.empty()) {
    warnings->push_back("not in the stated schema, so read with the types found: column " +
                        QuotedList(more));
  }
  return out;
}

}  // namespace

Result<Inspection> Inspect(const FilesSpec& spec) {
  Inspection out;
  out.spec = spec;
  ASSIGN_OR_RETURN(out.files, ResolveFiles(spec.paths));
  const std::string& first = out.files.front();
  for (const std::string& file : out.files) {
    if (file == kStandardInput) continue;
    ASSIGN_OR_RETURN(const int64_t size, FileSize(file));
    if (size == 0) return InvalidArgument("'" + file + "' is empty");
    out.bytes += size;
  }
  if (!out.spec.format) {
    ASSIGN_OR_RETURN(out.spec.format, DetectFormat(first));
    for (const std::string& file : out.files) {
      const auto other = FormatFromPath(file);
      if (other && *other != *out.spec.format) {
        return InvalidArgument("'" + first + "' is " + std::string(FormatName(*out.spec.format)) +
                               ", but '" + file + "' is " + std::string(FormatName(*other)));
      }
    }
  }
  Schema found;
  switch (*out.spec.format) {
    case Format::kCsv: {
      ASSIGN_OR_RETURN(found, InspectCsv(out.files, &out.spec));
      break;
    }
    case Format::kJsonLines: {
      ASSIGN_OR_RETURN(found, InspectJsonLines(out.files));
      break;
    }
    case Format::kParquet: {
      ASSIGN_OR_RETURN(found, InspectParquet(out.files, &out.engine));
      break;
    }
  }
  if (found.fields.empty()) return InvalidArgument("'" + first + "' has no columns");
  if (*out.spec.format == Format::kJsonLines) {
    // An absent key is a missing value: what is stated may be absent from the first rows.
    for (const Field& field : spec.schema.fields) {
      if (found.Find(field.name) >= 0) continue;
      out.warnings.push_back("no row looked at in " + first + " has the stated key '" + field.name +
                             "'");
      found.fields.push_back(field);
    }
  }
  const bool typed = *out.spec.format == Format::kParquet;
  ASSIGN_OR_RETURN(out.spec.schema, ApplyStated(spec.schema, found, typed, first, &out.warnings));
  return out;
}

}  // namespace slipway
