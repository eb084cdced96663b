#include "slipway/serve/tabular_rows.h"

#include "slipway/serve/json_text.h"

namespace slipway {

std::string JsonKey(std::string_view name) {
  std::string out;
  AppendJsonText(name, &out);
  out += ':';
  return out;
}

}  // namespace slipway
