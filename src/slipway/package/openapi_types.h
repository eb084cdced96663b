// Internal to package: what a value of a type may look like in a request and in an answer, as JSON
// Schema 2020-12. A request's value is as free as a CSV cell (table/cell.h), so texts have
// patterns. Pure functions.
#pragma once

#include <string>

#include "slipway/base/json.h"
#include "slipway/table/schema.h"

namespace slipway {

// In a JSON body; null, the empty text and absence are missing.
Json RequestValueSchema(Type type);
// The same for a value that must not be missing.
Json RequiredValueSchema(Type type);
// In a query string.
Json QueryValueSchema(Type type);
// In an answer; null when missing.
Json AnswerValueSchema(Type type);
// The texts that a request may have for the type; empty: any.
std::string TextPattern(Type type);

}  // namespace slipway
