// Sequences: numbers that never go back and are never given twice, not even after what they named
// is deleted. A number that a rolled-back transaction took was never seen by anyone and is given
// again.
#pragma once

#include <cstdint>
#include <string_view>

#include "slipway/base/result.h"
#include "slipway/store/database.h"

namespace slipway {

// The next number (from 1) of the sequence. REQUIRES: inside the transaction that uses the number.
Result<int64_t> NextNumber(Database& database, std::string_view sequence);

}  // namespace slipway
