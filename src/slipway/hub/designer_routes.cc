// The API designer: services, their endpoints and the endpoints' test queries, each read, put and
// deleted by itself. What is put is its definition, as in a project's YAML; the project is checked
// as a whole before it is kept. ETags are those of the definition.
#include <algorithm>
#include <set>

#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/hub/answer_schemas.h"
#include "slipway/hub/body_shapes.h"
#include "slipway/hub/deploy_views.h"
#include "slipway/hub/hub.h"
#include "slipway/hub/route_helpers.h"
#include "slipway/hub/service_views.h"
#include "slipway/project/validate.h"

namespace slipway {
namespace {

const std::string kEndpoint = kServiceRoute + "/endpoints/{endpoint}";
const std::string kQueries = kEndpoint + "/test-queries";
const std::string kQuery = kQueries + "/{query}";
constexpr size_t kMaxQueryName = 128;

Error Missing(const std::string& what, const std::string& name, const Json& there) {
  std::vector<std::string> names;
  if (there.is_object()) {
    for (const auto& [known, value] : there.items()) names.push_back(known);
  }
  const std::string meant = DidYouMean(name, names);
  return NotFound(what + " '" + name.substr(0, 200) + "'",
                  !meant.empty() || names.empty() ? meant : "there are " + QuotedList(names));
}

// A project while one of its services is changed.
struct Design {
  StoredProject stored;
  std::string service, endpoint;

  std::string name() const { return stored.definition.name + "/" + service; }
  Json& services() { return stored.definition.services; }

