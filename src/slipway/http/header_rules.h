// Small rules of RFC 9110 and 9112 about single values. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <string_view>

namespace slipway {

// ASCII without case.
bool SameHttpName(std::string_view a, std::string_view lower_case);
// Digits only, in 64 bits.
bool ParseHttpLength(std::string_view text, uint64_t* length);
// The value of a Host header: a name, an address or [address], with or without a port; may be
// empty.
bool IsHttpHost(std::string_view value);
// Only characters of a URL's path and query (no blank, control or non-ASCII byte, no '#').
bool IsHttpTarget(std::string_view target);
// "http://host:1/path?x" -> "host:1", "/path?x".
bool SplitAbsoluteHttpTarget(std::string_view target, std::string_view* authority,
                             std::string_view* rest);
// Whether the last element of a list is this token.
bool EndsInHttpToken(std::string_view list, std::string_view lower_case);
// llhttp's method numbers.
bool IsServedHttpMethod(uint8_t method);
std::string_view HttpMethodName(uint8_t method);
// Whether bytes up to the one that llhttp refused may be the beginning of another method.
bool BeginsLikeHttpMethod(std::string_view bytes);
// "OK", "Not Found", ...
std::string_view HttpStatusText(int status);

}  // namespace slipway
