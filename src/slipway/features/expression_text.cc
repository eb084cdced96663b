// Kernels on texts. UTF-8: length and substr count code points, everything else works on bytes.
#include <algorithm>
#include <string>

#include "slipway/base/text.h"
#include "slipway/features/expression_kernels.h"
#include "slipway/features/expression_map.h"
#include "slipway/table/cell.h"

namespace slipway::expression_internal {

namespace {

using std::string_view;

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

int64_t CodePoints(string_view text) {
  return static_cast<int64_t>(text.size()) -
         std::count_if(text.begin(), text.end(), IsContinuation);
}

// Byte offset of code point `index`, which is at most their number.
size_t ByteOf(string_view text, int64_t index) {
  size_t at = 0;
  for (; index > 0 && at < text.size(); --index) {
    ++at;
    while (at < text.size() && IsContinuation(text[at])) ++at;
  }
  return at;
}

// The code points [begin, end) where begin is start - 1, or counts from the end when start is
// negative; a negative length reaches to the left. Start 0 is the place before the first.
string_view Substr(string_view text, int64_t start, bool to_end, int64_t length) {
  constexpr int64_t kFar = int64_t{1} << 40;  // beyond any text; keeps the sums from overflowing
  const int64_t n = CodePoints(text);
  start = std::clamp(start, -kFar, kFar);
  length = to_end ? kFar * 4 : std::clamp(length, -kFar, kFar);
  int64_t begin = start < 0 ? n + start : start - 1;
  int64_t end = begin + length;
  if (length < 0) std::swap(begin, end);
  begin = std::clamp<int64_t>(begin, 0, n);
  end = std::clamp<int64_t>(end, 0, n);
  if (begin >= end) return {};
  const size_t from = ByteOf(text, begin);
  return text.substr(from, ByteOf(text.substr(from), end - begin));
}

template <char kFrom, char kTo>
string_view ShiftCase(const Call& call, string_view text) {
  if (std::none_of(text.begin(), text.end(), [](char c) { return c >= kFrom && c <= kTo; }))
    return text;
  call.buffer->assign(text);
  for (char& c : *call.buffer) {
    if (c >= kFrom && c <= kTo) c = static_cast<char>(c ^ 0x20);
  }
  return call.arena->Intern(*call.buffer);
}

string_view Replace(const Call& call, bool& ok, string_view text, string_view what,
                    string_view by) {
  if (what.empty()) return text;
  size_t hit = text.find(what);
  if (hit == string_view::npos) return text;
  std::string& out = *call.buffer;
  out.clear();
  const size_t limit = std::max(kMaxResultBytes, text.size());
  size_t at = 0;
  for (; hit != string_view::npos && out.size() <= limit; hit = text.find(what, at)) {
    out.append(text.substr(at, hit - at)).append(by);
    at = hit + what.size();
  }
  out.append(text.substr(at));
  ok = out.size() <= limit;
  return ok ? call.arena->Intern(out) : string_view();
}

void Concat(const Call& call) {
  string_view* out = static_cast<string_view*>(call.out.data);
  const size_t parts = call.instruction.args.size();
  for (int row = 0; row < call.rows; ++row) {
    call.buffer->clear();
    bool ok = true;
    for (size_t i = 0; i < parts && ok; ++i) {
      ok = IsValid(call.arg(i), row);
      if (ok) call.buffer->append(call.arg(i).as<string_view>()[row]);
      ok = ok && call.buffer->size() <= kMaxResultBytes;
    }
    out[row] = ok ? call.arena->Intern(*call.buffer) : string_view();
    SetValid(call.out, row, ok);
  }
}

void ToText(const Call& call) {
  const Operand& in = call.arg(0);
  const ColumnView view{static_cast<Type>(call.instruction.immediate), in.data, in.validity};
  string_view* out = static_cast<string_view*>(call.out.data);
  for (int row = 0; row < call.rows; ++row) {
    const bool valid = IsValid(in, row);
    call.buffer->clear();
    if (valid) AppendCell(view, row, call.buffer);
    out[row] = valid ? call.arena->Intern(*call.buffer) : string_view();
    SetValid(call.out, row, valid);
  }
}

uint8_t Flag(bool value) { return value ? 1 : 0; }

}  // namespace

Kernel TextKernel(string_view name) {
  if (name == "lower") {
    return MapKernel<string_view, string_view>(
        [](const Call& call, bool&, string_view s) { return ShiftCase<'A', 'Z'>(call, s); });
  }
  if (name == "upper") {
    return MapKernel<string_view, string_view>(
        [](const Call& call, bool&, string_view s) { return ShiftCase<'a', 'z'>(call, s); });
  }
  return MapKernel<string_view, string_view>([](string_view s) { return Trim(s); });
}

Kernel LengthKernel() {
  return MapKernel<int64_t, string_view>([](string_view s) { return CodePoints(s); });
}

Kernel TextTestKernel(string_view name) {
  if (name == "contains") {
    return MapKernel<uint8_t, string_view, string_view>(
        [](string_view s, string_view part) { return Flag(s.find(part) != string_view::npos); });
  }
  if (name == "starts_with") {
    return MapKernel<uint8_t, string_view, string_view>(
        [](string_view s, string_view part) { return Flag(s.starts_with(part)); });
  }
  return MapKernel<uint8_t, string_view, string_view>(
      [](string_view s, string_view part) { return Flag(s.ends_with(part)); });
}

Kernel SubstrKernel() {
  return [](const Call& call) {
    if (call.instruction.args.size() == 2) {
      MapKernel<string_view, string_view, int64_t>(
          [](string_view s, int64_t start) { return Substr(s, start, true, 0); })(call);
    } else {
      MapKernel<string_view, string_view, int64_t, int64_t>(
          [](string_view s, int64_t start, int64_t length) {
            return Substr(s, start, false, length);
          })(call);
    }
  };
}

Kernel ConcatKernel() { return &Concat; }

Kernel ReplaceKernel() {
  return MapKernel<string_view, string_view, string_view, string_view>(
      [](const Call& call, bool& ok, string_view s, string_view what, string_view by) {
        return Replace(call, ok, s, what, by);
      });
}

Kernel TextToDoubleKernel() {
  return MapKernel<double, string_view>([](bool& ok, string_view s) {
    double value = 0;
    ok = ParseDoubleCell(s, &value) == CellState::kValue;
    return ok ? value : 0.0;
  });
}

Kernel TextToIntKernel() {
  return MapKernel<int64_t, string_view>([](bool& ok, string_view s) {
    int64_t value = 0;
    ok = ParseInt64Cell(s, &value) == CellState::kValue;
    return ok ? value : int64_t{0};
  });
}

Kernel ToTextKernel() { return &ToText; }

}  // namespace slipway::expression_internal
