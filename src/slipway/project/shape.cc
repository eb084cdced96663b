#include "slipway/project/shape.h"

#include <algorithm>

#include "slipway/base/json.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

std::string Suggested(std::string message, std::string_view word,
                      const std::vector<std::string>& known) {
  std::string suggestion = DidYouMean(word, known);
  return suggestion.empty() ? message : message + "; " + suggestion;
}

std::string BoundsText(const Key& key) {
  auto number = [](double v) { return FormatDouble(v); };
  const std::string whole = key.kind == KeyKind::kInteger ? "a whole number" : "a number";
  if (key.minimum && key.maximum) {
    return whole + (key.open ? " between (and not equal to) " : " from ") + number(*key.minimum) +
           (key.open ? " and " : " to ") + number(*key.maximum);
  }
  if (key.minimum) {
    return whole + (key.open ? " greater than " : " of at least ") + number(*key.minimum);
  }
  return whole;
}

bool WithinBounds(const Key& key, double value) {
  if (key.minimum && (key.open ? value <= *key.minimum : value < *key.minimum)) return false;
  return !(key.maximum && (key.open ? value >= *key.maximum : value > *key.maximum));
}

// "" when the value is of the key's kind, else what it should be.
std::string Wanted(const Key& key, const Json& value) {
  auto fails = [](bool right, const char* wanted) { return std::string(right ? "" : wanted); };
  switch (key.kind) {
    case KeyKind::kText:
      return fails(value.is_string(), "text");
    case KeyKind::kBoolean:
      return fails(value.is_boolean(), "true or false");
    case KeyKind::kInteger: {
      bool fits =
          value.is_number_integer() &&
          !(value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX));
      return fits && WithinBounds(key, value.get<double>()) ? "" : BoundsText(key);
    }
    case KeyKind::kNumber:
      return value.is_number() && WithinBounds(key, value.get<double>()) ? "" : BoundsText(key);
    case KeyKind::kTexts: {
      bool right = value.is_string() || (value.is_array() && !value.empty());
      for (const Json& item : value.is_array() ? value : Json::array()) right &= item.is_string();
      return fails(right, "text or a list of texts");
    }
    case KeyKind::kWord:
      return fails(value.is_string(), "text");
    case KeyKind::kObject:
    case KeyKind::kNamed:
      return fails(value.is_object(), "a map");
    case KeyKind::kAny:
      return "";
  }
  return "";
}

void CheckNamed(const Shape& shape, const Json& map, const std::string& pointer,
                Problems* problems) {
  for (const auto& [name, member] : map.items()) {
    const std::string at = PointerJoin(pointer, name);
    if (!IsValidName(name)) {
      problems->AddAtKey(at, "'" + name.substr(0, 150) + "' is not a valid " + shape.noun +
                                 " name; names have letters, digits, '_', '.' and '-', begin with "
                                 "none of the last two and are at most 128 long");
      continue;
    }
    CheckShape(shape, member, at, shape.noun + " '" + name + "'", problems);
  }
}

void CheckKey(const Key& key, const Json& value, const std::string& pointer, Problems* problems) {
  if (key.kind == KeyKind::kNamed && value.is_null()) return;  // "models:" with nothing below
  if (std::string wanted = Wanted(key, value); !wanted.empty()) {
    problems->Add(pointer,
                  "'" + key.name + "' must be " + wanted + ", not " + DescribeValue(value));
    return;
  }
  if (key.kind == KeyKind::kWord) {
    const auto& word = value.get_ref<const std::string&>();
    if (std::find(key.words.begin(), key.words.end(), word) == key.words.end()) {
      problems->Add(pointer, Suggested("'" + key.name + "' must be one of " +
                                           QuotedList(key.words, 40) + ", not '" + word + "'",
                                       word, key.words));
      return;
    }
  }
  if (key.kind == KeyKind::kObject) CheckShape(*key.shape, value, pointer, key.name, problems);
  if (key.kind == KeyKind::kNamed) CheckNamed(*key.shape, value, pointer, problems);
  if (key.check != nullptr) key.check(value, pointer, problems);
}

// The variant that `type` picks; nullptr after saying what is wrong with it.
const Variant* PickVariant(const Shape& shape, const Json& value, const std::string& pointer,
                           const std::string& label, Problems* problems) {
  std::vector<std::string> types;
  for (const Variant& variant : shape.variants) types.push_back(variant.type);
  auto type = value.find("type");
  if (type == value.end()) {
    problems->Add(pointer,
                  "missing key 'type' in " + label + "; it is one of " + QuotedList(types));
    return nullptr;
  }
  const std::string at = PointerJoin(pointer, "type");
  if (!type->is_string()) {
    problems->Add(at,
                  "'type' must be one of " + QuotedList(types) + ", not " + DescribeValue(*type));
    return nullptr;
  }
  const auto& word = type->get_ref<const std::string&>();
  for (const Variant& variant : shape.variants) {
    if (variant.type == word) return &variant;
  }
  if (std::find(shape.later.begin(), shape.later.end(), word) != shape.later.end()) {
    problems->Add(at, shape.noun + " type '" + word + "' comes with a later part of Slipway");
  } else {
    problems->Add(at, Suggested("unknown " + shape.noun + " type '" + word + "'; it is one of " +
                                    QuotedList(types),
                                word, types));
  }
  return nullptr;
}

