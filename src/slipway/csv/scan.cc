#include "slipway/csv/scan.h"

#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace slipway {
namespace {

// Bit i: byte i is one of the three.
uint64_t Mask64(const char* p, char a, char b, char c) {
  uint64_t mask = 0;
#if defined(__SSE2__)
  const __m128i va = _mm_set1_epi8(a);
  const __m128i vb = _mm_set1_epi8(b);
  const __m128i vc = _mm_set1_epi8(c);
  for (int i = 0; i < 4; ++i) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 16 * i));
    const __m128i hit = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, va), _mm_cmpeq_epi8(v, vb)),
                                     _mm_cmpeq_epi8(v, vc));
    mask |= static_cast<uint64_t>(static_cast<uint32_t>(_mm_movemask_epi8(hit))) << (16 * i);
  }
#else
  for (int i = 0; i < 64; ++i) {
    mask |= static_cast<uint64_t>(p[i] == a || p[i] == b || p[i] == c) << i;
  }
#endif
  return mask;
}

std::string_view Unescape(std::string_view raw, char quote, Column* arena) {
  std::string out;
  out.reserve(raw.size());
  for (size_t i = 0; i < raw.size(); ++i) {
    out.push_back(raw[i]);
    if (raw[i] == quote) ++i;  // every quote inside is doubled
  }
  return arena->Intern(out);
}

}  // namespace

SpecialScanner::SpecialScanner(std::string_view text, const CsvDialect& dialect)
    : text_(text),
      delimiter_(dialect.delimiter),
      quote_(dialect.quote == '\0' ? '\n' : dialect.quote) {
  if (!text_.empty()) mask_ = Load();
}

uint64_t SpecialScanner::Load() const {
  const size_t left = text_.size() - base_;
  if (left >= 64) return Mask64(text_.data() + base_, delimiter_, quote_, '\n');
  char tail[64] = {};
  std::memcpy(tail, text_.data() + base_, left);
  return Mask64(tail, delimiter_, quote_, '\n') & ((uint64_t{1} << left) - 1);
}

CsvTokeniser::CsvTokeniser(std::string_view text, const CsvDialect& dialect, int64_t line,
                           Column* arena)
    : text_(text),
      delimiter_(dialect.delimiter),
      quote_(dialect.quote == '\0' ? '\n' : dialect.quote),
      scanner_(text, dialect),
      line_(line),
      arena_(arena) {}

// The record [begin, at) ends; `at` is its line feed or the end of the text.
void CsvTokeniser::EndRecord(size_t begin, size_t at, CsvRecord* record) {
  record->terminated = at < text_.size();
  if (record->terminated) ++line_;
  position_ = record->terminated ? at + 1 : at;
  size_t end = at;
  if (end > begin && text_[end - 1] == '\r' &&
      record->problem != RecordProblem::kUnterminatedQuote) {
    --end;
  }
  record->text = text_.substr(begin, end - begin);
  record->blank = end == begin;
}

bool CsvTokeniser::Next(std::string_view* cells, int capacity, CsvRecord* record) {
  const size_t begin = position_;
  if (begin >= text_.size()) return false;
  const char* const data = text_.data();
  record->line = line_;
  record->problem = RecordProblem::kNone;
  int count = 0;
  size_t cell = begin;
  for (;;) {
    const size_t at = scanner_.Next();
    const char c = at < text_.size() ? data[at] : '\n';
    if (c == delimiter_) {
      if (count < capacity) cells[count] = {data + cell, at - cell};
      ++count;
      cell = at + 1;
    } else if (c == '\n') {
      EndRecord(begin, at, record);
      const size_t end = begin + record->text.size();
      // A cell ends before a CR that ends the record; `cell` may be that CR's own place or one
      // behind.
      if (count < capacity) cells[count] = {data + cell, end > cell ? end - cell : 0};
      record->cells = count + 1;
      return true;
    } else if (at == cell) {
      std::string_view value;
      record->problem_cell = record->problem == RecordProblem::kNone ? count : record->problem_cell;
      const After after = TakeQuoted(at, &value, record);
      if (after == After::kText) continue;  // a bad record: read on as if unquoted
      if (count < capacity) cells[count] = value;
      ++count;
      if (after == After::kRecordEnd) {
        record->cells = count;
        EndRecord(begin, special_, record);
        return true;
      }
      cell = special_ + 1;
    }
  }
}

