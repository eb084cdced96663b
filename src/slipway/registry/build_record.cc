#include "slipway/registry/build_record.h"

#include <utility>

#include "slipway/base/json.h"

namespace slipway {
namespace {

std::string TextOf(const Json& json, std::string_view key) {
  const Json* member = FindMember(json, key);
  return member != nullptr && member->is_string() ? member->get<std::string>() : std::string();
}

// A JSON text as a value; as a string when it is not JSON, so that nothing is lost.
Json Embedded(const std::string& text) {
  auto parsed = ParseJson(text);
  return parsed.ok() ? *std::move(parsed) : Json(text);
}

std::string EmbeddedText(const Json& json, std::string_view key) {
  const Json* member = FindMember(json, key);
  if (member == nullptr) return "";
  return member->is_string() ? member->get<std::string>() : DumpJson(*member);
}

}  // namespace

std::string BuildRecordToText(const BuildRecord& record) {
  Json json = Json::object();
  if (!record.recipe.empty()) json["recipe"] = record.recipe;
  if (!record.recipe_hash.empty()) json["recipe_hash"] = record.recipe_hash;
  if (!record.recipe_json.empty()) json["recipe_text"] = Embedded(record.recipe_json);
  Json inputs = Json::array();
  for (const BuildInput& input : record.inputs) {
    Json item = Json::object();
    item["name"] = input.name;
    item["fingerprint"] = input.fingerprint;
    inputs.push_back(std::move(item));
  }
  json["inputs"] = std::move(inputs);
  if (!record.model.empty()) json["model"] = record.model;
  if (record.model_version != 0) json["model_version"] = record.model_version;
  if (!record.job.empty()) json["job"] = record.job;
  if (!record.extra_json.empty()) json["extra"] = Embedded(record.extra_json);
  return DumpJson(json);
}

Result<BuildRecord> BuildRecordFromText(std::string_view text) {
  auto parsed = ParseJson(text);
  if (!parsed.ok()) return Corruption("build record: " + parsed.error().message);
  const Json& json = *parsed;
  if (!json.is_object()) return Corruption("build record: not an object");
  BuildRecord record;
  record.recipe = TextOf(json, "recipe");
  record.recipe_hash = TextOf(json, "recipe_hash");
  record.recipe_json = EmbeddedText(json, "recipe_text");
  record.model = TextOf(json, "model");
  record.job = TextOf(json, "job");
  record.extra_json = EmbeddedText(json, "extra");
  if (const Json* number = FindMember(json, "model_version");
      number != nullptr && number->is_number_integer()) {
    record.model_version = number->get<int64_t>();
  }
  if (const Json* inputs = FindMember(json, "inputs"); inputs != nullptr && inputs->is_array()) {
    for (const Json& item : *inputs) {
      if (item.is_object())
        record.inputs.push_back({TextOf(item, "name"), TextOf(item, "fingerprint")});
    }
  }
  return record;
}

}  // namespace slipway
