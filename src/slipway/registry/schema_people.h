// The tables of accounts, rights, keys, sessions and the audit log.
#pragma once

#include "slipway/store/migrations.h"

namespace slipway {

extern const Migration kPeopleStep;

}  // namespace slipway
