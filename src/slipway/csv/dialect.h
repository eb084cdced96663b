// A plain CSV dialect: what module csv reads and writes itself (RFC 4180 with a chosen delimiter).
// Anything else is for the data engine.
#pragma once

#include <string>
#include <utility>

namespace slipway {

struct CsvDialect {
  char delimiter = ',';
  char quote = '"';   // '\0': no quoting
  char escape = '"';  // equal to quote: doubled quotes; '\\': backslash (not plain)
  bool header = true;
  int skip_lines = 0;
  std::string encoding = "utf-8";  // "utf-8"; others ("latin-1", "utf-16") are not plain

  bool IsPlain() const { return escape == quote && encoding == "utf-8"; }
  bool operator==(const CsvDialect&) const = default;
};

// What is known of a file's dialect before it is looked at: nothing, all of it, or the parts that a
// person stated. Delimiter and header are sniffed where they are not stated; the rest is as it
// stands in `dialect`.
struct KnownDialect {
  KnownDialect() = default;
  KnownDialect(CsvDialect all)  // NOLINT(google-explicit-constructor): a dialect is all of itself
      : dialect(std::move(all)), delimiter(true), header(true) {}

  CsvDialect dialect;
  bool delimiter = false;  // stated
  bool header = false;
};

}  // namespace slipway
