#include "slipway/package/package.h"
