// Copies of a registry's rows between SQLite and PostgreSQL: backups are SQLite files whatever the
// registry is, so that one form can be looked at, checked and restored into either.
#pragma once

#include <string>

#include "slipway/base/result.h"
#include "slipway/registry/home.h"
#include "slipway/store/database.h"

namespace slipway {

// A new SQLite file of the schema's `version` with every row of `source` (of the same version), as
// of one moment when `source` is in a transaction. Durable, or absent.
Status CopyRegistryRows(Database& source, int version, const std::string& to);

// The home's registry as of one moment, as a SQLite file; also while others write. `to` is new.
Status SnapshotRegistry(const Home& home, const std::string& to);

// Every row of the SQLite file `from` into `target`, an empty PostgreSQL registry of the newest
// schema, in a transaction of the caller's. `from` must have been migrated.
Status LoadRegistryRows(const std::string& from, Database& target);

}  // namespace slipway
