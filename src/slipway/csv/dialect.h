// A plain CSV dialect: what module csv reads and writes itself (RFC 4180 with a chosen delimiter).
// Anything else is for the data engine.
#pragma once

#include <string>

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

}  // namespace slipway
