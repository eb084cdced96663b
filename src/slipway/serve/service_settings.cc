// A service's settings as JSON: what PUT /admin/api/services/{s}/settings takes.
#include <algorithm>
#include <cmath>

#include "slipway/base/text.h"
#include "slipway/serve/desired_state.h"
#include "slipway/serve/node_state.h"

namespace slipway {
namespace {

const std::vector<std::string>& SettingNames() {
  static const std::vector<std::string> names = {
      "auth",       "max_concurrent", "max_records", "deadline_ms",   "rate_per_key",
      "log_sample", "redact",         "shadow",      "shadow_sample", "endpoints"};
  return names;
}

const std::vector<std::string>& EndpointSettingNames() {
  static const std::vector<std::string> names = {"auth",        "max_concurrent", "max_records",
                                                 "deadline_ms", "rate_per_key",   "log_sample"};
  return names;
}

Error Unknown(const std::string& key, const std::vector<std::string>& names, const char* whose) {
  std::string hint = DidYouMean(key, names);
  if (hint.empty()) hint = std::string("settings") + whose + " are " + QuotedList(names);
  return InvalidArgument("unknown setting '" + key + "'", std::move(hint));
}

Result<int> ReadConcurrent(const Json& json, std::string_view key) {
  ASSIGN_OR_RETURN(const int64_t value, GetInt(json, key));
  if (value < 0 || value > 1'000'000)
    return InvalidArgument("'max_concurrent' is " + std::to_string(value),
                           "it is from 0 (no limit of its own) to 1000000");
  return static_cast<int>(value);
}

Result<EndpointSettings> ReadEndpoint(const Json& json) {
  if (!json.is_object())
    return InvalidArgument("an endpoint's settings are a JSON object",
                           "for example {\"max_records\": 100}");
  EndpointSettings out;
  for (const auto& [key, value] : json.items()) {
    if (value.is_null()) continue;  // the service's
    if (key == "auth") {
      ASSIGN_OR_RETURN(out.auth, GetString(json, key));
    } else if (key == "max_concurrent") {
      ASSIGN_OR_RETURN(out.max_concurrent, ReadConcurrent(json, key));
    } else if (key == "max_records") {
      ASSIGN_OR_RETURN(out.max_records, GetInt(json, key));
    } else if (key == "deadline_ms") {
      ASSIGN_OR_RETURN(out.deadline_ms, GetDouble(json, key));
    } else if (key == "rate_per_key") {
      ASSIGN_OR_RETURN(out.rate_per_key, GetDouble(json, key));
    } else if (key == "log_sample") {
      ASSIGN_OR_RETURN(out.log_sample, GetDouble(json, key));
    } else {
      return Unknown(key, EndpointSettingNames(), " of an endpoint");
    }
  }
  return out;
}

Status ReadEndpoints(const Json& json, ServiceSettings* settings) {
  if (!json.is_object())
    return InvalidArgument("'endpoints' is a JSON object of endpoints' settings",
                           "for example {\"fare\": {\"max_records\": 100}}");
  for (const auto& [endpoint, value] : json.items()) {
    if (!IsValidName(endpoint))
      return InvalidArgument("'" + endpoint.substr(0, 200) +
                             "' in 'endpoints' is no endpoint's name");
    if (value.is_null()) continue;
    Result<EndpointSettings> own = ReadEndpoint(value);
    if (!own.ok()) return own.error().Within("endpoint '" + endpoint + "'");
    if (*own != EndpointSettings()) settings->endpoints[endpoint] = *std::move(own);
  }
  return {};
}

Status ReadSetting(const std::string& key, const Json& json, ServiceSettings* settings) {
  if (key == "auth") {
    ASSIGN_OR_RETURN(settings->auth, GetString(json, key));
  } else if (key == "max_concurrent") {
    ASSIGN_OR_RETURN(settings->max_concurrent, ReadConcurrent(json, key));
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
  } else if (key == "endpoints") {
    return ReadEndpoints(json[key], settings);
  } else {
    return Unknown(key, SettingNames(), "");
  }
  return {};
}

Status NotNegative(double value, std::string_view key) {
  if (std::isfinite(value) && value >= 0) return {};
  return InvalidArgument("'" + std::string(key) + "' is " + FormatDouble(value),
                         "it is 0 (the node's own) or more");
}

// What a service and an endpoint both have.
Status CheckRules(const ServiceSettings& rules) {
  if (!rules.auth.empty() && rules.auth != "public" && rules.auth != "api_keys" &&
      rules.auth != "jwt")
    return InvalidArgument("'auth' is '" + rules.auth + "'",
                           "it is 'public', 'api_keys', 'jwt' or empty for the node's rule");
  RETURN_IF_ERROR(NotNegative(rules.max_concurrent, "max_concurrent"));
  RETURN_IF_ERROR(NotNegative(static_cast<double>(rules.max_records), "max_records"));
  RETURN_IF_ERROR(NotNegative(rules.deadline_ms, "deadline_ms"));
  RETURN_IF_ERROR(NotNegative(rules.rate_per_key, "rate_per_key"));
  const double sample = rules.log_sample;
  if (!(sample == -1 || (sample >= 0 && sample <= 1)))
    return InvalidArgument("'log_sample' is " + FormatDouble(sample),
                           "it is a share from 0 to 1, or -1 for the node's");
  return {};
}

// Beyond these, a number is a slip.
Status CheckLargest(double deadline_ms, double rate_per_key) {
  if (deadline_ms > 3.6e6)
    return InvalidArgument("'deadline_ms' is " + FormatDouble(deadline_ms),
                           "it is at most 3600000, an hour; 0: the node's own");
  if (rate_per_key > 1e9)
    return InvalidArgument("'rate_per_key' is " + FormatDouble(rate_per_key),
                           "it is at most 1000000000 requests per second; 0: no limit");
  return {};
}

}  // namespace

Json ServiceSettingsToJson(const ServiceSettings& settings) {
  Json out = {{"auth", settings.auth},
              {"max_concurrent", settings.max_concurrent},
              {"max_records", settings.max_records},
              {"deadline_ms", settings.deadline_ms},
              {"rate_per_key", settings.rate_per_key},
              {"log_sample", settings.log_sample},
              {"redact", settings.redact},
              {"shadow", settings.shadow},
              {"shadow_sample", settings.shadow_sample}};
  // Left out when there are none: a release without them reads the file too.
  for (const auto& [endpoint, own] : settings.endpoints) {
    Json& json = out["endpoints"][endpoint] = Json::object();
    if (own.auth) json["auth"] = *own.auth;
    if (own.max_concurrent) json["max_concurrent"] = *own.max_concurrent;
    if (own.max_records) json["max_records"] = *own.max_records;
    if (own.deadline_ms) json["deadline_ms"] = *own.deadline_ms;
    if (own.rate_per_key) json["rate_per_key"] = *own.rate_per_key;
    if (own.log_sample) json["log_sample"] = *own.log_sample;
  }
  return out;
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
  RETURN_IF_ERROR(CheckRules(settings));
  if (!(settings.shadow_sample >= 0 && settings.shadow_sample <= 1))
    return InvalidArgument("'shadow_sample' is " + FormatDouble(settings.shadow_sample),
                           "it is a share from 0 to 1");
  if (settings.redact.size() > 10'000)
    return InvalidArgument("'redact' names more than 10000 features");
  if (settings.endpoints.size() > 10'000)
    return InvalidArgument("'endpoints' names more than 10000 endpoints");
  for (const auto& [endpoint, own] : settings.endpoints) {
    // What it leaves out is the service's, which is checked.
    ServiceSettings rules;
    rules.auth = own.auth.value_or("");
    rules.max_concurrent = own.max_concurrent.value_or(0);
    rules.max_records = own.max_records.value_or(0);
    rules.deadline_ms = own.deadline_ms.value_or(0);
    rules.rate_per_key = own.rate_per_key.value_or(0);
    rules.log_sample = own.log_sample.value_or(-1);
    if (Status fine = CheckRules(rules); !fine.ok())
      return fine.error().Within("endpoint '" + endpoint + "'");
  }
  return {};
}

Status CheckNewServiceSettings(const ServiceSettings& settings) {
  RETURN_IF_ERROR(CheckServiceSettings(settings));
  if (std::find(settings.redact.begin(), settings.redact.end(), "") != settings.redact.end())
    return InvalidArgument("'redact' has an empty name", "it is a list of features' names");
  RETURN_IF_ERROR(CheckLargest(settings.deadline_ms, settings.rate_per_key));
  for (const auto& [endpoint, own] : settings.endpoints) {
    if (Status fine = CheckLargest(own.deadline_ms.value_or(0), own.rate_per_key.value_or(0));
        !fine.ok())
      return fine.error().Within("endpoint '" + endpoint + "'");
  }
  return {};
}

}  // namespace slipway
