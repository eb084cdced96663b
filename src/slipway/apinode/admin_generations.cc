// Commands on generations: import, list, switch, preload, test, delete.
#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "slipway/apinode/admin_context.h"
#include "slipway/base/clock.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

struct GenerationArguments {
  std::string service, generation;
};

std::string GenerationsPath(const std::string& service) {
  return "/admin/api/services/" + EncodePathPart(service) + "/generations";
}
std::string GenerationPath(const GenerationArguments& arguments) {
  return GenerationsPath(arguments.service) + "/" + EncodePathPart(arguments.generation);
}

// What is true after an import: the package may have been there, and have traffic.
std::string ImportMessage(const std::string& service, const std::string& generation,
                          const Json& answer) {
  const std::string how = answer.value("import", "new");
  std::string out = "generation '" + generation + "' of service '" + service + "' ";
  out += how == "repaired"    ? "was damaged and is repaired"
         : how == "unchanged" ? "is already there"
                              : "was imported";
  const double percent = answer.value("mappedPercent", 0.0);
  if (percent > 0)
    return out +
           (answer.value("enabled", true)
                ? "; it takes " + FormatDouble(percent) + " % of the traffic"
                : "; it is mapped to " + FormatDouble(percent) +
                      " % of the traffic, but the service is disabled: service-enable " + service);
  return out + "; it takes no traffic" +
         (how == "new" ? " yet: service-switch-to-newest " + service
                       : ": service-switch-to-generation " + service + " " + generation);
}

Result<int> ImportGeneration(AdminContext& context, const std::string& service,
                             const std::string& file) {
  ASSIGN_OR_RETURN(const AdminClient client, context.Client());
  ASSIGN_OR_RETURN(const Json answer, client.CallWithFile("POST", GenerationsPath(service), file));
  const std::string generation = answer.value("generation", "");
  context.Say(ImportMessage(service, generation, answer));
  RETURN_IF_ERROR(context.Print(generation + "\n", answer));
  return kAdminDone;
}

Result<int> ListGenerations(AdminContext& context, const std::string& service) {
  ASSIGN_OR_RETURN(const AdminClient client, context.Client());
  ASSIGN_OR_RETURN(const Json answer, client.Call("GET", GenerationsPath(service)));
  ASSIGN_OR_RETURN(const Json* list, GetArray(answer, "generations"));
  std::vector<std::vector<std::string>> rows = {
      {"Gen. Tag", "Created", "Mounted", "Mapped %", "Disk", "Memory", "Error"}};
  for (const Json& each : *list) {
    const Json* created = FindMember(each, "createdOn");
    rows.push_back(
        {each.value("generationId", ""),
         created != nullptr && created->is_number_integer()
             ? FormatTimestamp(created->get<int64_t>() * 1000)
             : "",
         each.value("mounted", false) ? "yes" : "no",
         each.value("mapped", false) ? FormatDouble(each.value("mappedPercent", 0.0)) : "-",
         FormatBytes(each.value("diskBytes", int64_t{0})),
         each.value("mounted", false) ? FormatBytes(each.value("memoryBytes", int64_t{0})) : "",
         each.value("error", "")});
  }
  RETURN_IF_ERROR(context.Print(AlignedTable(rows), *list));
  return kAdminDone;
}

Result<int> SwitchToNewest(AdminContext& context, const std::string& service) {
  ASSIGN_OR_RETURN(const AdminClient client, context.Client());
  ASSIGN_OR_RETURN(const Json answer,
                   client.Call("POST", "/admin/api/services/" + EncodePathPart(service) +
                                           "/actions/switchToNewest"));
  const std::string generation = answer.value("generation", "");
  context.Say("service '" + service + "' is served by generation '" + generation + "'");
  RETURN_IF_ERROR(context.Print(generation + "\n", answer));
  return kAdminDone;
}

