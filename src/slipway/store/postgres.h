// PostgreSQL as a Database, over libpq. The tables are in one schema of the URL's database
// (postgres_url.h). Transactions that write take one advisory lock per schema, so that they run one
// after the other, as SQLite's do: 5 s for the lock, 60 s for a statement, 10 s to connect. A
// connection that was lost: kUnavailable for what ran in it, and the next call connects anew.
// The password comes from the URL, $PGPASSWORD or the password file ($PGPASSFILE, ~/.pgpass), and
// is in no message.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "slipway/base/result.h"
#include "slipway/store/database.h"

namespace slipway {

// kNotFound when the schema is absent (unless kCreate), kPermissionDenied when the server refuses
// the user, kUnavailable when it cannot be reached or libpq is not installed.
Result<std::unique_ptr<Database>> OpenPostgres(std::string_view url, OpenMode mode);

}  // namespace slipway
