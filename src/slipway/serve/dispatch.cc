#include "slipway/serve/dispatch.h"

#include <cstring>
#include <utility>

namespace slipway {
namespace {

constexpr std::string_view kDispatchMember = "\"dispatch\"";

// A key may be written with escapes, so a backslash needs a look too.
bool MayHaveDispatch(std::string_view body) {
  return FindQuotedKey(body, kDispatchMember) != std::string_view::npos ||
         std::memchr(body.data(), '\\', body.size()) != nullptr;
}

}  // namespace

std::optional<Error> DispatchReader::Read(std::string_view body, Dispatch* dispatch) {
  if (body.empty() || !MayHaveDispatch(body)) return std::nullopt;
  arena_.Reset();
  RequestScanner scanner;
  std::string_view key, raw;
  if (!scanner.Begin(body, &arena_) || !scanner.Enter()) return scanner.error();
  bool seen = false;
  while (scanner.NextKey(&key)) {
    if (key == "dispatch") {
      if (std::exchange(seen, true)) {
        (void)scanner.Fail("'dispatch' stands twice");
        return scanner.error();
      }
      if (std::optional<Error> error = ReadMember(&scanner, dispatch)) return error;
    } else {
      scanner.Skip(&raw);
    }
  }
  if (!scanner.Finish()) return scanner.error();
  return std::nullopt;
}

std::optional<Error> DispatchReader::ReadMember(RequestScanner* scanner, Dispatch* dispatch) {
  const JsonToken begins = scanner->Peek();
  if (begins == JsonToken::kNull) {
    scanner->Word();
    return std::nullopt;
  }
  const Error wrong = InvalidArgument("dispatch is no object of texts",
                                      R"(send {"forcedGeneration": "v1"} or {"dispatchKey": "k"})");
  if (begins != JsonToken::kObject || !scanner->Enter()) return wrong;
  std::string_view key, raw;
  bool seen_generation = false, seen_key = false;
  while (scanner->NextKey(&key)) {
    std::string_view* const to = key == "forcedGeneration" ? &dispatch->forced_generation
                                 : key == "dispatchKey"    ? &dispatch->key
                                                           : nullptr;
    if (to != nullptr && std::exchange(to == &dispatch->key ? seen_key : seen_generation, true)) {
      (void)scanner->Fail(to == &dispatch->key ? "'dispatchKey' stands twice"
                                               : "'forcedGeneration' stands twice");
      return scanner->error();
    }
    const JsonToken token = scanner->Peek();
    if (to == nullptr || token == JsonToken::kNull) {
      scanner->Skip(&raw);
    } else if (token == JsonToken::kString) {
      scanner->String(to);
    } else if (token == JsonToken::kNumber) {
      scanner->Skip(to);  // a number's own text is its key
    } else {
      return wrong;
    }
  }
  if (!scanner->ok()) return scanner->error();
  return std::nullopt;
}

}  // namespace slipway
