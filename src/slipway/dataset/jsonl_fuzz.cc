// Any bytes as JSON lines: nothing crashes, every line is either read or named as bad, a line that
// is read is JSON to another parser too, and the cut into chunks does not matter.
#include <cstdint>
#include <cstdlib>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "slipway/dataset/json_line.h"
#include "slipway/dataset/jsonl_source.h"
#include "slipway/table/cell.h"

namespace slipway {
namespace {

void Check(bool ok) {
  if (!ok) std::abort();
}

std::string ReadBack(const std::string& path, size_t chunk_bytes) {
  JsonLinesReadOptions options;
  options.files = {path};
  options.schema = {{{"a", Type::kDouble},
                     {"b", Type::kString},
                     {"c", Type::kBoolean},
                     {"d", Type::kInt64},
                     {"e", Type::kTimestamp}}};
  options.chunk_bytes = chunk_bytes;
  auto source = OpenJsonLines(std::move(options));
  Check(source.ok());
  const auto decoder = (*source)->NewDecoder();
  std::string out;
  std::vector<BadRow> bad;
  Chunk chunk;
  while (true) {
    const auto more = (*source)->Next(&chunk);
    if (!more.ok()) return "error";  // bytes that look compressed
    if (!*more) break;
    const Status status = decoder->Decode(
        chunk,
        [&](const Batch& batch) -> Status {
          for (int row = 0; row < batch.rows; ++row) {
            for (const ColumnView& column : batch.columns) {
              AppendCell(column, row, &out);
              out += '|';
            }
          }
          return {};
        },
        &bad);
    Check(status.ok());
  }
  for (const BadRow& row : bad) out += std::to_string(row.line) + row.column + row.reason + "\n";
  return out;
}

void CheckLine(std::string_view line) {
  std::string padded(line);
  padded.append(JsonLineParser::Padding(), '\0');
  static JsonLineParser parser;
  std::string reason;
  if (parser.Parse(std::string_view(padded.data(), line.size()), &reason)) {
    // The other parser refuses numbers beyond the range of a double, which are texts here.
    const bool small = line.size() < 300 && line.find_first_of("eE") == std::string_view::npos;
    Check(!small || nlohmann::json::accept(line));
  } else {
    Check(!reason.empty());
  }
}

}  // namespace
}  // namespace slipway

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  slipway::CheckLine(text.substr(0, text.find('\n')));
  const int fd = memfd_create("fuzz", MFD_CLOEXEC);
  slipway::Check(fd >= 0 && write(fd, data, size) == static_cast<ssize_t>(size));
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  const std::string whole = slipway::ReadBack(path, size_t{1} << 16);
  slipway::Check(slipway::ReadBack(path, 16) == whole);
  slipway::JsonLinesSniffer sniffer;
  static_cast<void>(sniffer.Add(text, true, 100));
  close(fd);
  return 0;
}
