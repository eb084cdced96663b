// What a CSV file looks like: delimiter, header, column names and a first guess of the types, from
// the file's first bytes. Run once when a dataset is defined; the answer is then pinned. Files that
// would be misread are refused with the reason and the fix. Pure functions; thread-safe.
//
// How it decides:
//   delimiter  of , ; tab | the one that splits the first record in two or more cells and most
//   often gives the
//              other records the same number. When the first record can be split but most other
//              records differ the file is refused (a ragged file is not a file of one column named
//              "a,b,c").
//   header     the first record is a header when a column of numbers, dates or booleans begins with
//   a text that is
//              none; when all columns are text it is taken for a header unless one of its cells is
//              a number, date or boolean.
//   names      blanks around a name are cut. An empty FIRST name (pandas writes its index so)
//   becomes "column1";
//              any other empty name is an error. Without a header: column1, column2, ...
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/csv/byte_source.h"
#include "slipway/csv/dialect.h"
#include "slipway/table/schema.h"

namespace slipway {

inline constexpr size_t kCsvSniffBytes = size_t{1} << 20;

struct CsvSniff {
  CsvDialect dialect;  // .header is the decision
  std::vector<std::string> names;
  std::vector<Type>
      types;            // guessed from the records seen (TypeGuesser); string where all are missing
  int64_t records = 0;  // data records seen whole; the header does not count
};

// `head` is the beginning of the (decompressed) file, `whole_file` says that it is all of it. What
// is known of the dialect holds (it must be plain), the rest is sniffed. Errors do not name the
// file: the caller adds it with Error::Within.
Result<CsvSniff> SniffCsv(std::string_view head, bool whole_file, const KnownDialect& known);

// The same for a source's first kCsvSniffBytes, which are not consumed. Errors name the file.
Result<CsvSniff> SniffCsvSource(ByteSource* source, const KnownDialect& known);
Result<CsvSniff> SniffCsvFile(const std::string& path, const KnownDialect& known);

// The columns' names from the cells of a header record, by the rules above; duplicates are an error
// that names them.
Result<std::vector<std::string>> CsvHeaderNames(const std::vector<std::string>& cells);

}  // namespace slipway
