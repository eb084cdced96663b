// Rights end with what they are on: a project, service or infrastructure that somebody makes later
// under the same name gives nobody anything.
#pragma once

#include <string_view>

#include "slipway/base/result.h"
#include "slipway/store/database.h"

namespace slipway {

// Takes the grants on the scope ("project:shop", "service:shop/prices", "infra:production") away
// and revokes the keys that are limited to it; of a project also those of its services. The audit
// log gets a record of its own when there were any. Inside the transaction of the deletion.
Status EndRights(Database& database, std::string_view scope, std::string_view who);
// Those of the services that the project's new definition lacks.
Status EndRightsOfMissingServices(Database& database, std::string_view project,
                                  std::string_view old_definition, std::string_view new_definition,
                                  std::string_view who);

}  // namespace slipway
