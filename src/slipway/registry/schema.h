// The registry's tables, as migrations. Steps are only ever added at the end.
#pragma once

#include <span>

#include "slipway/store/migrations.h"

namespace slipway {

std::span<const Migration> RegistrySchema();

}  // namespace slipway
