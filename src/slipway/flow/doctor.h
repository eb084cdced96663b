// What `slipway doctor` looks at: the libraries, the disk and a home's integrity.
#pragma once

#include <string>
#include <vector>

#include "slipway/base/json.h"

namespace slipway {

struct HealthCheck {
  std::string name, state, detail, hint;  // state: ok, warning, error
};

// Opens the home for reading, whoever works in it. `deep`: every blob is read and compared with its
// hash. A home that cannot be opened is a check that failed. Thread-safe.
std::vector<HealthCheck> ExamineHome(const std::string& home, bool deep);

// [{check, state, detail, hint}]
Json HealthToJson(const std::vector<HealthCheck>& checks);

}  // namespace slipway