  Result<Json*> Service() {
    const auto found = services().find(service);
    if (found == services().end())
      return Missing("project '" + stored.definition.name + "' has no service", service,
                     services());
    return &*found;
  }
  Result<Json*> Endpoint() {
    ASSIGN_OR_RETURN(Json * definition, Service());
    Json& endpoints = (*definition)["endpoints"];
    const auto found = endpoints.find(endpoint);
    if (!endpoints.is_object() || found == endpoints.end())
      return Missing("service '" + name() + "' has no endpoint", endpoint, endpoints);
    return &*found;
  }
};

Result<Design> Load(Hub& hub, const Request& request) {
  Design out;
  ASSIGN_OR_RETURN(out.stored, LoadStoredProject(hub.registry(), request.params.at("project")));
  out.service = request.params.at("service");
  if (const auto endpoint = request.params.find("endpoint"); endpoint != request.params.end())
    out.endpoint = endpoint->second;
  return out;
}

// "dataset 'orders'", "model 'fare'": what a service takes from its project.
std::set<std::string> TakenBy(const std::string& name, const Json& definition) {
  std::set<std::string> out;
  for (const EndpointDefinition& endpoint : ReadService(name, definition).endpoints) {
    if (!endpoint.lookup) out.insert("model '" + ParseModelReference(endpoint.model).name + "'");
    for (const TableUseDefinition& use : endpoint.tables)
      out.insert("dataset '" + use.dataset + "'");
    for (const TestQueryDefinition& query : endpoint.queries) {
      if (!query.dataset.empty()) out.insert("dataset '" + query.dataset + "'");
    }
  }
  return out;
}

// Whoever may change a service alone does not reach into the rest of its project by it.
Status CheckReach(const Request& request, const Design& design, const Json& before) {
  if (MaySee(request, {"project", design.stored.definition.name})) return {};
  const Json* after = FindMember(design.stored.definition.services, design.service);
  if (after == nullptr) return {};
  const std::set<std::string> had =
      before.is_null() ? std::set<std::string>() : TakenBy(design.service, before);
  for (const std::string& taken : TakenBy(design.service, *after)) {
    if (!had.contains(taken))
      return PermissionDenied(
          "the service does not use " + taken + " yet, and you have no right to see its project",
          "an administrator grants it: slipway user grant NAME read --on "
          "project:" +
              design.stored.definition.name);
  }
  return {};
}

Status Keep(Hub& hub, const Request& request, const Design& design, const Json& before) {
  RETURN_IF_ERROR(Validate(design.stored.definition));
  RETURN_IF_ERROR(CheckReach(request, design, before));
  RETURN_IF_ERROR(hub.registry().projects().Put(design.stored.definition.name,
                                                DumpJson(ProjectToJson(design.stored.definition)),
                                                request.who, design.stored.record.etag));
  return {};
}

// ---- services

Result<Response> PutService(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(Json body, ParseJson(request.body));
  ASSIGN_OR_RETURN(Design design, Load(hub, request));
  const Json before = ServiceState(hub)(request);
  design.services()[design.service] = body;
  RETURN_IF_ERROR(Keep(hub, request, design, before));
  return JsonResponse({{"name", design.name()}, {"definition", std::move(body)}});
}

Result<Response> DeleteService(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(Design design, Load(hub, request));
  RETURN_IF_ERROR(design.Service());
  const Json before = design.services()[design.service];
  design.services().erase(design.service);
  RETURN_IF_ERROR(Keep(hub, request, design, before));
  ASSIGN_OR_RETURN(const auto packages,
                   hub.registry().packages().List(design.stored.definition.name, design.service));
  ASSIGN_OR_RETURN(const auto deployments,
                   DeploymentsOf(hub.registry(), design.stored.definition.name, design.service));
  Json out = {{"deleted", design.name()}, {"packages_kept", packages.size()}};
  WarnOfDeployments(request, deployments, &out);
  return JsonResponse(out);
}

// ---- endpoints

Json EndpointDefinitionToJson(Registry& registry, const Design& design, const Json& definition) {
  const ServiceDefinition read =
      ReadService(design.service, {{"endpoints", {{design.endpoint, definition}}}});
  Json out = EndpointToJson(registry, design.stored.definition.name, read.endpoints.at(0));
  out["service"] = design.name();
  out["definition"] = definition;
  return out;
}

Result<Response> ShowEndpoint(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(Design design, Load(hub, request));
  ASSIGN_OR_RETURN(const Json* definition, design.Endpoint());
  return JsonResponse(EndpointDefinitionToJson(hub.registry(), design, *definition));
}

Result<Response> ListEndpoints(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(Design design, Load(hub, request));
  ASSIGN_OR_RETURN(const Json* service, design.Service());
  Json out = Json::array();
  for (const EndpointDefinition& endpoint : ReadService(design.service, *service).endpoints) {
    design.endpoint = endpoint.id;
    out.push_back(
        EndpointDefinitionToJson(hub.registry(), design, (*service)["endpoints"][endpoint.id]));
  }
  return JsonResponse(out);
}

Result<Response> PutEndpoint(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(const Json body, ParseJson(request.body));
  ASSIGN_OR_RETURN(Design design, Load(hub, request));
  ASSIGN_OR_RETURN(Json * service, design.Service());
  const Json before = *service;
  if (!(*service)["endpoints"].is_object()) (*service)["endpoints"] = Json::object();
  (*service)["endpoints"][design.endpoint] = body;
  RETURN_IF_ERROR(Keep(hub, request, design, before));
  return JsonResponse(EndpointDefinitionToJson(hub.registry(), design, body));
}

Result<Response> DeleteEndpoint(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(Design design, Load(hub, request));
  RETURN_IF_ERROR(design.Endpoint());
  ASSIGN_OR_RETURN(Json * service, design.Service());
  const Json before = *service;
  (*service)["endpoints"].erase(design.endpoint);
  RETURN_IF_ERROR(Keep(hub, request, design, before));
  return JsonResponse({{"deleted", design.endpoint}, {"service", design.name()}});
}

// ---- test queries

// As a list, whichever short form the definition has.
Json QueriesOf(const Json& endpoint) {
  const Json* queries = FindMember(endpoint, "test_queries");
  if (queries == nullptr || queries->is_null()) return Json::array();
  return queries->is_array() ? *queries : Json::array({*queries});
}

Response QueriesToResponse(const Design& design, const Json& endpoint) {
  return JsonResponse({{"service", design.name()},
                       {"endpoint", design.endpoint},
                       {"test_queries", QueriesOf(endpoint)}});
}

Result<Response> ShowQueries(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(Design design, Load(hub, request));
  ASSIGN_OR_RETURN(const Json* endpoint, design.Endpoint());
  return QueriesToResponse(design, *endpoint);
}

Status KeepQueries(Hub& hub, const Request& request, Design* design, Json queries) {
  ASSIGN_OR_RETURN(const Json* service, design->Service());
  const Json before = *service;
  ASSIGN_OR_RETURN(Json * endpoint, design->Endpoint());
  if (queries.empty()) {
    endpoint->erase("test_queries");
  } else {
    (*endpoint)["test_queries"] = std::move(queries);
  }
  return Keep(hub, request, *design, before);
}

Result<Response> PutQueries(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(Json body, ParseJson(request.body));
  ASSIGN_OR_RETURN(Design design, Load(hub, request));
  RETURN_IF_ERROR(KeepQueries(hub, request, &design, std::move(body["test_queries"])));
  ASSIGN_OR_RETURN(const Json* endpoint, design.Endpoint());
  return QueriesToResponse(design, *endpoint);
}

Result<Response> DeleteQueries(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(Design design, Load(hub, request));
  RETURN_IF_ERROR(KeepQueries(hub, request, &design, Json::array()));
  return JsonResponse(
      {{"deleted", "test queries"}, {"service", design.name()}, {"endpoint", design.endpoint}});
}

// Where the first query of that name stands in the list; its size: nowhere.
size_t FirstPlace(const Json& queries, const std::string& name) {
  size_t place = 0;
  while (place < queries.size() &&
         !(queries[place].is_object() && queries[place].value("name", Json()) == Json(name)))
    ++place;
  return place;
}

// The only one of that name: what is to be changed must be clear.
Result<size_t> PlaceOf(const Json& queries, const std::string& name) {
  const size_t place = FirstPlace(queries, name);
  for (size_t i = place + 1; i < queries.size(); ++i) {
    if (queries[i].is_object() && queries[i].value("name", Json()) == Json(name))
      return Conflict("two test queries are named '" + name + "'",
                      "put the whole list, with names that differ");
  }
  return place;
}

Result<Json> FindQuery(Design& design, const std::string& name) {
  ASSIGN_OR_RETURN(const Json* endpoint, design.Endpoint());
  const Json queries = QueriesOf(*endpoint);
  const size_t place = FirstPlace(queries, name);
  if (place < queries.size()) return queries[place];
  Json names = Json::object();
  for (const Json& query : queries) {
    if (query.is_object() && query.contains("name")) names[query["name"].get<std::string>()] = 1;
  }
  return Missing(
      "endpoint '" + design.endpoint + "' of service '" + design.name() + "' has no test query",
      name, names);
}

Result<Response> ShowQuery(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(Design design, Load(hub, request));
  ASSIGN_OR_RETURN(const Json query, FindQuery(design, request.params.at("query")));
  return JsonResponse(query);
}

Result<Response> PutQuery(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(Json body, ParseJson(request.body));
  const std::string& name = request.params.at("query");
  if (body.contains("name") && body["name"] != Json(name))
    return InvalidArgument("name: the body names the test query '" +
                               body["name"].get<std::string>().substr(0, 200) + "', the path '" +
                               name.substr(0, 200) + "'",
                           "leave it out of the body");
  ASSIGN_OR_RETURN(Design design, Load(hub, request));
  ASSIGN_OR_RETURN(const Json* endpoint, design.Endpoint());
  Json queries = QueriesOf(*endpoint);
  ASSIGN_OR_RETURN(const size_t place, PlaceOf(queries, name));
  body["name"] = name;
  if (place < queries.size()) {
    queries[place] = body;
  } else if (name.size() > kMaxQueryName || !IsValidName(name)) {
    return InvalidArgument("'" + name.substr(0, 200) + "' is no name for a new test query",
                           "letters, digits, '_', '-' and '.'; in the whole list any text may be "
                           "one");
  } else {
    queries.push_back(body);
  }
  RETURN_IF_ERROR(KeepQueries(hub, request, &design, std::move(queries)));
  return JsonResponse(body);
}

Result<Response> DeleteQuery(Hub& hub, const Request& request) {
  ASSIGN_OR_RETURN(Design design, Load(hub, request));
  const std::string& name = request.params.at("query");
  RETURN_IF_ERROR(FindQuery(design, name));
  ASSIGN_OR_RETURN(const Json* endpoint, design.Endpoint());
  Json queries = QueriesOf(*endpoint);
  ASSIGN_OR_RETURN(const size_t place, PlaceOf(queries, name));
  queries.erase(place);
  RETURN_IF_ERROR(KeepQueries(hub, request, &design, std::move(queries)));
  return JsonResponse(
      {{"deleted", name}, {"service", design.name()}, {"endpoint", design.endpoint}});
}

// ---- what the routes change, as it is now

using State = std::function<Json(const Request&)>;

// Part of a design, when it is there.
template <typename Part>
State DesignState(Hub& hub, Part part) {
  return [&hub, part](const Request& request) {
    Result<Design> design = Load(hub, request);
    if (!design.ok()) return Json();
    return part(*design, request);
  };
}

State EndpointState(Hub& hub) {
  return DesignState(hub, [](Design& design, const Request&) {
    const auto endpoint = design.Endpoint();
    return endpoint.ok() ? **endpoint : Json();
  });
}

State QueriesState(Hub& hub) {
  return DesignState(hub, [](Design& design, const Request&) {
    const auto endpoint = design.Endpoint();
    return endpoint.ok() ? Json{{"test_queries", QueriesOf(**endpoint)}} : Json();
  });
}

State QueryState(Hub& hub) {
  return DesignState(hub, [](Design& design, const Request& request) {
    const auto query = FindQuery(design, request.params.at("query"));
    return query.ok() ? *query : Json();
  });
}

}  // namespace

void AddDesignerRoutes(Hub& hub, Router* router) {
  const auto add = [&](const char* method, const std::string& pattern, const char* permission,
                       const char* summary, Result<Response> (*handler)(Hub&, const Request&),
                       RouteDetails details) {
    details.query = NoKeys();
    router->Add({method, pattern, permission, summary,
                 [&hub, handler](const Request& r) { return handler(hub, r); },
                 std::move(details)});
  };
  const auto put = [](const State& state, const Shape& shape, const char* label, bool creates,
                      const char* answer) {
    return RouteDetails{.etag = true,
                        .creates = creates,
                        .atomic = true,
                        .rule = ShapedBody(shape, label),
                        .answer = answer != nullptr ? Answers(answer) : nullptr,
                        .state = state};
  };
  const auto remove = [](const State& state) {
    return RouteDetails{.etag = true, .atomic = true, .answer = Answers("Deleted"), .state = state};
  };
  const State service = ServiceState(hub), endpoint = EndpointState(hub),
              queries = QueriesState(hub), query = QueryState(hub);
  add("PUT", kServiceRoute, "write", "makes a service or gives it another definition", PutService,
      put(service, ServiceShape(), "the service", true, "Service"));
  add("DELETE", kServiceRoute, "write", "takes a service out of the project; its packages are kept",
      DeleteService, remove(service));
  add("GET", kServiceRoute + "/endpoints", "read", "endpoints of a service", ListEndpoints,
      {.paged = ListKey{"endpoint"}, .answer = AnswersList("Endpoint")});
  add("GET", kEndpoint, "read", "one endpoint, and the model version that it means now",
      ShowEndpoint,
      {.etag = true, .wider = true, .answer = Answers("Endpoint"), .state = endpoint});
  add("PUT", kEndpoint, "write", "makes an endpoint or gives it another definition", PutEndpoint,
      put(endpoint, EndpointShape(), "the endpoint", true, "Endpoint"));
  add("DELETE", kEndpoint, "write", "takes an endpoint out of its service", DeleteEndpoint,
      remove(endpoint));
  add("GET", kQueries, "read", "test queries of an endpoint, as they are defined", ShowQueries,
      {.etag = true, .answer = Answers("TestQueries"), .state = queries});
  add("PUT", kQueries, "write", "replaces the test queries of an endpoint", PutQueries,
      put(queries, TestQueriesShape(), "the test queries", false, "TestQueries"));
  add("DELETE", kQueries, "write", "takes all test queries from an endpoint", DeleteQueries,
      remove(queries));
  add("GET", kQuery, "read", "one test query that is written by hand, by its name", ShowQuery,
      {.etag = true, .state = query});
  add("PUT", kQuery, "write", "adds or replaces one test query, by its name", PutQuery,
      put(query, TestQueryShape(), "the test query", true, nullptr));
  add("DELETE", kQuery, "write", "takes one test query from an endpoint, by its name", DeleteQuery,
      remove(query));
}

}  // namespace slipway
