// Commands on services: list, make, delete, enable, mapping, settings.
#include <cmath>

#include <CLI/CLI.hpp>

#include "slipway/apinode/admin_context.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

std::string ServicePath(const std::string& service) {
  return "/admin/api/services/" + EncodePathPart(service);
}

std::string MappingText(const Json& service) {
  const Json* mapping = FindMember(service, "mapping");
  const Json* entries = mapping == nullptr ? nullptr : FindMember(*mapping, "entries");
  std::string out;
  if (entries == nullptr || !entries->is_array()) return out;
  for (const Json& entry : *entries) {
    if (!out.empty()) out += " ";
    out +=
        entry.value("generation", "") + "=" + FormatDouble(entry.value("proba", 0.0) * 100) + "%";
  }
  return out;
}

Result<int> ListServices(AdminContext& context) {
  ASSIGN_OR_RETURN(const AdminClient client, context.Client());
  ASSIGN_OR_RETURN(const Json list, client.Call("GET", "/admin/api/services"));
  std::vector<std::vector<std::string>> rows = {{"Service", "Enabled", "Serving", "Mapping", ""}};
  for (const Json& service : list) {
    const bool enabled = service.value("enabled", false), serving = service.value("serving", false);
    rows.push_back({service.value("serviceId", ""), enabled ? "yes" : "no", serving ? "yes" : "no",
                    MappingText(service), enabled ? service.value("reason", "") : ""});
  }
  RETURN_IF_ERROR(context.Print(AlignedTable(rows), list));
  return kAdminDone;
}

// {"entries": [...]} from "v1=90 v2=10": weights, whatever their sum.
Result<Json> MappingFromWeights(const std::vector<std::string>& weights) {
  double sum = 0;
  std::vector<std::pair<std::string, double>> parsed;
  for (const std::string& text : weights) {
    const size_t equal = text.rfind('=');
    std::optional<double> weight;
    if (equal != std::string::npos && equal > 0) {
      std::string number = text.substr(equal + 1);
      if (number.ends_with('%')) number.pop_back();
      weight = ParseDouble(number);
    }
    if (!weight || !(*weight >= 0) || *weight > 1e9)
      return AdminUsage("'" + text + "' is no GENERATION=WEIGHT", "for example v1=90 v2=10");
    sum += *weight;
    parsed.emplace_back(text.substr(0, equal), *weight);
  }
  if (!(sum > 0)) return AdminUsage("the weights sum to 0", "for example v1=90 v2=10");
  Json entries = Json::array();
  for (const auto& [generation, weight] : parsed)
    entries.push_back({{"generation", generation}, {"proba", weight / sum}});
  Json body = Json::object();
  body["entries"] = std::move(entries);
  return body;
}

Result<int> SetMapping(AdminContext& context, const std::string& service,
                       const std::vector<std::string>& weights) {
  Json body;
  if (weights.empty()) {
    ASSIGN_OR_RETURN(const std::string text, ReadStdin());
    Result<Json> json = ParseJson(text);
    if (!json.ok())
      return AdminUsage("standard input is no mapping: " + json.error().message,
                        "write it as {\"entries\": [{\"generation\": \"v1\", \"proba\": 1}]}, or "
                        "give weights: v1=90 v2=10");
    body = *std::move(json);
  } else {
    ASSIGN_OR_RETURN(body, MappingFromWeights(weights));
  }
  ASSIGN_OR_RETURN(const AdminClient client, context.Client());
  ASSIGN_OR_RETURN(const Json answer,
                   client.Call("POST", ServicePath(service) + "/actions/setMapping", body));
  context.Say("service '" + service + "' has its new mapping");
  RETURN_IF_ERROR(context.Print("", answer));
  return kAdminDone;
}

// What a person types as a value: a list for `redact`, a number, else text.
Result<Json> SettingValue(const std::string& key, const std::string& text) {
  if (key == "redact") {
    Json list = Json::array();
    for (const std::string& each : Split(text, ',')) {
      if (!Trim(each).empty()) list.push_back(std::string(Trim(each)));
    }
    return list;
  }
  if (key == "auth" || key == "shadow") return Json(text);
  if (const std::optional<int64_t> whole = ParseInt64(text)) return Json(*whole);
  const std::optional<double> number = ParseDouble(text);
  // JSON has no such number: it would become null, which is "not set".
  if (number && !std::isfinite(*number))
    return AdminUsage("'" + key + "=" + text + "' is no number that a setting can have");
  return number ? Json(*number) : Json(text);
}

// A setting's value for people; what stands for another rule says so.
std::string SettingText(const std::string& key, const Json& value) {
  if (value.is_array()) {
    std::vector<std::string> texts;
    for (const Json& each : value)
      texts.push_back(each.is_string() ? each.get<std::string>() : DumpJson(each));
    return texts.empty() ? "(none)" : Join(texts, ", ");
  }
  if (value.is_string() && value.get_ref<const std::string&>().empty())
    return key == "auth" ? "(the node's rule)" : "(none)";
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_number()) return DumpJson(value);
  const double number = value.get<double>();
  std::string out = FormatDouble(number);
  if (number == 0 && (key == "max_concurrent" || key == "rate_per_key")) out += " (no limit)";
  if (number == 0 && (key == "max_records" || key == "deadline_ms")) out += " (the node's)";
  if (number == -1 && key == "log_sample") out += " (the node's)";
  return out;
}

