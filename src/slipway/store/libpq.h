// PostgreSQL's client library, loaded on first use: programs that use SQLite need none, and start
// as quickly as before. Function pointers with the names of libpq, less "PQ". Thread-safe.
#pragma once

#include <libpq-fe.h>

#include "slipway/base/result.h"

// clang-format off: it does not settle on lists of macros.
#define SLIPWAY_LIBPQ_FUNCTIONS(X) \
  X(connectdbParams) X(finish) X(status) X(errorMessage) X(exec) X(execParams) X(clear) \
  X(resultStatus) X(resultErrorField) X(resultErrorMessage) X(ntuples) X(nfields) X(ftype) \
  X(getisnull) X(getvalue) X(getlength) X(cmdTuples) X(cmdStatus) X(transactionStatus) \
  X(setNoticeProcessor) X(connectionNeedsPassword) X(conninfoParse) X(conninfoFree) X(freemem)
// clang-format on

namespace slipway {

struct Libpq {
#define SLIPWAY_DECLARE(name) decltype(&PQ##name) name = nullptr;
  SLIPWAY_LIBPQ_FUNCTIONS(SLIPWAY_DECLARE)
#undef SLIPWAY_DECLARE

  // kUnavailable when libpq.so.5 is not on the system, with the package that has it.
  static Result<const Libpq*> Load();
};

}  // namespace slipway