Result<int> TestGeneration(AdminContext& context, const GenerationArguments& arguments) {
  ASSIGN_OR_RETURN(const AdminClient client, context.Client());
  ASSIGN_OR_RETURN(const Json outcomes,
                   client.Call("POST", GenerationPath(arguments) + "/actions/test"));
  if (!outcomes.is_array()) return Internal("the node's answer is no list of outcomes");
  std::vector<std::vector<std::string>> rows = {{"Endpoint", "Query", "Result", "ms", ""}};
  size_t failed = 0;
  for (const Json& each : outcomes) {
    const bool ok = each.value("ok", false);
    if (!ok) ++failed;
    const Json* name = FindMember(each, "query");
    if (name == nullptr) name = FindMember(each, "name");
    rows.push_back({each.value("endpoint", ""),
                    name != nullptr && name->is_string() ? name->get<std::string>() : "",
                    ok ? "ok" : "FAILED", fmt::format("{:.2f}", each.value("milliseconds", 0.0)),
                    ok ? "" : each.value("difference", "")});
  }
  RETURN_IF_ERROR(context.Print(AlignedTable(rows), outcomes));
  if (outcomes.empty()) context.Say("the package has no test queries");
  return failed > 0 ? kAdminDifference : kAdminDone;
}

// A call on one generation that has nothing to show but that it was done.
Result<int> ChangeGeneration(AdminContext& context, std::string_view method,
                             const std::string& path, const std::string& done) {
  ASSIGN_OR_RETURN(const AdminClient client, context.Client());
  ASSIGN_OR_RETURN(const Json answer, client.Call(method, path));
  context.Say(done);
  RETURN_IF_ERROR(context.Print("", answer));
  return kAdminDone;
}

}  // namespace

void AddGenerationCommands(CLI::App* app, AdminInvocation* invocation) {
  using Run = std::function<Result<int>(AdminContext&, const GenerationArguments&)>;
  const auto add = [&](const std::string& name, const std::string& description,
                       const std::string& second, const std::string& about, Run run) {
    auto arguments = std::make_shared<GenerationArguments>();
    CLI::App* command = AddAdminCommand(app, invocation, name, description,
                                        [arguments, run = std::move(run)](AdminContext& context) {
                                          return run(context, *arguments);
                                        });
    command->add_option("SERVICE", arguments->service, "the service's id")->required();
    if (!second.empty()) command->add_option(second, arguments->generation, about)->required();
  };
  const std::string id = "the generation's id, as service-list-generations shows it";
  add("service-import-generation", "uploads a service package; it takes no traffic before a switch",
      "FILE", "the package, a zip",
      [](AdminContext& context, const GenerationArguments& arguments) {
        return ImportGeneration(context, arguments.service, arguments.generation);
      });
  add("service-list-generations", "lists the generations of a service", "", "",
      [](AdminContext& context, const GenerationArguments& arguments) {
        return ListGenerations(context, arguments.service);
      });
  add("service-switch-to-newest", "gives all traffic to the generation imported last", "", "",
      [](AdminContext& context, const GenerationArguments& arguments) {
        return SwitchToNewest(context, arguments.service);
      });
  add("service-switch-to-generation", "gives all traffic to one generation: also the way back",
      "GENERATION", id, [](AdminContext& context, const GenerationArguments& arguments) {
        return ChangeGeneration(context, "POST",
                                "/admin/api/services/" + EncodePathPart(arguments.service) +
                                    "/actions/switchTo/" + EncodePathPart(arguments.generation),
                                "service '" + arguments.service + "' is served by generation '" +
                                    arguments.generation + "'");
      });
  add("service-preload-generation",
      "loads a generation and runs its test queries, without giving it traffic", "GENERATION", id,
      [](AdminContext& context, const GenerationArguments& arguments) {
        return ChangeGeneration(context, "POST", GenerationPath(arguments) + "/preload",
                                "generation '" + arguments.generation + "' is loaded");
      });
  add("service-unload-generation",
      "takes a preload back: frees the memory of a generation without traffic", "GENERATION", id,
      [](AdminContext& context, const GenerationArguments& arguments) {
        return ChangeGeneration(context, "DELETE", GenerationPath(arguments) + "/preload",
                                "generation '" + arguments.generation + "' is not loaded any more");
      });
  add("service-test-generation",
      "runs the packaged test queries on a generation, without traffic (exit 6: one fails)",
      "GENERATION", id, [](AdminContext& context, const GenerationArguments& arguments) {
        return TestGeneration(context, arguments);
      });
  add("service-delete-generation", "deletes a generation that has no traffic", "GENERATION", id,
      [](AdminContext& context, const GenerationArguments& arguments) {
        return ChangeGeneration(context, "DELETE", GenerationPath(arguments),
                                "generation '" + arguments.generation + "' was deleted");
      });
}

}  // namespace slipway
