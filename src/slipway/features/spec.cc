#include "slipway/features/spec.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <utility>

#include "slipway/base/json.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

constexpr size_t kMaxSteps = 1'000;
constexpr size_t kMaxExpressionBytes = 1'000'000;  // of all steps together
constexpr int64_t kMaxCategories = 100'000;

template <typename Enum>
using Word = std::pair<std::string_view, Enum>;
template <typename Enum, size_t N>
using Words = std::array<Word<Enum>, N>;

constexpr Words<FeatureKind, 4> kKinds = {{{"numeric", FeatureKind::kNumeric},
                                           {"category", FeatureKind::kCategory},
                                           {"timestamp", FeatureKind::kTimestamp},
                                           {"ignore", FeatureKind::kIgnore}}};
constexpr Words<MissingPolicy, 4> kMissing = {{{"median", MissingPolicy::kMedian},
                                               {"mean", MissingPolicy::kMean},
                                               {"constant", MissingPolicy::kConstant},
                                               {"native", MissingPolicy::kNative}}};
constexpr Words<CategoryEncode, 3> kEncodes = {{{"native", CategoryEncode::kNative},
                                                {"ordinal", CategoryEncode::kOrdinal},
                                                {"one_hot", CategoryEncode::kOneHot}}};
constexpr Words<UnseenPolicy, 3> kUnseen = {{{"other", UnseenPolicy::kOther},
                                             {"missing", UnseenPolicy::kMissing},
                                             {"error", UnseenPolicy::kError}}};
constexpr std::array<std::string_view, 3> kScales = {"none", "standard", "minmax"};
constexpr std::array<std::string_view, 7> kParts = {"year",   "month",   "day",  "hour",
                                                    "minute", "weekday", "epoch"};

Error UnknownWord(const std::string& path, std::string_view what, std::string_view word,
                  const std::vector<std::string>& known) {
  std::string hint = DidYouMean(word, known);
  if (hint.empty()) hint = "known are " + QuotedList(known, 20);
  return InvalidArgument(path + ": unknown " + std::string(what) + " '" + std::string(word) + "'",
                         std::move(hint));
}

template <typename List>
std::vector<std::string> Strings(const List& words) {
  return {words.begin(), words.end()};
}

Result<std::string> TextOf(const Json& value, const std::string& path) {
  if (!value.is_string()) {
    return InvalidArgument(path + ": must be a text, not " + std::string(value.type_name()));
  }
  return value.get<std::string>();
}

Result<std::string> NameOf(const Json& value, const std::string& path) {
  ASSIGN_OR_RETURN(std::string name, TextOf(value, path));
  if (name.empty()) return InvalidArgument(path + ": a column's name must not be empty");
  return name;
}

template <typename Enum, size_t N>
Result<Enum> WordOf(const Json& value, const std::string& path, const Words<Enum, N>& words) {
  ASSIGN_OR_RETURN(std::string text, TextOf(value, path));
  std::vector<std::string> known;
  for (const auto& [word, meaning] : words) {
    if (word == text) return meaning;
    known.emplace_back(word);
  }
  return UnknownWord(path, "word", text, known);
}

template <typename Enum, size_t N>
std::string_view WordFor(Enum value, const Words<Enum, N>& words) {
  for (const auto& [word, meaning] : words) {
    if (meaning == value) return word;
  }
  return "";
}

// ---- prepare ----

Status ReadDrop(const Json& value, const std::string& path, PrepareStep* step) {
  step->kind = PrepareStep::Kind::kDrop;
  if (value.is_string()) {  // `drop: x` for `drop: [x]`
    ASSIGN_OR_RETURN(std::string name, NameOf(value, path));
    step->names.push_back(std::move(name));
    return {};
  }
  if (!value.is_array() || value.empty()) {
    return InvalidArgument(path + ": must be a list of columns", "write drop: [a, b]");
  }
  for (const Json& item : value) {
    ASSIGN_OR_RETURN(std::string name, NameOf(item, path));
    step->names.push_back(std::move(name));
  }
  return {};
}

