// A service's settings as JSON: what PUT /admin/api/services/{s}/settings takes.
#include <cmath>

#include "slipway/base/text.h"
#include "slipway/serve/desired_state.h"
#include "slipway/serve/node_state.h"

namespace slipway {
namespace {

const std::vector<std::string>& SettingNames() {
  static const std::vector<std::string> names = {"auth",        "max_concurrent", "max_records",
                                                 "deadline_ms", "rate_per_key",   "log_sample",
                                                 "redact",      "shadow",         "shadow_sample"};
  return names;
}

Status ReadSetting(const std::string& key, const Json& json, ServiceSettings* settings) {
  if (key == "auth") {
    ASSIGN_OR_RETURN(settings->auth, GetString(json, key));
  } else if (key == "max_concurrent") {
    ASSIGN_OR_RETURN(const int64_t value, GetInt(json, key));
    if (value < 0 || value > 1'000'000)
      return InvalidArgument("'max_concurrent' is " + std::to_string(value),
                             "it is from 0 (no limit of its own) to 1000000");
    settings->max_concurrent = static_cast<int>(value);
  } else if (key == "max_records") {
    ASSIGN_OR_RETURN(settings->max_records, GetInt(json, key));
  } else if (key == "deadline_ms") {
    ASSIGN_OR_RETURN(settings->deadline_ms, GetDouble(json, key));
  } else if (key == "rate_per_key") {
    ASSIGN_OR_RETURN(settings->rate_per_key, GetDouble(json, key));
  } else if (key == "log_sample") {
    ASSIGN_OR_RETURN(settings->log_sample, GetDouble(json, key));
  } else if (key == "redact") {
    ASSIGN_OR_RETURN(settings->redact, GetStrings(json, key));
  } else if (key == "shadow") {
    ASSIGN_OR_RETURN(settings->shadow, GetString(json, key));
  } else if (key == "shadow_sample") {
    ASSIGN_OR_RETURN(settings->shadow_sample, GetDouble(json, key));
  } else {
    std::string hint = DidYouMean(key, SettingNames());
    if (hint.empty()) hint = "settings are " + QuotedList(SettingNames());
    return InvalidArgument("unknown setting '" + key + "'", std::move(hint));
  }
  return {};
}

Status NotNegative(double value, std::string_view key) {
  if (std::isfinite(value) && value >= 0) return {};
  return InvalidArgument("'" + std::string(key) + "' is " + FormatDouble(value),
                         "it is 0 (the node's own) or more");
}

}  // namespace

Json ServiceSettingsToJson(const ServiceSettings& settings) {
  return {{"auth", settings.auth},
          {"max_concurrent", settings.max_concurrent},
          {"max_records", settings.max_records},
          {"deadline_ms", settings.deadline_ms},
          {"rate_per_key", settings.rate_per_key},
          {"log_sample", settings.log_sample},
          {"redact", settings.redact},
          {"shadow", settings.shadow},
          {"shadow_sample", settings.shadow_sample}};
}

Result<ServiceSettings> ServiceSettingsFromJson(const Json& json) {
  if (!json.is_object())
    return InvalidArgument("settings are a JSON object", "for example {\"auth\": \"api_keys\"}");
  ServiceSettings settings;
  for (const auto& [key, value] : json.items()) {
    if (value.is_null()) continue;  // the default
    RETURN_IF_ERROR(ReadSetting(key, json, &settings));
  }
  RETURN_IF_ERROR(CheckServiceSettings(settings));
  return settings;
}

Status CheckServiceSettings(const ServiceSettings& settings) {
  if (!settings.auth.empty() && settings.auth != "public" && settings.auth != "api_keys" &&
      settings.auth != "jwt")
    return InvalidArgument("'auth' is '" + settings.auth + "'",
                           "it is 'public', 'api_keys', 'jwt' or empty for the node's rule");
  RETURN_IF_ERROR(NotNegative(settings.max_concurrent, "max_concurrent"));
  RETURN_IF_ERROR(NotNegative(static_cast<double>(settings.max_records), "max_records"));
  RETURN_IF_ERROR(NotNegative(settings.deadline_ms, "deadline_ms"));
  RETURN_IF_ERROR(NotNegative(settings.rate_per_key, "rate_per_key"));
  const double sample = settings.log_sample;
  if (!(sample == -1 || (sample >= 0 && sample <= 1)))
    return InvalidArgument("'log_sample' is " + FormatDouble(sample),
                           "it is a share from 0 to 1, or -1 for the node's");
  if (!(settings.shadow_sample >= 0 && settings.shadow_sample <= 1))
    return InvalidArgument("'shadow_sample' is " + FormatDouble(settings.shadow_sample),
                           "it is a share from 0 to 1");
  if (settings.redact.size() > 10'000)
    return InvalidArgument("'redact' names more than 10000 features");
  return {};
}

}  // namespace slipway
