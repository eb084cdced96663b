// Projects and the instance for DSS's clients, and the families of calls that are not there.
#include "slipway/hub/dss_facade.h"
#include "slipway/hub/dss_wire.h"

namespace slipway {
namespace {

Json Item(const Json& project) {
  const Json* description = FindMember(project, "description");
  return {{"projectKey", project["name"]},
          {"name", project["name"]},
          {"shortDesc", description != nullptr ? *description : Json("")},
          {"ownerLogin", project["updated_by"]}};
}

Result<Response> ListDssProjects(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json projects, call.Get("projects"));
  Json out = Json::array();
  for (const Json& project : projects) out.push_back(Item(project));
  return JsonResponse(out);
}

Result<Response> ShowDssProject(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json project, call.Get("projects/" + call.param("p")));
  Json out = Item(project);
  out["shortDesc"] = project["definition"].value("description", "");
  return JsonResponse(out);
}

Result<Response> Metadata(const DssCall& call) {
  ASSIGN_OR_RETURN(const Json project, call.Get("projects/" + call.param("p")));
  return JsonResponse({{"label", project["name"]},
                       {"shortDesc", project["definition"].value("description", "")},
                       {"tags", Json::array()},
                       {"customFields", Json::object()}});
}

Result<Response> AuthInfo(const DssCall& call) {
  ASSIGN_OR_RETURN(const bool secrets, call.flag("withSecrets", false));
  if (secrets) return DssNotSupported("telling secrets", "");
  ASSIGN_OR_RETURN(const Json me, call.Get("whoami"));
  return JsonResponse(
      {{"authIdentifier", call.request().who}, {"groups", Json::array()}, {"slipway", me}});
}

Result<Response> InstanceInfo(const DssCall&) {
  return JsonResponse({{"nodeId", "slipway-hub"},
                       {"nodeName", "slipway-hub"},
                       {"nodeType", "DESIGN"},
                       {"dssVersion", "slipway-" SLIPWAY_VERSION}});
}

}  // namespace

void AddDssProjectCalls(DssFacade* facade) {
  facade->Add("GET", "/projects", "DSSClient.list_projects, list_project_keys", ListDssProjects);
  facade->Add("GET", "/projects/{p}", "DSSProject.get_summary", ShowDssProject);
  facade->Add("GET", "/projects/{p}/metadata", "DSSProject.get_metadata", Metadata);
  facade->Add("GET", "/auth/info", "DSSClient.get_auth_info", AuthInfo);
  facade->Add("GET", "/instance-info", "DSSClient.get_instance_info", InstanceInfo);
  facade->AddMissing("/projects/{p}/datasets", "datasets through DSS's API",
                     "slipway dataset, or the hub's own API: docs/hub.md");
  facade->AddMissing("/projects/{p}/recipes", "recipes through DSS's API",
                     "slipway apply, or the hub's own API: docs/hub.md");
  facade->AddMissing("/projects/{p}/scenarios", "scenarios", "");
}

}  // namespace slipway