Status ReadRename(const Json& value, const std::string& path, PrepareStep* step) {
  step->kind = PrepareStep::Kind::kRename;
  if (!value.is_object() || value.empty()) {
    return InvalidArgument(path + ": must give old and new names", "write rename: {old: new}");
  }
  for (const auto& [from, to] : value.items()) {
    ASSIGN_OR_RETURN(std::string name, NameOf(to, path + "." + from));
    step->renames.emplace_back(from, std::move(name));
  }
  return {};
}

Status ReadCast(const Json& value, const std::string& path, PrepareStep* step) {
  step->kind = PrepareStep::Kind::kCast;
  if (!value.is_object() || value.empty()) {
    return InvalidArgument(path + ": must give columns and types", "write cast: {column: double}");
  }
  for (const auto& [column, type_name] : value.items()) {
    const std::string at = path + "." + column;
    ASSIGN_OR_RETURN(std::string name, TextOf(type_name, at));
    auto type = TypeFromName(name);
    if (!type) {
      return UnknownWord(at, "type", name,
                         {"boolean", "int64", "double", "string", "date", "timestamp"});
    }
    step->casts.emplace_back(column, *type);
  }
  return {};
}

Status ReadColumn(const Json& json, const std::string& path, PrepareStep* step) {
  step->kind = PrepareStep::Kind::kColumn;
  const Json* column = FindMember(json, "column");
  const Json* expr = FindMember(json, "expr");
  if (column == nullptr || expr == nullptr) {
    return InvalidArgument(path + ": 'column' and 'expr' go together",
                           "write {column: NAME, expr: EXPRESSION}");
  }
  ASSIGN_OR_RETURN(step->column, NameOf(*column, path + ".column"));
  ASSIGN_OR_RETURN(step->expression, TextOf(*expr, path + ".expr"));
  return {};
}

Result<PrepareStep> StepFromJson(const Json& json, const std::string& path) {
  static const std::vector<std::string> known = {"filter", "column", "expr",
                                                 "drop",   "rename", "cast"};
  if (!json.is_object() || json.empty()) {
    return InvalidArgument(path + ": must be one of filter, column, drop, rename, cast",
                           "write for example {filter: \"fare > 0\"}");
  }
  for (const auto& item : json.items()) {
    if (std::find(known.begin(), known.end(), item.key()) == known.end()) {
      return UnknownWord(path, "key", item.key(), known);
    }
  }
  PrepareStep step;
  if (json.contains("column") || json.contains("expr")) {
    RETURN_IF_ERROR(ReadColumn(json, path, &step));
    if (json.size() != 2) {
      return InvalidArgument(path + ": 'column' takes exactly one other key, 'expr'",
                             "write one step per item of the list");
    }
    return step;
  }
  if (json.size() != 1) {
    return InvalidArgument(path + ": has more than one kind of step",
                           "write one step per item of the list");
  }
  const std::string& key = json.begin().key();
  const Json& value = json.begin().value();
  const std::string at = path + "." + key;
  if (key == "filter") {
    ASSIGN_OR_RETURN(step.expression, TextOf(value, at));
  } else if (key == "drop") {
    RETURN_IF_ERROR(ReadDrop(value, at, &step));
  } else if (key == "rename") {
    RETURN_IF_ERROR(ReadRename(value, at, &step));
  } else {
    RETURN_IF_ERROR(ReadCast(value, at, &step));
  }
  return step;
}

// ---- features ----

Status CheckKeys(const Json& json, const std::string& path) {
  static const std::vector<std::string> known = {"as",     "missing",        "value",  "scale",
                                                 "encode", "max_categories", "unseen", "parts"};
  for (const auto& item : json.items()) {
    if (std::find(known.begin(), known.end(), item.key()) == known.end()) {
      return UnknownWord(path, "key", item.key(), known);
    }
  }
  return {};
}

Result<FeatureKind> KindOf(const Json& value, const std::string& path) {
  if (value == "text") {
    return InvalidArgument(path + ": 'text' comes with a later part of Slipway",
                           "use category, or ignore");
  }
  return WordOf(value, path, kKinds);
}

