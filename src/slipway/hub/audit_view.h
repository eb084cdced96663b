// How changes are described in the audit log, and how its records are shown. Pure functions.
#pragma once

#include "slipway/base/json_fwd.h"
#include "slipway/http/router.h"
#include "slipway/registry/audit.h"

namespace slipway {

// The record of a request's change: what differs between the two states, or, for a route without
// one or with a job, the request's body. Values of keys that name secrets are left out.
AuditRecord DescribeChange(const Route& route, const Request& request, const Json& before,
                           const Json& after);
// Without the roles that `caller` may not see.
Json AuditToJson(const AuditRecord& record, const Request& caller);

// `value` without what secrets may be in; large texts are cut.
Json WithoutSecrets(const Json& value);

}  // namespace slipway
