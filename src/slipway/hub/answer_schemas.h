// The shapes of answers, named as components of the hub's OpenAPI document, so that a generator
// makes types of them. More keys than these may come. Pure.
#pragma once

#include <functional>

#include "slipway/base/json_fwd.h"

namespace slipway {

// components.schemas, by name.
Json AnswerSchemas();

// {"$ref": ...} to one of them, or a list of it: for RouteDetails::answer.
std::function<Json()> Answers(const char* name);
std::function<Json()> AnswersList(const char* name);

}  // namespace slipway
