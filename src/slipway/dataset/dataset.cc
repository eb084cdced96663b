#include "slipway/dataset/dataset.h"

#include "slipway/csv/reader.h"
#include "slipway/csv/writer.h"
#include "slipway/dataset/engine_csv.h"
#include "slipway/dataset/engine_source.h"
#include "slipway/dataset/files.h"
#include "slipway/dataset/jsonl_source.h"
#include "slipway/dataset/jsonl_writer.h"
#include "slipway/dataset/parquet_source.h"
#include "slipway/dataset/parquet_writer.h"

namespace slipway {
namespace {

Status CheckPinned(const FilesSpec& spec) {
  if (!spec.format || spec.schema.fields.empty() ||
      (*spec.format == Format::kCsv && !spec.dialect)) {
    return Internal("a dataset is read that was never inspected");
  }
  return {};
}

bool IsStandardInput(const std::vector<std::string>& files) {
  return files.front() == kStandardInput;
}

Result<std::unique_ptr<ChunkSource>> OpenText(const FilesSpec& spec, std::vector<std::string> files,
                                              Schema schema, const ReadOptions& options) {
  const bool from_stdin = IsStandardInput(files);
  if (*spec.format == Format::kCsv && !spec.dialect->IsPlain()) {
    if (from_stdin)
      return InvalidArgument("standard input must be plain CSV in UTF-8",
                             "save it to a file first");
    return OpenEngineCsv({std::move(files), *spec.dialect, std::move(schema), options.columns,
                          options.threads, options.memory_limit});
  }
  std::shared_ptr<ByteSource> standard_input;
  if (from_stdin) {
    ASSIGN_OR_RETURN(standard_input, TakeStandardInput());
  }
  if (*spec.format == Format::kJsonLines) {
    JsonLinesReadOptions json;
    json.files = std::move(files);
    json.schema = std::move(schema);
    json.columns = options.columns;
    json.standard_input = std::move(standard_input);
    return OpenJsonLines(std::move(json));
  }
  CsvReadOptions csv;
  csv.files = std::move(files);
  csv.dialect = *spec.dialect;
  csv.schema = std::move(schema);
  csv.columns = options.columns;
  csv.standard_input = std::move(standard_input);
  return OpenCsv(std::move(csv));
}

}  // namespace

Result<std::unique_ptr<ChunkSource>> OpenSource(const FilesSpec& spec, const ReadOptions& options) {
  RETURN_IF_ERROR(CheckPinned(spec));
  ASSIGN_OR_RETURN(std::vector<std::string> files, ResolveFiles(spec.paths));
  ASSIGN_OR_RETURN(Schema schema, WithTypes(spec.schema, options.types, files.front()));
  if (*spec.format != Format::kParquet)
    return OpenText(spec, std::move(files), std::move(schema), options);
  if (IsStandardInput(files))
    return InvalidArgument("Parquet cannot be read from standard input", "name a file");
  return OpenParquet(
      {std::move(files), std::move(schema), options.columns, options.memory_limit, options.engine});
}

Result<int64_t> CountRows(const FilesSpec& spec) {
  RETURN_IF_ERROR(CheckPinned(spec));
  ASSIGN_OR_RETURN(std::vector<std::string> files, ResolveFiles(spec.paths));
  if (IsStandardInput(files))
    return InvalidArgument("the rows of standard input cannot be counted beforehand");
  switch (*spec.format) {
    case Format::kParquet:
      return CountParquetRows(files);
    case Format::kJsonLines:
      return CountJsonLines(files);
    case Format::kCsv:
      break;
  }
  if (spec.dialect->IsPlain()) return CountCsvRecords(files, *spec.dialect);
  EngineCsvOptions options;
  options.files = std::move(files);
  options.dialect = *spec.dialect;
  options.schema = spec.schema;
  return CountEngineCsvRows(options);
}

Result<std::unique_ptr<TableWriter>> CreateWriter(const std::string& path, Format format,
                                                  const Schema& schema,
                                                  const WriteOptions& options) {
  switch (format) {
    case Format::kCsv:
      return CreateCsvWriter(path, options.dialect, schema, options.row_text_dialect);
    case Format::kJsonLines:
      return CreateJsonLinesWriter(path, schema);
    case Format::kParquet:
      return CreateParquetWriter(path, schema);
  }
  return Internal("unknown format");
}

}  // namespace slipway
