// What several routes say about deployments, and which deployments a model's versions are in.
#pragma once

#include <string>
#include <string_view>

#include "slipway/base/json.h"
#include "slipway/base/result.h"
#include "slipway/http/router.h"
#include "slipway/registry/deployed_models.h"
#include "slipway/registry/registry.h"

namespace slipway {

class Hub;

// Rights on a published service are those on the service of its project; on one that is of none,
// those on everything.
Resource PublishedResource(const PublishedService& service);
// Of the path's {published}.
Result<Resource> ResourceOfPublished(Hub& hub, const Request& request);
// To deploy a service takes seeing it: one that is hidden is answered as one that is not there.
Result<PublishedService> FindSeenPublished(Hub& hub, const Request& request,
                                           const std::string& name);

// As it is stored; of its keys, that they are there.
Json InfraToJson(const InfraRecord& infra);
// What its ETag and the audit log know: also which of the nodes' admin keys, by a number that
// changes when the key is replaced, never the key.
Json InfraState(const InfraRecord& infra);

Json PublishedVersionToJson(const PublishedVersion& version);
Json UpdateToJson(const UpdateRecord& update, bool with_log);

// Deployments that serve the model in another version than this one: [{"deployment", "infra",
// "stage", "serves": "p/fare@2", "generation": "v1", "command": what moves it}].
Result<Json> DeploymentsBehind(Registry& registry, const std::string& project,
                               const std::string& model, int64_t version);
// Deployments that serve this version: [{"deployment", "infra", "stage", "generation", "weight"}].
Result<Json> DeploymentsServing(Registry& registry, const std::string& project,
                                const std::string& model, int64_t version);

// What these deployments serve is no longer defined: adds "warnings", if any, of those that the
// caller may see.
void WarnOfDeployments(const Request& request, const std::vector<DeploymentRecord>& deployments,
                       Json* answer);

// http://HOST:PORT without a slash at the end; kInvalidArgument for anything else.
Result<std::string> NormalNodeUrl(std::string url);

}  // namespace slipway
