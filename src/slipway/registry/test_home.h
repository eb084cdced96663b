// For tests: a home in a temporary folder, and children of the test process. The homes' registry is
// in PostgreSQL where the binary registry_postgres_test runs the tests (OnPostgres()).
#pragma once

#include <fstream>
#include <functional>
#include <memory>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

#include "slipway/base/file.h"
#include "slipway/registry/registry.h"
#include "slipway/store/postgres_testing.h"

namespace slipway {

inline bool OnPostgres() { return std::getenv("SLIPWAY_TEST_POSTGRES") != nullptr; }

struct TestHome {
  TestHome() {
    auto made = TempDir::Make();
    if (made.ok()) dir = *std::move(made);
    path = dir.File("home");
    if (OnPostgres()) {
      registry =
          PostgresServer::Shared() != nullptr ? PostgresServer::Shared()->NewUrl() : "absent";
    }
    const auto initialised = InitHome(path, registry);
    ok = initialised.ok();
    if (!ok) ADD_FAILURE() << initialised.error().message;
  }
  // A small file with the content, outside of the home's folders for blobs and data.
  std::string File(const std::string& name, const std::string& content) const {
    const std::string file = dir.File(name);
    std::ofstream(file, std::ios::binary) << content;
    return file;
  }
  TempDir dir;
  std::string path;
  std::string registry;  // its URL; empty for SQLite
  bool ok = false;
};

// Runs `body` in a child process. SQLite's connections must not be carried over: open in the child.
inline pid_t StartChild(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  return child;
}

// The child's exit code; 128 when a signal ended it.
inline int WaitForChild(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

}  // namespace slipway