// The kind of `as`, or the one that the other settings belong to; settings of another kind are
// refused.
Status ReadKind(const Json& json, const std::string& path, FeatureSpec* spec) {
  if (const Json* as = FindMember(json, "as")) {
    ASSIGN_OR_RETURN(spec->kind, KindOf(*as, path + ".as"));
  }
  static constexpr std::pair<std::string_view, FeatureKind> owners[] = {
      {"missing", FeatureKind::kNumeric},         {"value", FeatureKind::kNumeric},
      {"scale", FeatureKind::kNumeric},           {"encode", FeatureKind::kCategory},
      {"max_categories", FeatureKind::kCategory}, {"unseen", FeatureKind::kCategory},
      {"parts", FeatureKind::kTimestamp}};
  for (const auto& [key, owner] : owners) {
    if (!json.contains(std::string(key))) continue;
    if (!spec->kind) spec->kind = owner;
    if (*spec->kind != owner) {
      return InvalidArgument(path + "." + std::string(key) + ": is a setting of " +
                             std::string(WordFor(owner, kKinds)) + ", not of " +
                             std::string(WordFor(*spec->kind, kKinds)));
    }
  }
  return {};
}

Status ReadNumeric(const Json& json, const std::string& path, FeatureSpec* spec) {
  if (const Json* missing = FindMember(json, "missing")) {
    ASSIGN_OR_RETURN(spec->missing, WordOf(*missing, path + ".missing", kMissing));
  }
  if (const Json* value = FindMember(json, "value")) {
    if (!value->is_number() || !std::isfinite(value->get<double>())) {
      return InvalidArgument(path + ".value: must be a number");
    }
    if (spec->missing != MissingPolicy::kConstant) {
      return InvalidArgument(path + ".value: is only used with missing: constant",
                             "write {missing: constant, value: " + DumpJson(*value) + "}");
    }
    spec->constant = value->get<double>();
  }
  if (const Json* scale = FindMember(json, "scale")) {
    ASSIGN_OR_RETURN(spec->scale, TextOf(*scale, path + ".scale"));
    if (std::find(kScales.begin(), kScales.end(), spec->scale) == kScales.end()) {
      return UnknownWord(path + ".scale", "word", spec->scale, Strings(kScales));
    }
  }
  return {};
}

Status ReadCategory(const Json& json, const std::string& path, FeatureSpec* spec) {
  if (const Json* encode = FindMember(json, "encode")) {
    if (*encode == "frequency" || *encode == "target") {
      return InvalidArgument(
          path + ".encode: '" + encode->get<std::string>() + "' comes with a later part of Slipway",
          "use native, ordinal or one_hot");
    }
    ASSIGN_OR_RETURN(spec->encode, WordOf(*encode, path + ".encode", kEncodes));
  }
  if (const Json* most = FindMember(json, "max_categories")) {
    auto number = GetInt(json, "max_categories");
    if (!number.ok() || *number < 1 || *number > kMaxCategories) {
      return InvalidArgument(path + ".max_categories: must be a whole number from 1 to " +
                             FormatCount(kMaxCategories) + ", not " + DumpJson(*most));
    }
    spec->max_categories = static_cast<int>(*number);
  }
  if (const Json* unseen = FindMember(json, "unseen")) {
    ASSIGN_OR_RETURN(spec->unseen, WordOf(*unseen, path + ".unseen", kUnseen));
  }
  return {};
}

Status ReadParts(const Json& json, const std::string& path, FeatureSpec* spec) {
  const Json* parts = FindMember(json, "parts");
  if (parts == nullptr) return {};
  const std::string at = path + ".parts";
  if (!parts->is_array() || parts->empty()) {
    return InvalidArgument(at + ": must be a list of parts", "write parts: [hour, weekday]");
  }
  for (const Json& item : *parts) {
    ASSIGN_OR_RETURN(std::string part, TextOf(item, at));
    if (std::find(kParts.begin(), kParts.end(), part) == kParts.end()) {
      return UnknownWord(at, "part", part, Strings(kParts));
    }
    if (std::find(spec->parts.begin(), spec->parts.end(), part) != spec->parts.end()) {
      return InvalidArgument(at + ": '" + part + "' stands twice");
    }
    spec->parts.push_back(std::move(part));
  }
  return {};
}