Result<int> Settings(AdminContext& context, const std::string& service,
                     const std::vector<std::string>& changes) {
  ASSIGN_OR_RETURN(const AdminClient client, context.Client());
  const std::string path = ServicePath(service) + "/settings";
  ASSIGN_OR_RETURN(Json settings, client.Call("GET", path));
  for (const std::string& change : changes) {
    const size_t equal = change.find('=');
    if (equal == std::string::npos || equal == 0)
      return AdminUsage("'" + change + "' is no KEY=VALUE", "for example auth=api_keys");
    const std::string key = change.substr(0, equal), text = change.substr(equal + 1);
    // ENDPOINT.KEY: settings have no dots, endpoints may.
    const size_t dot = key.rfind('.');
    if (dot == std::string::npos) {
      ASSIGN_OR_RETURN(settings[key], SettingValue(key, text));
    } else {
      const std::string own = key.substr(dot + 1);
      Json value;
      if (!text.empty()) {
        ASSIGN_OR_RETURN(value, SettingValue(own, text));
      }
      settings["endpoints"][key.substr(0, dot)][own] = std::move(value);
    }
  }
  if (!changes.empty()) {
    ASSIGN_OR_RETURN(const Json answer, client.Call("PUT", path, settings));
    if (const Json* stored = FindMember(answer, "settings"); stored != nullptr) {
      Json copy = *stored;
      settings = std::move(copy);
    }
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& [key, value] : settings.items()) rows.push_back({key, SettingText(key, value)});
  RETURN_IF_ERROR(context.Print(AlignedTable(rows), settings));
  return kAdminDone;
}

// A call that changes one service and has nothing to show but that it was done.
Result<int> Change(AdminContext& context, std::string_view method, const std::string& path,
                   const Json& body, const std::string& done) {
  ASSIGN_OR_RETURN(const AdminClient client, context.Client());
  ASSIGN_OR_RETURN(const Json answer, client.Call(method, path, body));
  context.Say(done);
  RETURN_IF_ERROR(context.Print("", answer));
  return kAdminDone;
}

struct ServiceArguments {
  std::string service;
  std::vector<std::string> words;
  bool force = false;
};

Result<int> Delete(AdminContext& context, const ServiceArguments& arguments) {
  const std::string& service = arguments.service;
  if (!arguments.force) {
    ASSIGN_OR_RETURN(const AdminClient client, context.Client());
    ASSIGN_OR_RETURN(const Json found, client.Call("GET", ServicePath(service)));
    const std::string mapping = MappingText(found);
    if (found.value("enabled", false) && !mapping.empty())
      return Conflict("service '" + service + "' is enabled and takes traffic: " + mapping,
                      "disable it first (service-disable " + service +
                          "), or delete it all the same: service-delete " + service + " --force");
  }
  return Change(context, "DELETE", ServicePath(service), Json(),
                "service '" + service + "' was deleted");
}

}  // namespace

void AddServiceCommands(CLI::App* app, AdminInvocation* invocation) {
  AddAdminCommand(app, invocation, "services-list", "lists the services and what they serve",
                  [](AdminContext& context) { return ListServices(context); });

  const auto simple = [&](const std::string& name, const std::string& description,
                          std::function<Result<int>(AdminContext&, const std::string&)> run) {
    auto arguments = std::make_shared<ServiceArguments>();
    CLI::App* command = AddAdminCommand(
        app, invocation, name, description,
        [arguments, run](AdminContext& context) { return run(context, arguments->service); });
    command->add_option("SERVICE", arguments->service, "the service's id")->required();
    return std::pair{command, arguments};
  };
  simple("service-create", "makes a service, disabled and without generations",
         [](AdminContext& context, const std::string& service) {
           return Change(context, "POST", "/admin/api/services", {{"serviceId", service}},
                         "service '" + service + "' was made");
         });
  auto deleted = std::make_shared<ServiceArguments>();
  CLI::App* service_delete =
      AddAdminCommand(app, invocation, "service-delete",
                      "deletes a service with all its generations (exit 5: it takes traffic)",
                      [deleted](AdminContext& context) { return Delete(context, *deleted); });
  service_delete->add_option("SERVICE", deleted->service, "the service's id")->required();
  service_delete->add_flag("--force", deleted->force, "also when it takes traffic");
  simple("service-enable", "lets a disabled service answer again",
         [](AdminContext& context, const std::string& service) {
           return Change(context, "POST", ServicePath(service) + "/actions/enable", Json(),
                         "service '" + service + "' is enabled");
         });
  simple("service-disable", "stops a service from answering and frees its models",
         [](AdminContext& context, const std::string& service) {
           return Change(context, "POST", ServicePath(service) + "/actions/disable", Json(),
                         "service '" + service + "' is disabled");
         });

  auto mapping = std::make_shared<ServiceArguments>();
  CLI::App* set_mapping = AddAdminCommand(
      app, invocation, "service-set-mapping",
      "shares the traffic between generations: v1=90 v2=10, or JSON on standard input",
      [mapping](AdminContext& context) {
        return SetMapping(context, mapping->service, mapping->words);
      });
  set_mapping->add_option("SERVICE", mapping->service, "the service's id")->required();
  set_mapping->add_option("WEIGHTS", mapping->words, "GENERATION=WEIGHT ...");

  auto settings = std::make_shared<ServiceArguments>();
  CLI::App* service_settings = AddAdminCommand(
      app, invocation, "service-settings", "shows the settings of a service, or changes some",
      [settings](AdminContext& context) {
        return Settings(context, settings->service, settings->words);
      });
  service_settings->add_option("SERVICE", settings->service, "the service's id")->required();
  service_settings->add_option(
      "CHANGES", settings->words,
      "KEY=VALUE ...: auth (public, api_keys, jwt), max_concurrent, max_records, deadline_ms, "
      "rate_per_key, log_sample, redact (a,b), shadow (a generation), shadow_sample (0 to 1)");
}

}  // namespace slipway
