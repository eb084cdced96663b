// What libpq answers, as rows and as errors. For postgres.cc. Values only.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/store/database.h"
#include "slipway/store/libpq.h"
#include "slipway/store/postgres_url.h"

namespace slipway {

struct PgClear {
  const Libpq* api = nullptr;
  void operator()(PGresult* result) const { api->clear(result); }
};
using PgAnswer = std::unique_ptr<PGresult, PgClear>;

// A statement's values in the binary format, as libpq wants them. Borrows the texts of `values`.
class PgValues {
 public:
  explicit PgValues(const std::vector<SqlValue>& values);
  const Oid* types() const { return types_.data(); }
  const char* const* bytes() const { return bytes_.data(); }
  const int* lengths() const { return lengths_.data(); }
  const int* formats() const { return formats_.data(); }

 private:
  std::vector<Oid> types_;
  std::vector<const char*> bytes_;
  std::vector<int> lengths_, formats_;
  std::vector<std::string> numbers_;
};

std::vector<SqlRow> PgRows(const Libpq& api, const PGresult* answer);

// The failed statement's connection is of no more use.
bool PgIsLost(const Libpq& api, const PGresult* answer);
// The error of a failed statement, by its SQLSTATE.
Error PgError(const Libpq& api, const PGresult* answer, const PostgresUrl& url,
              std::string_view sql);
// The error of a connection that could not be made; `message` is libpq's.
Error PgConnectError(const std::string& message, const PostgresUrl& url);
Error PgLost(const PostgresUrl& url);
// libpq's message on one line, without the password.
std::string PgMessage(std::string message, const PostgresUrl& url);

}  // namespace slipway