Result<FeatureSpec> FeatureFromJson(const Json& json, const std::string& path) {
  FeatureSpec spec;
  if (json.is_string()) {
    ASSIGN_OR_RETURN(spec.kind, KindOf(json, path));
    return spec;
  }
  if (!json.is_object()) {
    return InvalidArgument(path + ": must be a word or a map of settings",
                           "write ignore, or {as: numeric, missing: median}");
  }
  RETURN_IF_ERROR(CheckKeys(json, path));
  RETURN_IF_ERROR(ReadKind(json, path, &spec));
  RETURN_IF_ERROR(ReadNumeric(json, path, &spec));
  RETURN_IF_ERROR(ReadCategory(json, path, &spec));
  RETURN_IF_ERROR(ReadParts(json, path, &spec));
  return spec;
}

Json FeatureToJson(const FeatureSpec& spec) {
  if (spec.kind == FeatureKind::kIgnore) return "ignore";
  Json out = Json::object();
  if (spec.kind) out["as"] = WordFor(*spec.kind, kKinds);
  if (spec.missing) out["missing"] = WordFor(*spec.missing, kMissing);
  if (spec.missing == MissingPolicy::kConstant) out["value"] = DoubleToJson(spec.constant);
  if (spec.scale != "none") out["scale"] = spec.scale;
  if (spec.encode) out["encode"] = WordFor(*spec.encode, kEncodes);
  if (spec.max_categories > 0) out["max_categories"] = spec.max_categories;
  if (spec.unseen) out["unseen"] = WordFor(*spec.unseen, kUnseen);
  if (!spec.parts.empty()) out["parts"] = spec.parts;
  return out;
}

}  // namespace

Result<std::vector<PrepareStep>> PrepareFromJson(const Json& json) {
  std::vector<PrepareStep> steps;
  if (json.is_null()) return steps;
  if (!json.is_array()) {
    return InvalidArgument("prepare: must be a list of steps", "begin each step with '- '");
  }
  if (json.size() > kMaxSteps) {
    return InvalidArgument("prepare: has " + FormatCount(static_cast<int64_t>(json.size())) +
                           " steps; the limit is " + FormatCount(kMaxSteps));
  }
  size_t bytes = 0;
  for (size_t i = 0; i < json.size(); ++i) {
    const std::string path = "prepare step " + std::to_string(i + 1);
    ASSIGN_OR_RETURN(PrepareStep step, StepFromJson(json[i], path));
    bytes += step.expression.size();
    if (bytes > kMaxExpressionBytes) {
      return InvalidArgument("prepare: the expressions are longer than " +
                             FormatBytes(kMaxExpressionBytes) + " in all");
    }
    steps.push_back(std::move(step));
  }
  return steps;
}

Json PrepareToJson(const std::vector<PrepareStep>& steps) {
  Json out = Json::array();
  for (const PrepareStep& step : steps) {
    Json item = Json::object();
    Json pairs = Json::object();
    switch (step.kind) {
      case PrepareStep::Kind::kFilter:
        item["filter"] = step.expression;
        break;
      case PrepareStep::Kind::kColumn:
        item["column"] = step.column;
        item["expr"] = step.expression;
        break;
      case PrepareStep::Kind::kDrop:
        item["drop"] = step.names;
        break;
      case PrepareStep::Kind::kRename:
        for (const auto& [from, to] : step.renames) pairs[from] = to;
        item["rename"] = std::move(pairs);
        break;
      case PrepareStep::Kind::kCast:
        for (const auto& [column, type] : step.casts) pairs[column] = TypeName(type);
        item["cast"] = std::move(pairs);
        break;
    }
    out.push_back(std::move(item));
  }
  return out;
}

Result<std::map<std::string, FeatureSpec>> FeaturesFromJson(const Json& json) {
  std::map<std::string, FeatureSpec> features;
  if (json.is_null()) return features;
  if (!json.is_object()) {
    return InvalidArgument("features: must be a map of columns",
                           "write features: {key: ignore, fare: {as: numeric}}");
  }
  for (const auto& [column, value] : json.items()) {
    ASSIGN_OR_RETURN(FeatureSpec spec, FeatureFromJson(value, "features." + column));
    features.emplace(column, std::move(spec));
  }
  return features;
}

Json FeaturesToJson(const std::map<std::string, FeatureSpec>& features) {
  Json out = Json::object();
  for (const auto& [column, spec] : features) out[column] = FeatureToJson(spec);
  return out;
}

}  // namespace slipway
