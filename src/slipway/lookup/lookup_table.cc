#include "slipway/lookup/lookup_table.h"
