// The database of a home, whichever it is: registry.db in its folder, or a schema in PostgreSQL. A
// row in it has the home's id, so that a home never works on another one's metadata.
#pragma once

#include <memory>
#include <string>

#include "slipway/base/result.h"
#include "slipway/registry/home.h"
#include "slipway/store/database.h"

namespace slipway {

// kCorruption when the home's registry.db is missing, kConflict when the registry is another
// home's.
Result<std::unique_ptr<Database>> OpenRegistryDatabase(const Home& home, OpenMode mode);

// Brings the schema up to date. What was there before is kept in the home's folder as
// `registry.db.v<version>` (SQLite, the newest three).
Status MigrateRegistry(Database& database, const Home& home);
// Refuses a newer one; false: it is older.
Result<bool> IsRegistryMigrated(Database& database, const Home& home);

// For a new home: an empty registry with its id, in `folder` or at the URL. Done already by an
// interrupted init: no error.
Status MakeRegistryDatabase(const std::string& folder, const std::string& id,
                            const std::string& registry_url);

// The row with the home's id, replaced. For a restored home.
Status SetHomeId(Database& database, const std::string& id);

}  // namespace slipway
