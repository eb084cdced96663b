// Commands on the node: keys, cleaning, metrics, a prediction.
#include <CLI/CLI.hpp>

#include "slipway/apinode/admin_context.h"
#include "slipway/base/clock.h"
#include "slipway/base/text.h"
#include "slipway/base/visible_text.h"

namespace slipway {
namespace {

struct KeyArguments {
  std::string label, description, created_by, expires;
  std::vector<std::string> services;
  bool admin = false;
};

std::string ScopeOf(const Json& key) {
  if (key.value("admin", false)) return "administers the node";
  std::vector<std::string> services;
  if (const Json* list = FindMember(key, "services"); list != nullptr && list->is_array()) {
    for (const Json& each : *list) {
      if (each.is_string()) services.push_back(each.get<std::string>());
    }
  }
  return services.empty() ? "scores every service" : "scores " + Join(services, ", ");
}

std::string TimeText(const Json& object, std::string_view key) {
  const Json* millis = FindMember(object, key);
  if (millis == nullptr || !millis->is_number_integer()) return "";
  return FormatTimestamp(millis->get<int64_t>() * 1000);
}

std::string ExpiryText(const Json& key) {
  const std::string text = TimeText(key, "expiry");
  return !text.empty() && key["expiry"].get<int64_t>() * 1000 <= NowMicros() ? text + " (expired)"
                                                                             : text;
}

Result<int> ListKeys(AdminContext& context) {
  ASSIGN_OR_RETURN(const AdminClient client, context.Client());
  ASSIGN_OR_RETURN(const Json list, client.Call("GET", "/admin/api/keys"));
  std::vector<std::vector<std::string>> rows = {{"Id", "Label", "For", "Created", "Expires"}};
  for (const Json& key : list) {
    rows.push_back({key.value("id", ""), key.value("label", ""), ScopeOf(key),
                    TimeText(key, "createdOn"), ExpiryText(key)});
  }
  RETURN_IF_ERROR(context.Print(AlignedTable(rows), list));
  return kAdminDone;
}

Result<int> CreateKey(AdminContext& context, const KeyArguments& arguments) {
  for (const auto& [flag, text] : {std::pair{"--label", &arguments.label},
                                   {"--description", &arguments.description},
                                   {"--created-by", &arguments.created_by}}) {
    if (HasControls(*text))
      return AdminUsage(std::string(flag) + " has control characters: '" + VisibleText(*text) + "'",
                        "write it on one line");
  }
  Json body = {{"label", arguments.label},
               {"description", arguments.description},
               {"createdBy", arguments.created_by},
               {"admin", arguments.admin}};
  if (!arguments.services.empty()) body["services"] = arguments.services;
  if (!arguments.expires.empty()) body["expiry"] = arguments.expires;
  ASSIGN_OR_RETURN(const AdminClient client, context.Client());
  ASSIGN_OR_RETURN(const Json key, client.Call("POST", "/admin/api/keys", body));
  context.Say("key " + key.value("id", "") + " " + ScopeOf(key) +
              "; it is shown this once and stored nowhere:");
  if (const Json* warnings = FindMember(key, "warnings");
      warnings != nullptr && warnings->is_array()) {
    for (const Json& each : *warnings) {
      if (each.is_string()) context.Say("warning: " + each.get<std::string>());
    }
  }
  RETURN_IF_ERROR(context.Print(key.value("key", "") + "\n", key));
  return kAdminDone;
}

Result<int> DeleteKey(AdminContext& context, const std::string& key) {
  ASSIGN_OR_RETURN(const AdminClient client, context.Client());
  const bool is_secret = key.starts_with("swk_");
  ASSIGN_OR_RETURN(
      const Json answer,
      client.Call("DELETE", "/admin/api/keys/" + EncodePathPart(key) + (is_secret ? "" : "/key")));
  context.Say("the key was deleted");
  RETURN_IF_ERROR(context.Print("", answer));
  return kAdminDone;
}

Result<int> Clean(AdminContext& context) {
  ASSIGN_OR_RETURN(const AdminClient client, context.Client());
  ASSIGN_OR_RETURN(const Json answer, client.Call("DELETE", "/admin/api/services-clean-unused"));
  ASSIGN_OR_RETURN(const std::vector<std::string> removed, GetStrings(answer, "removed"));
  std::string lines;
  for (const std::string& each : removed) lines += each + "\n";
  context.Say(FormatCount(static_cast<int64_t>(removed.size())) + " generations were deleted");
  RETURN_IF_ERROR(context.Print(lines, answer));
  return kAdminDone;
}

Result<int> Metrics(AdminContext& context) {
  ASSIGN_OR_RETURN(const AdminClient client, context.Client());
  ASSIGN_OR_RETURN(const Json metrics, client.Call("GET", "/admin/api/metrics"));
  RETURN_IF_ERROR(context.Print(DumpJson(metrics, 2) + "\n", metrics));
  return kAdminDone;
}

struct PredictArguments {
  std::string service, endpoint, record, verb, generation;
};

// A body as the API takes it stays as it is; a bare record is wrapped.
Result<int> Predict(AdminContext& context, PredictArguments arguments) {
  std::string text = arguments.record;
  if (text.empty()) {
    ASSIGN_OR_RETURN(text, ReadStdin());
  }
  Result<Json> parsed = ParseJson(text);
  if (!parsed.ok() || !parsed->is_object())
    return AdminUsage(parsed.ok() ? "the record is no JSON object"
                                  : "the record is no JSON: " + parsed.error().message,
                      "for example --record '{\"distance\": 2.5}'");
  Json body = *parsed;
  const bool is_items = body.contains("items") && body["items"].is_array();
  const bool is_body = is_items || (body.contains("features") && body["features"].is_object()) ||
                       (body.contains("data") && body["data"].is_object());
  const bool any_verb = arguments.verb.empty();
  if (any_verb)
    arguments.verb = is_items                           ? "predict-multi"
                     : body.contains("data") && is_body ? "lookup"
                                                        : "predict";
  ASSIGN_OR_RETURN(const AdminClient client, context.ScoringClient());
  const auto ask = [&](const std::string& verb) {
    Json sent = body;
    if (!is_body) {
      sent = Json::object();
      sent[verb == "lookup" ? "data" : "features"] = body;
    }
    if (!arguments.generation.empty()) sent["dispatch"]["forcedGeneration"] = arguments.generation;
    return client.Call("POST",
                       "/public/api/v1/" + EncodePathPart(arguments.service) + "/" +
                           EncodePathPart(arguments.endpoint) + "/" + EncodePathPart(verb),
                       sent);
  };
  Result<Json> answer = ask(arguments.verb);
  // The record does not say what kind of endpoint it is for, nor do items.
  if (any_verb && !answer.ok() && answer.error().code == ErrorCode::kNotFound &&
      arguments.verb != "lookup") {
    Result<Json> looked_up = ask(is_items ? "lookup-multi" : "lookup");
    if (looked_up.ok() || looked_up.error().code != ErrorCode::kNotFound)
      answer = std::move(looked_up);
  }
  if (!answer.ok()) return answer.error();
  RETURN_IF_ERROR(context.Print(DumpJson(*answer, 2) + "\n", *answer));
  return kAdminDone;
}

}  // namespace

void AddNodeCommands(CLI::App* app, AdminInvocation* invocation) {
  AddAdminCommand(app, invocation, "services-clean",
                  "deletes every generation that has no traffic and is not the newest",
                  [](AdminContext& context) { return Clean(context); });
  AddAdminCommand(app, invocation, "admin-keys-list", "lists the API keys, without their secrets",
                  [](AdminContext& context) { return ListKeys(context); });

  auto key = std::make_shared<KeyArguments>();
  CLI::App* create =
      AddAdminCommand(app, invocation, "admin-key-create",
                      "makes an API key and prints it, once; it scores, unless --admin",
                      [key](AdminContext& context) { return CreateKey(context, *key); });
  create->add_option("--label", key->label, "what it is for; logs name it by this");
  create->add_option("--description", key->description, "more about it");
  create->add_option("--created-by", key->created_by, "who made it");
  create->add_option("--expires", key->expires, "for example 2027-01-31T00:00:00Z; default: never");
  create->add_option("--service", key->services, "scores this service only; may be given again");
  create->add_flag("--admin", key->admin, "for this admin API: as mighty as HOME/admin.key");

  auto deleted = std::make_shared<std::string>();
  CLI::App* erase = AddAdminCommand(
      app, invocation, "admin-key-delete", "deletes an API key, by its id or by itself",
      [deleted](AdminContext& context) { return DeleteKey(context, *deleted); });
  erase->add_option("KEY", *deleted, "the id, or the key")->required();

  AddAdminCommand(app, invocation, "metrics-get", "counters, latencies and memory as JSON",
                  [](AdminContext& context) { return Metrics(context); });

  auto predict = std::make_shared<PredictArguments>();
  CLI::App* command = AddAdminCommand(
      app, invocation, "predict", "asks an endpoint, with a record as JSON on standard input",
      [predict](AdminContext& context) { return Predict(context, *predict); });
  command->add_option("SERVICE", predict->service, "the service's id")->required();
  command->add_option("ENDPOINT", predict->endpoint, "the endpoint's id")->required();
  command->add_option("--record", predict->record,
                      "the record, e.g. '{\"distance\": 2.5}'; also a whole body with `features`, "
                      "`items` or `data`");
  command
      ->add_option(
          "--verb", predict->verb,
          "predict, predict-multi, lookup or lookup-multi (default: what the endpoint answers)")
      ->check(CLI::IsMember({"predict", "predict-multi", "lookup", "lookup-multi"}));
  command->add_option("--generation", predict->generation,
                      "this generation, whatever the mapping says; it must be loaded");
}

}  // namespace slipway
