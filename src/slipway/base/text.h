// Small text functions shared by every module. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace slipway {

// Shortest text that reads back to the same bits ("0.1", "1e+300", "nan", "inf").
std::string FormatDouble(double value);
// Appends as FormatDouble without allocating a string.
void AppendDouble(double value, std::string* out);
// The whole text as a number, without blanks; nullopt otherwise. Accepts a leading '+', "nan" and
// "inf".
std::optional<double> ParseDouble(std::string_view text);
std::optional<int64_t> ParseInt64(std::string_view text);

std::string_view Trim(std::string_view text);
std::string ToLower(std::string_view text);  // ASCII only
std::vector<std::string> Split(std::string_view text, char separator);
std::string Join(std::span<const std::string> parts, std::string_view separator);
bool IsValidUtf8(std::string_view text);
// 'a', 'b' and 'c': for messages; cuts after `limit` with "and N more".
std::string QuotedList(std::span<const std::string> names, size_t limit = 10);

// Damerau-Levenshtein distance, cut at small lengths.
int EditDistance(std::string_view a, std::string_view b);
// The candidate nearest to `word`, if near enough to be a likely misspelling.
std::optional<std::string> Nearest(std::string_view word, std::span<const std::string> candidates);
// "did you mean 'x'?", or "" when nothing is near.
std::string DidYouMean(std::string_view word, std::span<const std::string> candidates);

// True for [A-Za-z0-9_.-]+ of at most 128 characters that does not begin with '.' or '-'.
bool IsValidName(std::string_view name);

// "1,234,567"; "12.3 MB"; "1 min 3 s": for people.
std::string FormatCount(int64_t n);
std::string FormatBytes(int64_t bytes);
std::string FormatSeconds(double seconds);

}  // namespace slipway
