// What a person sees: tables, colour and progress bars on a terminal; neither in a pipe. stdout is
// data, stderr is messages.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"

namespace slipway {

bool StdoutIsTerminal();
bool StderrIsTerminal();
// Colour only on a terminal, without NO_COLOR, not with TERM=dumb.
enum class Style { kBold, kDim, kGreen, kYellow, kRed, kCyan };
std::string Styled(std::string_view text, Style style, bool terminal);

// Texts of others without what a terminal would obey, but with line feeds, tabs and what Styled
// wrote.
std::string ForTerminal(std::string_view text);

// A table with aligned columns (numbers to the right), cut to the terminal's width. No borders in a
// pipe: two blanks.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header) : header_(std::move(header)) {}
  // Control characters in cells are shown as \n, \x1b.
  void Add(std::vector<std::string> row);
  bool empty() const { return rows_.empty(); }
  std::string ToString() const;

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

// Display width of UTF-8 text (code points; wide East Asian ones count two).
int DisplayWidth(std::string_view text);

// A bar with rate and time left on a terminal, else one line per 10 seconds on stderr. Confined to
// one thread.
class ProgressBar {
 public:
  ProgressBar(std::string label, bool quiet);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  // part: 0 to 1, negative when not known; rows: 0 when not counted.
  void Update(double part, int64_t rows, std::string_view detail);
  void set_label(std::string label) { label_ = std::move(label); }
  // Removes the bar so that a line can be printed.
  void Clear();

 private:
  std::string Render(double part, int64_t rows, std::string_view detail, double now) const;

  std::string label_;
  const bool quiet_;
  const bool terminal_;
  const double start_;
  double last_drawn_ = 0;
  bool drawn_ = false;
};

// Writes to stdout; a closed pipe ends the program quietly, a full disk is an error.
Status WriteStdout(std::string_view text);

}  // namespace slipway
