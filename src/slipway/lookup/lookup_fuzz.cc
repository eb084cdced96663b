// Foreign lookup tables: whatever opens can be read and searched, for keys that are there and
// others, without leaving the mapping.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include "slipway/lookup/lookup_table.h"

namespace {

constexpr int64_t kMostRows = 200;
constexpr int kMostColumns = 50;

// Every byte of a text is looked at, so that one outside the mapping is found.
size_t Touch(slipway::Column* column) {
  if (!column->valid(0) || column->type() != slipway::Type::kString) return 0;
  size_t sum = 0;
  for (const char c : column->strings()[0]) sum += static_cast<unsigned char>(c);
  return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // A file of its own: truncating one that is still mapped would be the fuzzer's fault.
  const int fd = ::memfd_create("table", MFD_CLOEXEC);
  if (fd < 0 || ::write(fd, data, size) != static_cast<ssize_t>(size)) std::abort();
  const auto opened = slipway::LookupTable::Open("/proc/self/fd/" + std::to_string(fd));
  ::close(fd);
  if (!opened.ok()) return 0;
  const slipway::LookupTable& table = **opened;
  volatile size_t sum = 0;
  for (int64_t row = 0; row < std::min(table.rows(), kMostRows); ++row) {
    for (int i = 0; i < std::min(table.schema().size(), kMostColumns); ++i) {
      slipway::Column column(table.schema().fields[static_cast<size_t>(i)].type);
      table.Read(row, i, 0, &column);
      sum = sum + Touch(&column);
    }
    std::vector<slipway::Column> keys;
    std::vector<slipway::ColumnView> views;
    bool present = true;
    for (const int key : table.keys()) {
      slipway::Column& column =
          keys.emplace_back(table.schema().fields[static_cast<size_t>(key)].type);
      table.Read(row, key, 0, &column);
      present = present && column.valid(0);
    }
    for (const slipway::Column& column : keys) views.push_back(column.View());
    if (!present) continue;
    const slipway::LookupTable::Match match = table.Find(views, 0);
    if (match.row >= table.rows()) std::abort();
  }
  return 0;
}