Json KeySchema(const Key& key) {
  Json schema = Json::object();
  if (key.schema != nullptr) {
    schema = key.schema();
  } else {
    switch (key.kind) {
      case KeyKind::kText:
        schema["type"] = "string";
        break;
      case KeyKind::kBoolean:
        schema["type"] = "boolean";
        break;
      case KeyKind::kInteger:
        schema["type"] = "integer";
        break;
      case KeyKind::kNumber:
        schema["type"] = "number";
        break;
      case KeyKind::kWord:
        schema["enum"] = key.words;
        break;
      case KeyKind::kTexts:
        schema["anyOf"] =
            Json::array({{{"type", "string"}},
                         {{"type", "array"}, {"items", {{"type", "string"}}}, {"minItems", 1}}});
        break;
      case KeyKind::kObject:
        schema = ShapeSchema(*key.shape);
        break;
      case KeyKind::kNamed:
        schema["type"] = Json::array({"object", "null"});
        schema["propertyNames"] = {{"pattern", "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$"}};
        schema["additionalProperties"] = ShapeSchema(*key.shape);
        break;
      case KeyKind::kAny:
        break;
    }
  }
  if (key.minimum) schema[key.open ? "exclusiveMinimum" : "minimum"] = *key.minimum;
  if (key.maximum) schema[key.open ? "exclusiveMaximum" : "maximum"] = *key.maximum;
  if (!key.description.empty()) schema["description"] = key.description;
  return schema;
}

Json KeysSchema(const std::vector<Key>& common, const Variant* variant) {
  Json properties = Json::object();
  Json required = Json::array();
  auto add = [&](const Key& key) {
    properties[key.name] = KeySchema(key);
    if (key.required) required.push_back(key.name);
  };
  if (variant != nullptr) {
    properties["type"] = {{"const", variant->type}};
    required.push_back("type");
    for (const Key& key : variant->keys) add(key);
  }
  for (const Key& key : common) add(key);
  Json schema = {{"type", "object"}, {"properties", std::move(properties)}};
  if (!required.empty()) schema["required"] = std::move(required);
  schema["additionalProperties"] = false;
  return schema;
}

}  // namespace

std::string DescribeValue(const Json& value) {
  if (value.is_null()) return "nothing";
  if (value.is_array()) return "a list";
  if (value.is_object()) return "a map";
  if (value.is_string()) return "the text '" + value.get<std::string>().substr(0, 60) + "'";
  if (value.is_boolean()) return value.get<bool>() ? "true" : "false";
  return "the number " + DumpJson(value);
}

void CheckShape(const Shape& shape, const Json& value, const std::string& pointer,
                const std::string& label, Problems* problems) {
  if (!value.is_object()) {
    problems->Add(pointer, label + " must be a map, not " + DescribeValue(value));
    return;
  }
  const Variant* variant = nullptr;
  if (!shape.variants.empty()) {
    variant = PickVariant(shape, value, pointer, label, problems);
    if (variant == nullptr) return;
  }
  std::vector<const Key*> keys;
  std::vector<std::string> names;
  for (const Key& key : shape.keys) keys.push_back(&key);
  if (variant != nullptr) {
    names.emplace_back("type");
    for (const Key& key : variant->keys) keys.push_back(&key);
  }
  for (const Key* key : keys) names.push_back(key->name);
  const size_t before = problems->size();
  for (const auto& [name, member] : value.items()) {
    if (variant != nullptr && name == "type") continue;
    const std::string at = PointerJoin(pointer, name);
    auto key =
        std::find_if(keys.begin(), keys.end(), [&](const Key* k) { return k->name == name; });
    if (key == keys.end()) {
      problems->AddAtKey(
          at, Suggested("unknown key '" + name.substr(0, 80) + "' in " + label, name, names));
    } else {
      CheckKey(**key, member, at, problems);
    }
  }
  for (const Key* key : keys) {
    if (key->required && !value.contains(key->name)) {
      problems->Add(pointer, "missing key '" + key->name + "' in " + label);
    }
  }
  if (problems->size() > before) return;
  if (variant != nullptr && variant->check != nullptr) variant->check(value, pointer, problems);
  if (shape.check != nullptr) shape.check(value, pointer, problems);
}

Json ShapeSchema(const Shape& shape) {
  Json schema;
  if (shape.variants.empty()) {
    schema = KeysSchema(shape.keys, nullptr);
  } else {
    Json any = Json::array();
    for (const Variant& variant : shape.variants) any.push_back(KeysSchema(shape.keys, &variant));
    schema["oneOf"] = std::move(any);
  }
  if (!shape.description.empty()) schema["description"] = shape.description;
  return schema;
}

}  // namespace slipway
