#include "slipway/cli/model_table.h"

#include <cmath>
#include <cstdio>

#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/cli/terminal.h"

namespace slipway {

std::string FormatMetric(const Json& value) {
  if (!value.is_number()) return "-";
  const double v = value.get<double>();
  char buffer[32];
  if (v == std::trunc(v) && std::abs(v) < 1e9) {
    std::snprintf(buffer, sizeof buffer, "%.0f", v);
  } else {
    std::snprintf(buffer, sizeof buffer,
                  std::abs(v) >= 1000    ? "%.1f"
                  : std::abs(v) >= 0.001 ? "%.4f"
                                         : "%.3g",
                  v);
  }
  return buffer;
}

std::string VersionTable(const Json& versions) {
  // The metrics that a person looks at first, as far as any version has them.
  std::vector<std::string> shown;
  for (const char* name : {"rmse", "mae", "mape", "r2", "auc", "log_loss", "accuracy", "f1"}) {
    for (const Json& v : versions) {
      if (v["metrics"].is_object() && v["metrics"].contains(name)) {
        shown.emplace_back(name);
        break;
      }
    }
  }
  std::vector<std::string> header = {"VERSION", "ALGORITHM", "ROWS"};
  for (const std::string& name : shown) {
    std::string upper = name;
    for (char& c : upper) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
    header.push_back(upper);
  }
  header.emplace_back("SECONDS");
  // Last, as a narrow terminal cuts them.
  for (const char* name : {"CREATED", "BY", "NOTE"}) header.emplace_back(name);
  TextTable table(header);
  for (const Json& v : versions) {
    std::vector<std::string> row = {
        DumpJson(v["version"]) + (v["active"].get<bool>() ? " * active" : ""),
        v["algorithm"].get<std::string>(),
        v["rows"].is_number() ? FormatCount(v["rows"].get<int64_t>()) : "-"};
    for (const std::string& name : shown) {
      row.push_back(v["metrics"].is_object() && v["metrics"].contains(name)
                        ? FormatMetric(v["metrics"][name])
                        : "-");
    }
    char seconds[32] = "-";
    if (v["train_seconds"].is_number())
      std::snprintf(seconds, sizeof seconds, "%.1f", v["train_seconds"].get<double>());
    row.emplace_back(seconds);
    for (const char* key : {"created_at", "created_by", "note"})
      row.push_back(v[key].get<std::string>());
    table.Add(std::move(row));
  }
  return table.ToString();
}

}  // namespace slipway
