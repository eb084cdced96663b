// Any bytes as a project file: parsed, checked, exported and read again; never a crash, never a
// different project.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "slipway/project/export.h"
#include "slipway/project/load.h"
#include "slipway/project/validate.h"
#include "slipway/project/yaml.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto document = slipway::ParseYaml(text, "fuzz.yaml");
  if (!document.ok()) return 0;
  auto again = slipway::ParseYaml(slipway::JsonToYaml(document->root), "again.yaml");
  if (!again.ok() || again->root != document->root) std::abort();
  auto project = slipway::ProjectFromJson(document->root, document->positions);
  if (!project.ok()) return 0;
  if (auto valid = slipway::Validate(*project); !valid.ok()) return 0;
  auto exported = slipway::ParseYaml(slipway::ToYaml(*project), "export.yaml");
  if (!exported.ok()) std::abort();
  auto same = slipway::ProjectFromJson(exported->root);
  if (!same.ok() || !slipway::SameProject(*project, *same)) std::abort();
  return 0;
}
