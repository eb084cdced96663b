// The wire of DSS's public API, as its Python client speaks it: paths, Python's booleans, errors
// with `errorType`, `message` and `detailedMessage`, times in milliseconds. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "slipway/base/json.h"
#include "slipway/base/result.h"
#include "slipway/http/router.h"

namespace slipway {

// Whether a request's path is for DSS's clients: below /dip/publicapi or /public/api. Leading and
// double slashes do not matter.
bool IsDssPath(std::string_view path);
// REQUIRES: IsDssPath(path). Without the prefix, double and trailing slashes: "/projects/p".
std::string DssPath(std::string_view path);

// "True", "true", "False", "false"; kInvalidArgument names the parameter.
Result<bool> DssFlag(std::string_view name, std::string_view text);

// The problem+json of the hub as DSS's clients read errors; what is none of either stays.
Response DssErrorOf(Response response);
Response DssError(const Error& error);
// 501: `what` is not there; `instead` says what is.
Response DssNotSupported(const std::string& what, const std::string& instead);
// The error object alone.
Json DssErrorJson(int status, const Error& error);

// ASCII only: DSS's states and types are in capitals.
std::string DssUpper(std::string_view text);

// The hub's times ("2026-11-22T22:40:42Z") in milliseconds since 1970; 0 for none.
int64_t DssMillis(std::string_view time);

// "PROJECT.id" or "id" in a reference to a thing of `project`; kInvalidArgument for another
// project's.
Result<std::string> DssLocalName(std::string_view project, std::string_view reference);

// Settings sent back whole: whatever differs from what was read, besides the keys of `changeable`,
// is an error that names it. A key that is not sent stays as it is. `place` begins the names.
Status DssOnlyChanges(const Json& read, const Json& sent,
                      const std::vector<std::string_view>& changeable, const std::string& place);

}  // namespace slipway
