// Generations: list, import, upload, preload, test, delete.
#include <unistd.h>

#include "slipway/base/file.h"
#include "slipway/base/hash.h"
#include "slipway/base/text.h"
#include "slipway/http/multipart.h"
#include "slipway/serve/admin_routes.h"
#include "slipway/serve/public_notice.h"

namespace slipway {
namespace {

Json MillisOrNull(std::string_view timestamp) {
  const std::optional<int64_t> millis = TimestampMillis(timestamp);
  return millis ? Json(*millis) : Json();
}

Json GenerationToJson(const GenerationInfo& generation) {
  return {{"generationId", generation.id},
          {"tag", generation.id},
          {"createdOn", MillisOrNull(generation.created_at)},
          {"importedOn", MillisOrNull(generation.imported_at)},
          {"mounted", generation.loaded},
          {"mapped", generation.mapped},
          {"mappedPercent", generation.probability * 100},
          {"status", generation.status},
          {"error", generation.error},
          {"manifestSha256", generation.manifest_sha256},
          {"diskBytes", generation.disk_bytes},
          {"memoryBytes", generation.memory_bytes}};
}

Response Imported(NodeParts* parts, const std::string& service,
                  const ImportedGeneration& generation) {
  NotePublicPackage(*parts, service, generation.id, generation.auth);
  Json json = {{"serviceId", service},
               {"generation", generation.id},
               {"generationId", generation.id},
               {"import", generation.repaired    ? "repaired"
                          : generation.was_there ? "unchanged"
                                                 : "new"}};
  if (const Result<ServiceInfo> found = parts->state->Service(service); found.ok()) {
    json["enabled"] = found->enabled;
    for (const GenerationInfo& each : found->generations) {
      if (each.id == generation.id) json["mappedPercent"] = each.probability * 100;
    }
  }
  return OkResponse(json);
}

// Errors about the file that an upload lies in name the upload: the file's own name says nothing to
// the client.
Error OfUpload(Error error, const std::string& file) {
  constexpr std::string_view kUpload = "the uploaded package";
  for (const std::string& name : {"package '" + BaseName(file) + "'", "'" + file + "'", file}) {
    for (size_t at = error.message.find(name); at != std::string::npos;
         at = error.message.find(name))
      error.message.replace(at, name.size(), kUpload);
  }
  if (error.code == ErrorCode::kCorruption && error.message.find(kUpload) == std::string::npos)
    return error.Within(kUpload);
  return error;
}

std::string HeaderOf(const Request& request, std::string_view name) {
  const auto at = request.headers.find(std::string(name));
  return at == request.headers.end() ? "" : at->second;
}

// The package lies in the spooled body, or in the field `file` of the form that the body is.
Result<Response> Upload(NodeParts* parts, const Request& request) {
  ASSIGN_OR_RETURN(const NodeState::Epoch epoch, EpochOf(request));
  const std::string& service = request.params.at("service");
  const std::string body_file = HeaderOf(request, kAdminBodyFile);
  if (body_file.empty())
    return InvalidArgument("the body is empty",
                           "send the package's bytes, or a form with the file in the field "
                           "'file' (curl -F file=@PACKAGE.zip)");
  const std::string content_type = HeaderOf(request, "content-type");
  std::string package = body_file, extracted;
  if (IsMultipart(content_type)) {
    extracted = JoinPath(parts->state->spool_folder(), "part-" + RandomId());
    const Result<int64_t> bytes = ExtractMultipartFile(body_file, content_type, "file", extracted);
    if (!bytes.ok()) return OfUpload(OfUpload(bytes.error(), body_file), extracted);
    if (*bytes == 0) {
      ::unlink(extracted.c_str());
      return InvalidArgument("the field 'file' of the form is empty");
    }
    package = extracted;
  }
  const Result<ImportedGeneration> generation =
      parts->state->ImportPackage(service, package, true, epoch);
  if (!extracted.empty()) ::unlink(extracted.c_str());
  if (!generation.ok()) return OfUpload(generation.error(), package);
  return Imported(parts, service, *generation);
}

Result<Response> ImportFromArchive(NodeParts* parts, const Request& request) {
  ASSIGN_OR_RETURN(const NodeState::Epoch epoch, EpochOf(request));
  const auto path = request.query.find("filePath");
  if (path == request.query.end() || path->second.empty())
    return InvalidArgument("the parameter 'filePath' is missing",
                           "put the package into '" + parts->state->import_folder() +
                               "' on the node and name it: ?filePath=PACKAGE.zip; or upload it: "
                               "POST /admin/api/services/SERVICE/generations");
  const std::string& service = request.params.at("service");
  ASSIGN_OR_RETURN(const ImportedGeneration generation,
                   parts->state->ImportPackage(service, path->second, false, epoch));
  return Imported(parts, service, generation);
}

}  // namespace

Json GenerationsToJson(const ServiceInfo& service) {
  Json list = Json::array();
  for (const GenerationInfo& generation : service.generations)
    list.push_back(GenerationToJson(generation));
  return list;
}

void AddGenerationRoutes(NodeParts* parts, Router* router) {
  const std::string base = "/admin/api/services/{service}/generations";
  router->Add({"GET", base, "admin", "lists the generations of a service",
               [parts](const Request& request) -> Result<Response> {
                 ASSIGN_OR_RETURN(const ServiceInfo service,
                                  parts->state->Service(request.params.at("service")));
                 return JsonResponse({{"generations", GenerationsToJson(service)}});
               }});
  router->Add({"POST", base, "admin", "imports the package in the body",
               [parts](const Request& request) { return Upload(parts, request); }});
  router->Add({"POST", base + "/actions/importFromArchive", "admin",
               "imports a package from the node's import folder",
               [parts](const Request& request) { return ImportFromArchive(parts, request); }});
  router->Add({"POST", base + "/{generation}/preload", "admin",
               "loads a generation without giving it traffic",
               [parts](const Request& request) -> Result<Response> {
                 ASSIGN_OR_RETURN(const NodeState::Epoch epoch, EpochOf(request));
                 RETURN_IF_ERROR(parts->state->Preload(request.params.at("service"),
                                                       request.params.at("generation"), epoch));
                 return OkResponse();
               }});
  router->Add({"DELETE", base + "/{generation}/preload", "admin",
               "unloads a generation without traffic: the inverse of preload",
               [parts](const Request& request) -> Result<Response> {
                 ASSIGN_OR_RETURN(const NodeState::Epoch epoch, EpochOf(request));
                 RETURN_IF_ERROR(parts->state->Unload(request.params.at("service"),
                                                      request.params.at("generation"), epoch));
                 return OkResponse();
               }});
  router->Add({"POST", base + "/{generation}/actions/test", "admin",
               "answers the packaged test queries without traffic",
               [parts](const Request& request) -> Result<Response> {
                 ASSIGN_OR_RETURN(const std::vector<TestOutcome> outcomes,
                                  parts->state->Test(request.params.at("service"),
                                                     request.params.at("generation")));
                 Json list = Json::array();
                 for (const TestOutcome& outcome : outcomes)
                   list.push_back(TestOutcomeToJson(outcome));
                 return JsonResponse(list);
               }});
  router->Add({"DELETE", base + "/{generation}", "admin", "deletes a generation without traffic",
               [parts](const Request& request) -> Result<Response> {
                 ASSIGN_OR_RETURN(const NodeState::Epoch epoch, EpochOf(request));
                 RETURN_IF_ERROR(parts->state->DeleteGeneration(
                     request.params.at("service"), request.params.at("generation"), epoch));
                 return OkResponse();
               }});
}

}  // namespace slipway
