#include "slipway/cli/terminal.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include <sys/ioctl.h>
#include <unistd.h>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/base/visible_text.h"

namespace slipway {
namespace {

bool ColourWanted() {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  return (no_color == nullptr || *no_color == '\0') && term != nullptr &&
         std::string_view(term) != "dumb";
}

int TerminalWidth(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 20) return size.ws_col;
  return 100;
}

bool LooksNumeric(std::string_view text) {
  for (std::string_view unit : {" B", " kB", " MB", " GB", " TB"}) {
    if (text.ends_with(unit)) text.remove_suffix(unit.size());
  }
  return text.empty() || text == "-" ||
         text.find_first_not_of("0123456789.,+-eE%") == std::string_view::npos;
}

// The first `width` columns of the text.
std::string CutTo(std::string_view text, int width) {
  std::string out;
  int used = 0;
  for (size_t i = 0; i < text.size();) {
    size_t end = i + 1;
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
    const int w = DisplayWidth(text.substr(i, end - i));
    if (used + w > width - 1) return out + "…";
    out.append(text.substr(i, end - i));
    used += w;
    i = end;
  }
  return out;
}

}  // namespace

bool StdoutIsTerminal() { return ::isatty(1) == 1; }
bool StderrIsTerminal() { return ::isatty(2) == 1; }

std::string Styled(std::string_view text, Style style, bool terminal) {
  if (!terminal || !ColourWanted()) return std::string(text);
  static constexpr const char* kCodes[] = {"1", "2", "32", "33", "31", "36"};
  return std::string("\x1b[") + kCodes[static_cast<size_t>(style)] + "m" + std::string(text) +
         "\x1b[0m";
}

int DisplayWidth(std::string_view text) {
  int width = 0;
  for (size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    const size_t length = c < 0x80 ? 1 : c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
    uint32_t code = c;
    if (length > 1) {
      code = c & (0xFFu >> (length + 1));
      for (size_t k = 1; k < length && i + k < text.size(); ++k)
        code = code << 6 | (static_cast<unsigned char>(text[i + k]) & 0x3Fu);
    }
    const bool wide = (code >= 0x1100 && code <= 0x115F) || (code >= 0x2E80 && code <= 0xA4CF) ||
                      (code >= 0xAC00 && code <= 0xD7A3) || (code >= 0xF900 && code <= 0xFAFF) ||
                      (code >= 0xFF00 && code <= 0xFF60) || (code >= 0x1F300 && code <= 0x1FAFF);
    width += wide ? 2 : code < 0x20 ? 0 : 1;
    i += length;
  }
  return width;
}

std::string ForTerminal(std::string_view text) {
  std::string out;
  for (;;) {
    const size_t at = text.find("\x1b[");
    out += VisibleText(text.substr(0, at), true);
    if (at == std::string_view::npos) return out;
    text.remove_prefix(at);
    const size_t end = text.find_first_not_of("0123456789", 2);
    const bool styled = end != std::string_view::npos && end <= 4 && text[end] == 'm';
    const std::string_view code = text.substr(0, styled ? end + 1 : 1);
    out += styled ? std::string(code) : VisibleText(code);
    text.remove_prefix(code.size());
  }
}

void TextTable::Add(std::vector<std::string> row) {
  for (std::string& cell : row) {
    if (HasControls(cell)) cell = VisibleText(cell);
  }
  rows_.push_back(std::move(row));
}

std::string TextTable::ToString() const {
  const size_t columns = header_.size();
  std::vector<int> widths(columns);
  std::vector<char> right(columns, 1);
  for (size_t c = 0; c < columns; ++c) {
    widths[c] = DisplayWidth(header_[c]);
    for (const auto& row : rows_) {
      widths[c] = std::max(widths[c], DisplayWidth(row[c]));
      if (!LooksNumeric(row[c])) right[c] = 0;
    }
  }
  const bool terminal = StdoutIsTerminal();
  const auto line = [&](const std::vector<std::string>& row) {
    std::string out;
    for (size_t c = 0; c < columns; ++c) {
      if (c > 0) out += "  ";
      const std::string pad(static_cast<size_t>(std::max(0, widths[c] - DisplayWidth(row[c]))),
                            ' ');
      const bool last = c + 1 == columns;
      out += right[c] != 0 ? pad + row[c] : last ? row[c] : row[c] + pad;
    }
    while (!out.empty() && out.back() == ' ') out.pop_back();
    return terminal && DisplayWidth(out) > TerminalWidth(1) ? CutTo(out, TerminalWidth(1)) : out;
  };
  std::string out = Styled(line(header_), Style::kBold, terminal) + "\n";
  for (const auto& row : rows_) out += line(row) + "\n";
  return out;
}

ProgressBar::ProgressBar(std::string label, bool quiet)
    : label_(std::move(label)),
      quiet_(quiet),
      terminal_(StderrIsTerminal()),
      start_(SteadySeconds()),
      last_drawn_(terminal_ ? 0 : start_) {}

ProgressBar::~ProgressBar() { Clear(); }

void ProgressBar::Clear() {
  if (!drawn_) return;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
  drawn_ = false;
}

std::string ProgressBar::Render(double part, int64_t rows, std::string_view detail,
                                double now) const {
  std::string out = label_;
  if (part >= 0) {
    const int filled = static_cast<int>(std::clamp(part, 0.0, 1.0) * 20);
    if (terminal_) {
      out += " [";
      for (int i = 0; i < 20; ++i) out += i < filled ? "█" : "·";
      out += "]";
    }
    out += " " + std::to_string(static_cast<int>(std::clamp(part, 0.0, 1.0) * 100)) + "%";
  }
  const double elapsed = now - start_;
  if (rows > 0) {
    out += "  " + FormatCount(rows) + " rows";
    if (elapsed > 0.5)
      out += ", " + FormatCount(static_cast<int64_t>(static_cast<double>(rows) / elapsed)) + "/s";
  }
  if (part > 0.02 && part < 1 && elapsed > 1)
    out += ", " + FormatSeconds(elapsed / part * (1 - part)) + " left";
  if (!detail.empty()) out += "  " + std::string(detail);
  return out;
}

void ProgressBar::Update(double part, int64_t rows, std::string_view detail) {
  if (quiet_) return;
  const double now = SteadySeconds();
  if (now - last_drawn_ < (terminal_ ? 0.1 : 10.0)) return;
  last_drawn_ = now;
  const std::string line = Render(part, rows, detail, now);
  if (terminal_) {
    std::fprintf(stderr, "\r\x1b[K%s", CutTo(line, TerminalWidth(2)).c_str());
    drawn_ = true;
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  std::fflush(stderr);
}

Status WriteStdout(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(1, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EPIPE) ::_exit(0);  // `| head` has seen enough
    if (n < 0) return FileError("write", "standard output", errno);
    text.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

}  // namespace slipway
