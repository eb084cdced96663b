#include "slipway/csv/sniff.h"

#include <algorithm>
#include <set>
#include <utility>

#include "slipway/base/text.h"
#include "slipway/csv/reader.h"
#include "slipway/csv/scan.h"
#include "slipway/table/cell.h"

namespace slipway {
namespace {

constexpr char kDelimiters[] = {',', ';', '\t', '|'};

std::string DelimiterName(char delimiter) {
  return delimiter == '\t' ? "tab" : std::string("'") + delimiter + "'";
}

// The cells of each whole record of the head.
class Records {
 public:
  Records(std::string_view text, bool whole, const CsvDialect& dialect, int64_t line)
      : whole_(whole), arena_(Type::kString), tokeniser_(text, dialect, line, &arena_) {}

  // Blank lines are passed over.
  bool Next(std::vector<std::string_view>* cells, CsvRecord* record) {
    do {
      if (cells->empty()) cells->resize(16);
      if (!tokeniser_.Next(cells->data(), static_cast<int>(cells->size()), record)) return false;
      if (!record->terminated && !whole_) return false;
    } while (record->blank);
    return true;
  }

 private:
  bool whole_;
  Column arena_;
  CsvTokeniser tokeniser_;
};

Status CheckEncoding(std::string_view head, bool whole) {
  if (head.starts_with("\xFF\xFE") || head.starts_with("\xFE\xFF")) {
    return InvalidArgument("the file is UTF-16, not UTF-8", "state `encoding: utf-16`");
  }
  if (const size_t nul = head.find('\0'); nul != std::string_view::npos) {
    const auto nuls = static_cast<size_t>(std::count(head.begin(), head.end(), '\0'));
    const std::string where = "line " + std::to_string(1 + CountLineFeeds(head.substr(0, nul)));
    if (nuls * 4 > head.size()) {
      return InvalidArgument(where + " holds NUL bytes: the file is UTF-16, not UTF-8",
                             "state `encoding: utf-16`");
    }
    return InvalidArgument(where + " holds a NUL byte: this is no text file",
                           "check that the file is a CSV file and was copied whole");
  }
  int64_t line = 1;
  for (std::string_view rest = head; !rest.empty(); ++line) {
    const size_t feed = rest.find('\n');
    if (feed == std::string_view::npos && !whole) break;  // its last character may be cut
    if (!IsValidUtf8(rest.substr(0, feed))) {
      return InvalidArgument(
          "line " + std::to_string(line) + " holds bytes that are not UTF-8, probably latin-1",
          "state `encoding: latin-1` (or what the file is written in), or convert it to UTF-8");
    }
    if (feed == std::string_view::npos) break;
    rest.remove_prefix(feed + 1);
  }
  return {};
}

struct Split {
  char delimiter = ',';
  int columns = 1;         // cells of the first record
  int64_t records = 0;     // in all
  int64_t alike = 0;       // with as many cells as the first
  int64_t other_line = 0;  // the first that has another number
  int other_cells = 0;
  double share() const {
    return records == 0 ? 0 : static_cast<double>(alike) / static_cast<double>(records);
  }
};

Split TrySplit(std::string_view text, bool whole, CsvDialect dialect, char delimiter,
               int64_t line) {
  dialect.delimiter = delimiter;
  Split split;
  split.delimiter = delimiter;
  Records records(text, whole, dialect, line);
  std::vector<std::string_view> cells;
  CsvRecord record;
  while (records.Next(&cells, &record)) {
    if (split.records == 0) split.columns = record.cells;
    ++split.records;
    if (record.cells == split.columns) {
      ++split.alike;
    } else if (split.other_line == 0) {
      split.other_line = record.line;
      split.other_cells = record.cells;
    }
  }
  return split;
}

Error Ragged(const Split& split) {
  return InvalidArgument(
      "with the delimiter " + DelimiterName(split.delimiter) + " the first line has " +
          std::to_string(split.columns) + " cells, but " +
          std::to_string(split.records - split.alike) + " of the " + std::to_string(split.records) +
          " lines looked at have another number (line " + std::to_string(split.other_line) +
          " has " + std::to_string(split.other_cells) + ")",
      "put the file right, or state `delimiter:` and `header:` if it is meant so");
}

Result<char> FindDelimiter(std::string_view text, bool whole, const CsvDialect& dialect,
                           int64_t line) {
  Split best;
  Split ragged;
  for (char delimiter : kDelimiters) {
    if (delimiter == dialect.quote) continue;
    const Split split = TrySplit(text, whole, dialect, delimiter, line);
    if (split.columns < 2) continue;
    if (split.share() < 0.5) {
      if (ragged.columns < split.columns) ragged = split;
      continue;
    }
    const bool better = best.columns < 2 || split.share() > best.share() + 1e-9 ||
                        (split.share() > best.share() - 1e-9 && split.columns > best.columns);
    if (better) best = split;
  }
  if (best.columns >= 2) return best.delimiter;
  if (ragged.columns >= 2) return Ragged(ragged);
  return dialect.delimiter;
}

// A stated delimiter that leaves one column where another one splits most lines alike is a mistake.
Status CheckStatedDelimiter(std::string_view text, bool whole, const CsvDialect& dialect,
                            int64_t line) {
  if (TrySplit(text, whole, dialect, dialect.delimiter, line).columns > 1) return {};
  for (char delimiter : kDelimiters) {
    if (delimiter == dialect.delimiter || delimiter == dialect.quote) continue;
    const Split split = TrySplit(text, whole, dialect, delimiter, line);
    if (split.columns < 2 || split.share() < 0.5) continue;
    return InvalidArgument(
        "the stated delimiter " + DelimiterName(dialect.delimiter) + " leaves one column, but " +
            DelimiterName(delimiter) + " splits the lines in " + std::to_string(split.columns),
        "state `delimiter: " +
            (delimiter == '\t' ? std::string("\"\\t\"") : std::string("\"") + delimiter + "\"") +
            "`, or leave it out");
  }
  return {};
}

bool IsTyped(std::string_view text) {
  TypeGuesser guesser;
  guesser.See(text);
  return guesser.type() != Type::kString;
}

bool LooksLikeHeader(const std::vector<std::string>& first, const std::vector<Type>& later) {
  bool typed_column = false;
  bool typed_cell = false;
  for (size_t i = 0; i < first.size(); ++i) {
    const bool typed = IsTyped(first[i]);
    typed_cell |= typed;
    if (i >= later.size() || later[i] == Type::kString) continue;
    typed_column = true;
    if (!typed && !Trim(first[i]).empty()) return true;
  }
  return !typed_column && !typed_cell;
}

Error NotReadable(const CsvRecord& record) {
  return InvalidArgument("line " + std::to_string(record.line) +
                             (record.problem == RecordProblem::kUnterminatedQuote
                                  ? ": a quote is opened and never closed"
                                  : ": text follows a closing quote"),
                         "put the line right, or state another `quote:`");
}

// Guesses each column's type from the records to come; ragged ones say nothing.
std::vector<TypeGuesser> GuessTypes(Records* records, size_t columns, int64_t* count) {
  std::vector<TypeGuesser> guessers(columns);
  std::vector<std::string_view> cells(columns);
  CsvRecord record;
  while (records->Next(&cells, &record)) {
    ++*count;
    if (static_cast<size_t>(record.cells) != columns) continue;
    for (size_t i = 0; i < columns; ++i) guessers[i].See(cells[i]);
  }
  return guessers;
}

}  // namespace

Result<std::vector<std::string>> CsvHeaderNames(const std::vector<std::string>& cells) {
  std::vector<std::string> names;
  std::set<std::string> seen;
  std::vector<std::string> twice;
  for (const std::string& cell : cells) {
    if (!IsValidUtf8(cell)) {
      return InvalidArgument("the header holds bytes that are not UTF-8",
                             "state `encoding: latin-1` or what the file is written in");
    }
    std::string name(Trim(cell));
    if (name.empty() && names.empty() && cells.size() > 1) name = "column1";
    if (name.empty()) {
      return InvalidArgument(
          "column " + std::to_string(names.size() + 1) + " has no name in the header",
          "give it a name in the file, or state `header: false` if the first "
          "line is no header");
    }
    if (!seen.insert(name).second && std::find(twice.begin(), twice.end(), name) == twice.end()) {
      twice.push_back(name);
    }
    names.push_back(std::move(name));
  }
  if (!twice.empty()) {
    return InvalidArgument("the header has " + QuotedList(twice) + " more than once",
                           "give every column its own name, or state `header: false` if the first "
                           "line is no header");
  }
  return names;
}

Result<CsvSniff> SniffCsv(std::string_view head, bool whole_file, const KnownDialect& known) {
  CsvSniff sniff;
  sniff.dialect = known.dialect;
  // One column, should no delimiter be found.
  if (!known.delimiter) sniff.dialect.delimiter = known.dialect.quote == ',' ? ';' : ',';
  RETURN_IF_ERROR(CheckCsvDialect(sniff.dialect));
  if (head.empty()) return InvalidArgument("the file is empty", "it needs at least a header line");
  RETURN_IF_ERROR(CheckEncoding(head, whole_file));
  std::string_view text = SkipByteOrderMark(head);
  for (int i = 0; i < sniff.dialect.skip_lines; ++i) {
    const size_t feed = text.find('\n');
    text.remove_prefix(feed == std::string_view::npos ? text.size() : feed + 1);
  }
  const int64_t line = 1 + CountLineFeeds(head.substr(0, head.size() - text.size()));
  if (!known.delimiter) {
    ASSIGN_OR_RETURN(sniff.dialect.delimiter, FindDelimiter(text, whole_file, sniff.dialect, line));
  } else {
    RETURN_IF_ERROR(CheckStatedDelimiter(text, whole_file, sniff.dialect, line));
  }

  Records records(text, whole_file, sniff.dialect, line);
  std::vector<std::string_view> cells;
  CsvRecord record;
  if (!records.Next(&cells, &record)) {
    if (Trim(text).empty() && whole_file) {
      return InvalidArgument("the file holds only blank lines", "it needs at least a header line");
    }
    return InvalidArgument("the first line does not end within the first " +
                               FormatBytes(static_cast<int64_t>(head.size())),
                           "check that the file is a CSV file");
  }
  if (record.problem != RecordProblem::kNone) return NotReadable(record);
  if (record.text.find('\r') != std::string_view::npos &&
      record.text.find('"') == std::string_view::npos) {
    return InvalidArgument("the lines end with CR alone (an old Macintosh file)",
                           "convert the line ends to LF or CRLF");
  }
  // Again, now that the number of cells is known.
  Records all(text, whole_file, sniff.dialect, line);
  const size_t columns = static_cast<size_t>(record.cells);
  cells.assign(columns, {});
  all.Next(&cells, &record);
  const std::vector<std::string> first(cells.begin(), cells.end());
  std::vector<TypeGuesser> guessers = GuessTypes(&all, columns, &sniff.records);
  for (const TypeGuesser& guesser : guessers) sniff.types.push_back(guesser.type());
  if (!known.header) sniff.dialect.header = LooksLikeHeader(first, sniff.types);
  if (sniff.dialect.header) {
    ASSIGN_OR_RETURN(sniff.names, CsvHeaderNames(first));
    return sniff;
  }
  ++sniff.records;
  for (size_t i = 0; i < columns; ++i) {
    guessers[i].See(first[i]);
    sniff.types[i] = guessers[i].type();
    sniff.names.push_back("column" + std::to_string(i + 1));
  }
  return sniff;
}

Result<CsvSniff> SniffCsvSource(ByteSource* source, const KnownDialect& known) {
  // One byte more than is looked at says whether the file ends there.
  ASSIGN_OR_RETURN(std::string_view head, source->Peek(kCsvSniffBytes + 1));
  auto sniff = SniffCsv(head.substr(0, kCsvSniffBytes), head.size() <= kCsvSniffBytes, known);
  if (!sniff.ok()) return sniff.error().Within("'" + source->name() + "'");
  return sniff;
}

Result<CsvSniff> SniffCsvFile(const std::string& path, const KnownDialect& known) {
  ASSIGN_OR_RETURN(auto source, ByteSource::Open(path));
  return SniffCsvSource(source.get(), known);
}

}  // namespace slipway
