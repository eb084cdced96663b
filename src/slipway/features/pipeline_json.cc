// The stored form of a Pipeline. Written and read only here; format 1.

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <utility>

#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/features/pipeline.h"
#include "slipway/features/pipeline_state.h"

namespace slipway {
namespace {

constexpr int64_t kFormat = 1;
constexpr size_t kMaxInputs = 10'000;
constexpr int64_t kMaxCategoriesInAll = 1'000'000;

constexpr std::array<std::string_view, 4> kMissingWords = {"median", "mean", "constant", "native"};
constexpr std::array<std::string_view, 3> kScaleWords = {"none", "standard", "minmax"};
constexpr std::array<std::string_view, 3> kEncodeWords = {"native", "ordinal", "one_hot"};
constexpr std::array<std::string_view, 3> kUnseenWords = {"other", "missing", "error"};

template <size_t N, typename Enum>
std::string_view WordAt(const std::array<std::string_view, N>& words, Enum value) {
  return words[static_cast<size_t>(value)];
}

template <typename Enum, size_t N>
Status ReadWord(const Json& json, std::string_view key,
                const std::array<std::string_view, N>& words, Enum* out) {
  ASSIGN_OR_RETURN(std::string text, GetString(json, key));
  const auto found = std::find(words.begin(), words.end(), text);
  if (found == words.end()) {
    return InvalidArgument("'" + std::string(key) + "' has the unknown word '" + text + "'");
  }
  *out = static_cast<Enum>(found - words.begin());
  return {};
}

// Exactly these keys.
Status CheckExactKeys(const Json& json, std::initializer_list<std::string_view> keys) {
  if (!json.is_object()) return InvalidArgument("expected an object");
  for (std::string_view key : keys) {
    if (!json.contains(std::string(key))) {
      return InvalidArgument("missing key '" + std::string(key) + "'");
    }
  }
  if (json.size() == keys.size()) return {};
  for (const auto& item : json.items()) {
    if (std::find(keys.begin(), keys.end(), item.key()) == keys.end()) {
      return InvalidArgument("unknown key '" + item.key() + "'");
    }
  }
  return {};
}

Json EncoderToJson(const Encoder& encoder) {
  Json out = {{"column", encoder.column}, {"type", TypeName(encoder.type)}};
  switch (encoder.kind) {
    case FeatureKind::kNumeric:
      out["as"] = "numeric";
      out["missing"] = WordAt(kMissingWords, encoder.missing);
      out["fill"] = DoubleToJson(encoder.fill);
      out["scale"] = WordAt(kScaleWords, encoder.scale);
      out["offset"] = encoder.offset;
      out["divisor"] = encoder.divisor;
      break;
    case FeatureKind::kCategory:
      out["as"] = "category";
      out["encode"] = WordAt(kEncodeWords, encoder.encode);
      out["unseen"] = WordAt(kUnseenWords, encoder.unseen);
      out["categories"] = encoder.categories.texts();
      out["coded"] = encoder.coded;
      out["other"] = encoder.other;
      break;
    case FeatureKind::kTimestamp: {
      out["as"] = "timestamp";
      Json parts = Json::array();
      for (TimePart part : encoder.parts) parts.push_back(TimePartName(part));
      out["parts"] = std::move(parts);
      break;
    }
    case FeatureKind::kIgnore:
      break;  // never in a pipeline
  }
  return out;
}

Status ReadNumericEncoder(const Json& json, Encoder* encoder) {
  RETURN_IF_ERROR(CheckExactKeys(
      json, {"column", "type", "as", "missing", "fill", "scale", "offset", "divisor"}));
  encoder->kind = FeatureKind::kNumeric;
  if (encoder->type != Type::kBoolean && encoder->type != Type::kInt64 &&
      encoder->type != Type::kDouble) {
    return InvalidArgument("a numeric feature cannot have the type " +
                           std::string(TypeName(encoder->type)));
  }
  RETURN_IF_ERROR(ReadWord(json, "missing", kMissingWords, &encoder->missing));
  RETURN_IF_ERROR(ReadWord(json, "scale", kScaleWords, &encoder->scale));
  ASSIGN_OR_RETURN(encoder->fill, GetDouble(json, "fill"));
  ASSIGN_OR_RETURN(encoder->offset, GetDouble(json, "offset"));
  ASSIGN_OR_RETURN(encoder->divisor, GetDouble(json, "divisor"));
  const bool native = encoder->missing == MissingPolicy::kNative;
  if (native ? !std::isnan(encoder->fill) : !std::isfinite(encoder->fill)) {
    return InvalidArgument("'fill' does not go with 'missing'");
  }
  if (native) encoder->fill = std::numeric_limits<double>::quiet_NaN();
  if (!std::isfinite(encoder->offset) || !std::isfinite(encoder->divisor) ||
      encoder->divisor <= 0) {
    return InvalidArgument("'offset' and 'divisor' must be finite, and 'divisor' above 0");
  }
  if (encoder->scale == Scale::kNone && (encoder->offset != 0 || encoder->divisor != 1)) {
    return InvalidArgument("'offset' and 'divisor' do not go with scale none");
  }
  return {};
}

Status ReadCategoryEncoder(const Json& json, int64_t* categories_left, Encoder* encoder) {
  RETURN_IF_ERROR(CheckExactKeys(
      json, {"column", "type", "as", "encode", "unseen", "categories", "coded", "other"}));
  encoder->kind = FeatureKind::kCategory;
  RETURN_IF_ERROR(ReadWord(json, "encode", kEncodeWords, &encoder->encode));
  RETURN_IF_ERROR(ReadWord(json, "unseen", kUnseenWords, &encoder->unseen));
  ASSIGN_OR_RETURN(encoder->other, GetBool(json, "other"));
  ASSIGN_OR_RETURN(const Json* categories, GetArray(json, "categories"));
  *categories_left -= static_cast<int64_t>(categories->size());
  if (*categories_left < 0) {
    return InvalidArgument("more than " + FormatCount(kMaxCategoriesInAll) + " categories in all");
  }
  for (const Json& item : *categories) {
    if (!item.is_string()) return InvalidArgument("a category is not a text");
    const std::string& text = item.get_ref<const std::string&>();
    const int before = encoder->categories.size();
    if (text.empty() || encoder->categories.Insert(text) != before) {
      return InvalidArgument("category '" + text + "' stands twice or is empty");
    }
  }
  ASSIGN_OR_RETURN(int64_t coded, GetInt(json, "coded"));
  const int64_t listed = encoder->categories.size();
  if (coded < 0 || coded > listed || (coded < listed && !encoder->other)) {
    return InvalidArgument("'coded' does not fit the categories");
  }
  encoder->coded = static_cast<int>(coded);
  return {};
}

Status ReadTimestamp(const Json& json, Encoder* encoder) {
  RETURN_IF_ERROR(CheckExactKeys(json, {"column", "type", "as", "parts"}));
  encoder->kind = FeatureKind::kTimestamp;
  if (encoder->type != Type::kDate && encoder->type != Type::kTimestamp) {
    return InvalidArgument("a timestamp feature cannot have the type " +
                           std::string(TypeName(encoder->type)));
  }
  ASSIGN_OR_RETURN(std::vector<std::string> parts, GetStrings(json, "parts"));
  for (const std::string& name : parts) {
    const int found = FindTimePart(name);
    if (found < 0) return InvalidArgument("unknown part '" + name + "'");
    const TimePart part = static_cast<TimePart>(found);
    if (std::find(encoder->parts.begin(), encoder->parts.end(), part) != encoder->parts.end()) {
      return InvalidArgument("part '" + name + "' stands twice");
    }
    if (encoder->type == Type::kDate && NeedsTimeOfDay(part)) {
      return InvalidArgument("a date has no part '" + name + "'");
    }
    encoder->parts.push_back(part);
  }
  if (encoder->parts.empty()) return InvalidArgument("'parts' is empty");
  return {};
}

Result<Type> TypeOf(const Json& json) {
  ASSIGN_OR_RETURN(std::string name, GetString(json, "type"));
  auto type = TypeFromName(name);
  if (!type || TypeName(*type) != name) return InvalidArgument("unknown type '" + name + "'");
  return *type;
}

Result<Encoder> EncoderFromJson(const Json& json, int64_t* categories_left) {
  Encoder encoder;
  ASSIGN_OR_RETURN(encoder.column, GetString(json, "column"));
  ASSIGN_OR_RETURN(encoder.type, TypeOf(json));
  ASSIGN_OR_RETURN(std::string as, GetString(json, "as"));
  Status status = InvalidArgument("unknown kind '" + as + "'");
  if (as == "numeric") status = ReadNumericEncoder(json, &encoder);
  if (as == "category") status = ReadCategoryEncoder(json, categories_left, &encoder);
  if (as == "timestamp") status = ReadTimestamp(json, &encoder);
  if (!status.ok()) return status.error().Within("feature '" + encoder.column + "'");
  return encoder;
}

Result<Schema> InputsFromJson(const Json& json) {
  ASSIGN_OR_RETURN(const Json* inputs, GetArray(json, "inputs"));
  if (inputs->size() > kMaxInputs) {
    return InvalidArgument("more than " + FormatCount(kMaxInputs) + " inputs");
  }
  for (const Json& field : *inputs) {
    RETURN_IF_ERROR(CheckExactKeys(field, {"name", "type"}));
    ASSIGN_OR_RETURN([[maybe_unused]] Type type, TypeOf(field));
  }
  return SchemaFromJson(*inputs);
}

Result<std::pair<Preparer, std::vector<Encoder>>> Read(const Json& json) {
  if (!json.is_object()) return InvalidArgument("expected an object");
  ASSIGN_OR_RETURN(int64_t format, GetInt(json, "format"));
  if (format != kFormat) {
    return InvalidArgument("format " + std::to_string(format) +
                           " is not known; this release reads " + std::to_string(kFormat));
  }
  RETURN_IF_ERROR(CheckExactKeys(json, {"format", "inputs", "prepare", "features"}));
  ASSIGN_OR_RETURN(Schema inputs, InputsFromJson(json));
  ASSIGN_OR_RETURN(const Json* prepare, GetArray(json, "prepare"));
  ASSIGN_OR_RETURN(std::vector<PrepareStep> steps, PrepareFromJson(*prepare));
  ASSIGN_OR_RETURN(Preparer preparer, Preparer::Compile(steps, inputs));
  ASSIGN_OR_RETURN(const Json* features, GetArray(json, "features"));
  if (features->size() > kMaxInputs) {
    return InvalidArgument("more than " + FormatCount(kMaxInputs) + " features");
  }
  int64_t categories_left = kMaxCategoriesInAll;
  std::vector<Encoder> encoders;
  for (const Json& item : *features) {
    ASSIGN_OR_RETURN(Encoder encoder, EncoderFromJson(item, &categories_left));
    encoders.push_back(std::move(encoder));
  }
  return std::make_pair(std::move(preparer), std::move(encoders));
}

}  // namespace

Json Pipeline::ToJson() const {
  Json features = Json::array();
  for (const Encoder& encoder : state_->encoders) features.push_back(EncoderToJson(encoder));
  return {{"format", kFormat},
          {"inputs", SchemaToJson(inputs())},
          {"prepare", PrepareToJson(state_->preparer.steps())},
          {"features", std::move(features)}};
}

Result<Pipeline> Pipeline::FromJson(const Json& json) {
  auto corrupt = [](const Error& error) {
    return Corruption("not a valid feature pipeline: " + error.message, error.hint);
  };
  auto parts = Read(json);
  if (!parts.ok()) return corrupt(parts.error());
  auto state = State::Make(std::move(parts->first), std::move(parts->second));
  if (!state.ok()) return corrupt(state.error());
  Pipeline pipeline;
  pipeline.state_ = std::move(state).value();
  return pipeline;
}

}  // namespace slipway
