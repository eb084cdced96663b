#include "slipway/serve/service_table.h"
