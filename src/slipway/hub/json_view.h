// The API's JSON shapes of registry records (interfaces.md 2), in one place. Pure functions.
#pragma once

#include "slipway/base/json_fwd.h"
#include "slipway/registry/jobs.h"
#include "slipway/registry/models.h"

namespace slipway {

// An item of `model versions`; `full` adds the whole info.json and the build record.
Json VersionToJson(const VersionRecord& version, bool full);
Json ModelToJson(const ModelRecord& model);
Json ActivationToJson(const Activation& activation);
Json JobToJson(const JobRecord& job);

// Differences between two versions, differences first: settings, metrics, importance, schema.
Json CompareVersions(const VersionRecord& a, const VersionRecord& b);

}  // namespace slipway