CsvTokeniser::After CsvTokeniser::TakeQuoted(size_t open, std::string_view* cell,
                                             CsvRecord* record) {
  bool doubled = false;
  size_t close = 0;
  for (;;) {
    close = scanner_.Next();
    if (close == text_.size()) {
      record->problem = RecordProblem::kUnterminatedQuote;
      special_ = close;
      return After::kRecordEnd;
    }
    if (text_[close] == '\n') ++line_;
    if (text_[close] != quote_) continue;
    if (close + 1 >= text_.size() || text_[close + 1] != quote_) break;
    doubled = true;
    scanner_.Next();
  }
  *cell = text_.substr(open + 1, close - open - 1);
  if (doubled) *cell = Unescape(*cell, quote_, arena_);
  size_t next = close + 1;
  if (next < text_.size() && text_[next] == '\r' &&
      (next + 1 == text_.size() || text_[next + 1] == '\n')) {
    ++next;
  }
  const char c = next < text_.size() ? text_[next] : '\n';
  if (c != delimiter_ && c != '\n') {
    if (record->problem == RecordProblem::kNone) record->problem = RecordProblem::kTextAfterQuote;
    return After::kText;
  }
  special_ = scanner_.Next();
  return c == delimiter_ ? After::kDelimiter : After::kRecordEnd;
}

size_t LastRecordEnd(std::string_view text, const CsvDialect& dialect) {
  const char* const data = text.data();
  const auto last_line_feed = [&](size_t from, size_t to) -> size_t {
    const void* at = to > from ? ::memrchr(data + from, '\n', to - from) : nullptr;
    return at == nullptr ? 0 : static_cast<size_t>(static_cast<const char*>(at) - data) + 1;
  };
  const auto next_quote = [&](size_t from) -> size_t {
    const void* at =
        from < text.size() ? std::memchr(data + from, dialect.quote, text.size() - from) : nullptr;
    return at == nullptr ? text.size() : static_cast<size_t>(static_cast<const char*>(at) - data);
  };
  if (dialect.quote == '\0') return last_line_feed(0, text.size());
  size_t end = 0;
  size_t unquoted = 0;  // where the present unquoted stretch begins
  size_t quote = next_quote(0);
  while (quote < text.size()) {
    const bool opens =
        quote == 0 || data[quote - 1] == dialect.delimiter || data[quote - 1] == '\n';
    if (!opens) {
      quote = next_quote(quote + 1);
      continue;
    }
    if (const size_t found = last_line_feed(unquoted, quote); found != 0) end = found;
    size_t close = next_quote(quote + 1);
    while (close + 1 < text.size() && data[close + 1] == dialect.quote)
      close = next_quote(close + 2);
    if (close >= text.size()) return end;      // inside quotes
    if (close + 1 == text.size()) return end;  // the next byte decides whether this quote closes
    unquoted = close + 1;
    quote = next_quote(unquoted);
  }
  const size_t found = last_line_feed(unquoted, text.size());
  return found != 0 ? found : end;
}

int64_t CountLineFeeds(std::string_view text) {
  int64_t count = 0;
  size_t i = 0;
#if defined(__SSE2__)
  const __m128i feed = _mm_set1_epi8('\n');
  while (i + 16 <= text.size()) {
    __m128i sums = _mm_setzero_si128();  // a byte lane holds up to 255
    for (int n = 0; n < 255 && i + 16 <= text.size(); ++n, i += 16) {
      const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + i));
      sums = _mm_sub_epi8(sums, _mm_cmpeq_epi8(v, feed));
    }
    const __m128i total = _mm_sad_epu8(sums, _mm_setzero_si128());
    count += _mm_cvtsi128_si64(total) + _mm_cvtsi128_si64(_mm_srli_si128(total, 8));
  }
#endif
  for (; i < text.size(); ++i) count += text[i] == '\n';
  return count;
}

std::string_view SkipByteOrderMark(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  return text;
}

}  // namespace slipway
