// JSON lines (one object per line; plain, gzip or zstd; files or standard input) as a ChunkSource.
// Next() cuts the bytes at newlines; decoders parse in worker threads. The text of a value is read
// as a CSV cell of the same text would be.
//   - null, an absent key and the empty string are missing; keys that the schema lacks are ignored.
//   - An object or array is its JSON text in a string column, else the row is bad.
//   - Bad, and left out: malformed lines, lines that are no object, a key that stands twice, values
//   not of their type.
//   - Blank lines and a byte order mark are skipped. A line above 64 MiB stops the reading.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/csv/byte_source.h"
#include "slipway/table/stream.h"

namespace slipway {

struct JsonLinesReadOptions {
  std::vector<std::string> files;
  Schema schema;
  std::vector<std::string> columns;            // wanted; empty: all
  std::shared_ptr<ByteSource> standard_input;  // for "-" when its head was looked at before
  size_t chunk_bytes = size_t{1} << 20;
  size_t max_line_bytes = size_t{64} << 20;
};

Result<std::unique_ptr<ChunkSource>> OpenJsonLines(JsonLinesReadOptions options);

// Lines that are not blank.
Result<int64_t> CountJsonLines(const std::vector<std::string>& files);

// Finds the keys in the order of their first appearance and the types that their texts have in
// common, over the heads of one or more files. Confined to one thread.
class JsonLinesSniffer {
 public:
  JsonLinesSniffer();
  ~JsonLinesSniffer();
  JsonLinesSniffer(const JsonLinesSniffer&) = delete;
  JsonLinesSniffer& operator=(const JsonLinesSniffer&) = delete;

  // Looks at up to `max_lines` lines of a file's head; a last line that may be cut (`whole_file` ==
  // false) is not looked at. Malformed lines are passed over unless all are: then the error says
  // what the first one is.
  Status Add(std::string_view head, bool whole_file, int64_t max_lines);
  Schema schema() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace slipway
