// Linked into registry_postgres_test alone: the same tests, on homes whose registry is in
// PostgreSQL.
#include <cstdio>
#include <cstdlib>

#include <gtest/gtest.h>

#include "slipway/store/postgres_testing.h"

namespace {

const bool kOnPostgres = [] {
  ::setenv("SLIPWAY_TEST_POSTGRES", "1", 1);
  return true;
}();

}  // namespace

int main(int argc, char** argv) {
  (void)kOnPostgres;
  testing::InitGoogleTest(&argc, argv);
  if (slipway::PostgresServer::Shared() == nullptr) {
    std::fprintf(stderr, "SKIPPED: %s\n[  PASSED  ] 0 tests.\n[  SKIPPED ] 1 test\n",
                 slipway::PostgresServer::why().c_str());
    return 0;
  }
  return RUN_ALL_TESTS();
}
