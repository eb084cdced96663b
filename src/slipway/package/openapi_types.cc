#include "slipway/package/openapi_types.h"

namespace slipway {
namespace {

constexpr char kBlanks[] = "[ \\t\\r\\n]*";
constexpr char kNotFinite[] = "[+-]?([iI][nN][fF]([iI][nN][iI][tT][yY])?|[nN][aA][nN])";

std::string DatePattern() {
  return "([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|"
         "02-(0[1-9]|1[0-9]|2[0-8]))|"
         "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)";
}

// Without blanks around it.
std::string BarePattern(Type type) {
  switch (type) {
    case Type::kBoolean:
      return "[tT]([rR][uU][eE])?|[fF]([aA][lL][sS][eE])?|[yY]([eE][sS])?|[nN][oO]?|[01]";
    case Type::kInt64:
      // 18 digits and nearly all of 19; a whole number below 2^53 that is written as a double.
      return "[+-]?0*([0-9]{1,18}|[0-8][0-9]{18}|9[01][0-9]{17})|"
             "[+-]?0*[0-9]{1,15}\\.0*|[+-]?[0-9]\\.?0*[eE][+]?0?[0-9]|[+-]?[nN][aA][nN]";
    case Type::kDouble:
      return std::string("[+-]?([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([eE][+-]?[0-9]+)?|") + kNotFinite;
    case Type::kDate:
      return DatePattern() + "([Tt ]00:00(:00(\\.0{1,9})?)? *([zZ]|[uU][tT][cC])?)?";
    case Type::kTimestamp:
      return DatePattern() +
             "([Tt ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\\.[0-9]{1,9})?)?"
             " *([zZ]|[uU][tT][cC]|[+-](0[0-9]|1[0-8]):?([0-5][0-9])?)?)?";
    case Type::kString:
      break;
  }
  return "";
}

Json WithText(Json types, Type type) {
  return Json{{"type", std::move(types)}, {"pattern", TextPattern(type)}};
}

void SetInt64Bounds(Json* schema) {
  (*schema)["minimum"] = INT64_MIN;
  (*schema)["maximum"] = INT64_MAX;
}

}  // namespace

std::string TextPattern(Type type) {
  if (type == Type::kString) return "";
  return std::string("^") + kBlanks + "(" + BarePattern(type) + ")?" + kBlanks + "$";
}

Json RequestValueSchema(Type type) {
  Json schema;
  switch (type) {
    case Type::kBoolean:
      schema = WithText({"boolean", "integer", "string", "null"}, type);
      schema["minimum"] = 0;
      schema["maximum"] = 1;
      return schema;
    case Type::kInt64:
      schema = WithText({"integer", "string", "null"}, type);
      SetInt64Bounds(&schema);
      return schema;
    case Type::kDouble:
      return WithText({"number", "string", "null"}, type);
    case Type::kDate:
    case Type::kTimestamp:
      return WithText({"string", "null"}, type);
    case Type::kString:
      break;
  }
  // Whatever is no text is taken as its JSON text.
  return Json{{"type", {"string", "number", "boolean", "null", "array", "object"}}};
}

Json RequiredValueSchema(Type type) {
  Json schema = RequestValueSchema(type);
  Json types = Json::array();
  for (const Json& name : schema["type"]) {
    if (name != "null") types.push_back(name);
  }
  schema["type"] = std::move(types);
  if (type == Type::kString) {
    schema["minLength"] = 1;
  } else {
    // Blank, and what is no number.
    schema["not"] =
        Json{{"type", "string"},
             {"pattern", "^[ \\t\\n\\r\\f\\v]*([+-]?[nN][aA][nN])?[ \\t\\n\\r\\f\\v]*$"}};
  }
  return schema;
}

Json QueryValueSchema(Type type) {
  if (type == Type::kString) return Json{{"type", "string"}};
  Json schema = RequiredValueSchema(type);
  schema.erase("not");  // an empty text is missing
  return schema;
}

Json AnswerValueSchema(Type type) {
  switch (type) {
    case Type::kBoolean:
      return Json{{"type", {"boolean", "null"}}};
    case Type::kInt64: {
      Json schema = {{"type", {"integer", "null"}}};
      SetInt64Bounds(&schema);
      return schema;
    }
    case Type::kDouble:
      return Json{{"type", {"number", "null"}}};
    case Type::kString:
    case Type::kDate:
    case Type::kTimestamp:
      break;
  }
  return Json{{"type", {"string", "null"}}};
}

}  // namespace slipway
