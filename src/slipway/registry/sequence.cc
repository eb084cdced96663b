#include "slipway/registry/sequence.h"

namespace slipway {

Result<int64_t> NextNumber(Database& database, std::string_view sequence) {
  ASSIGN_OR_RETURN(
      auto rows, database.Query("INSERT INTO sequences(name, last) VALUES (?, 1) ON CONFLICT(name) "
                                "DO UPDATE SET last = sequences.last + 1 RETURNING last",
                                {SqlText(sequence)}));
  if (rows.empty()) return Internal("no number from sequence '" + std::string(sequence) + "'");
  return rows[0].Int(0);
}

}  // namespace slipway
