// The URL of a PostgreSQL registry: postgresql://[user[:password]@]host[:port]/database[?...], as
// libpq takes it, and `schema=NAME` (ours; "slipway" unless given): the schema that holds the
// tables. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "slipway/base/result.h"

namespace slipway {

struct PostgresUrl {
  std::string connect;   // for libpq: with the password, without our schema=
  std::string schema;    // [a-z_][a-z0-9_]*
  std::string shown;     // for people and files: without any password
  std::string password;  // as written, to be kept out of messages; "" when there is none
};

// kInvalidArgument when it is not such a URL; the message has no password.
Result<PostgresUrl> ParsePostgresUrl(std::string_view url);
// `text` with the password of every URL in it as "***": for command lines that others see.
std::string WithoutPasswords(std::string text);

}  // namespace slipway
