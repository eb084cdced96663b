#include "slipway/flow/doctor.h"

#include <cstdio>
#include <cstdlib>

#include <sys/statvfs.h>
#include <unistd.h>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/process.h"
#include "slipway/base/text.h"
#include "slipway/flow/datasets.h"
#include "slipway/registry/registry.h"

namespace slipway {
namespace {

void CheckDisk(const std::string& folder, std::vector<HealthCheck>* checks) {
  struct statvfs info{};
  if (::statvfs(folder.c_str(), &info) != 0) return;
  const auto free = static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
  const bool low = free < int64_t{1} << 30;
  checks->push_back({"disk space", low ? "warning" : "ok", FormatBytes(free) + " free",
                     low ? "builds need room for their outputs twice" : ""});
  const double start = SteadySeconds();
  const std::string probe = JoinPath(folder, ".doctor");
  if (Status status = WriteFileAtomic(probe, "x"); !status.ok()) {
    checks->push_back({"home writable", "error", status.error().message, status.error().hint});
  } else {
    ::unlink(probe.c_str());
    char text[64];
    std::snprintf(text, sizeof text, "a durable write takes %.1f ms",
                  (SteadySeconds() - start) * 1000);
    checks->push_back({"home writable", "ok", text, ""});
  }
}

void CheckLibraries(std::vector<HealthCheck>* checks) {
  // A worker loads the data engine and says whether it works.
  auto answer = RunLook("check_sql", {{"query", "SELECT 1 AS one"}, {"inputs", Json::array()}});
  checks->push_back({"data engine (DuckDB)", answer.ok() ? "ok" : "error",
                     answer.ok() ? "loads and answers" : answer.error().message,
                     answer.ok() ? "" : answer.error().hint});
  bool found = false;
  const char* env = std::getenv("SLIPWAY_LIB_DIR");
  for (const std::string& folder :
       {std::string(env != nullptr ? env : ""), JoinPath(ExecutableDir(), "../lib")}) {
    if (!folder.empty() && PathExists(JoinPath(folder, "lib_lightgbm.so"))) found = true;
  }
  checks->push_back(
      {"trainer (LightGBM)", found ? "ok" : "warning",
       found ? "lib_lightgbm.so is there" : "lib_lightgbm.so was not found beside the program",
       found ? "" : "set SLIPWAY_LIB_DIR to the folder that has it; only training needs it"});
}

void CheckHome(const std::string& home, bool deep, std::vector<HealthCheck>* checks) {
  auto registry = Registry::OpenForReading(home);
  if (!registry.ok()) {
    checks->push_back({"home", registry.error().code == ErrorCode::kNotFound ? "warning" : "error",
                       registry.error().message, registry.error().hint});
    return;
  }
  checks->push_back({"home", "ok", home, ""});
  if ((*registry)->home().shared())
    checks->push_back({"registry", "ok", (*registry)->home().RegistryName(), ""});
  CheckDisk(home, checks);
  auto findings = (*registry)->CheckIntegrity(deep);
  if (!findings.ok()) {
    checks->push_back({"integrity", "error", findings.error().message, findings.error().hint});
    return;
  }
  for (const Finding& finding : *findings)
    checks->push_back(
        {"integrity", finding.error ? "error" : "warning", finding.message, finding.hint});
  if (findings->empty())
    checks->push_back(
        {"integrity", "ok",
         deep ? "database, blobs and data verified by hash" : "database, blobs and data are there",
         ""});
}

}  // namespace

std::vector<HealthCheck> ExamineHome(const std::string& home, bool deep) {
  std::vector<HealthCheck> checks;
  checks.push_back({"slipway", "ok", SLIPWAY_VERSION, ""});
  CheckLibraries(&checks);
  CheckHome(home, deep, &checks);
  return checks;
}

Json HealthToJson(const std::vector<HealthCheck>& checks) {
  Json json = Json::array();
  for (const HealthCheck& check : checks) {
    json.push_back({{"check", check.name},
                    {"state", check.state},
                    {"detail", check.detail},
                    {"hint", check.hint}});
  }
  return json;
}

}  // namespace slipway
