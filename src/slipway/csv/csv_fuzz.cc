// Any bytes: the sniffer and the reader answer or refuse, and the size of the chunks changes
// nothing.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include <sys/mman.h>
#include <unistd.h>

#include "slipway/csv/csv_testing.h"
#include "slipway/csv/cutter.h"
#include "slipway/csv/sniff.h"

namespace slipway {
namespace {

void Check(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

// One memory file for all runs: opened anew by its name under /proc.
const std::string& StoreInput(std::string_view text) {
  static const int fd = ::memfd_create("csv_fuzz", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(fd);
  Check(::ftruncate(fd, 0) == 0, "ftruncate");
  Check(::pwrite(fd, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()), "pwrite");
  return path;
}

bool SameBad(const BadRow& a, const BadRow& b) {
  return a.line == b.line && a.column == b.column && a.reason == b.reason && a.text == b.text;
}

void CompareChunkSizes(CsvReadOptions options) {
  auto whole = ReadAllCsv(options);
  options.chunk_bytes = 64;
  auto cut = ReadAllCsv(options);
  Check(whole.ok() == cut.ok(), "one chunk size is refused");
  if (!whole.ok()) return;
  Check(whole->rows == cut->rows, "rows differ");
  Check(whole->row_text == cut->row_text, "row texts differ");
  Check(std::equal(whole->bad.begin(), whole->bad.end(), cut->bad.begin(), cut->bad.end(), SameBad),
        "bad rows differ");
  auto count = CountCsvRecords(options.files, options.dialect);
  Check(count.ok(), "the count is refused");
  Check(*count == static_cast<int64_t>(whole->rows.size() + whole->bad.size()),
        "the count differs");
}

}  // namespace
}  // namespace slipway

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace slipway;
  if (size == 0 || size > 1 << 16) return 0;
  const uint8_t choice = data[0];
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  CsvReadOptions options;
  options.files = {StoreInput(text)};
  auto sniff = SniffCsvFile(options.files[0], {});
  if (sniff.ok()) {
    options.dialect = sniff->dialect;
    for (size_t i = 0; i < sniff->names.size(); ++i) {
      options.schema.fields.push_back({sniff->names[i], sniff->types[i]});
    }
    CompareChunkSizes(options);
  }
  // And as a dialect that nobody asked the sniffer about.
  options.dialect = {};
  options.dialect.header = false;
  options.dialect.delimiter = ",;\t|"[choice & 3];
  options.dialect.quote = (choice & 4) != 0 ? '\0' : '"';
  options.dialect.escape = options.dialect.quote;
  options.dialect.skip_lines = choice >> 6;
  options.schema = {};
  const int columns = 1 + (choice >> 3 & 3);
  for (int i = 0; i < columns; ++i) {
    options.schema.fields.push_back({"c" + std::to_string(i), static_cast<Type>((choice + i) % 6)});
  }
  // CountCsvRecords takes the number of columns from the first record: only then must it agree.
  auto source = ByteSource::Open(options.files[0]);
  if (!source.ok()) return 0;
  auto prologue = PeekCsvPrologue(source->get(), options.dialect, options.max_record_bytes);
  if (prologue.ok() && (prologue->columns > 1) == (columns > 1)) CompareChunkSizes(options);
  return 0;
}
