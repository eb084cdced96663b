// /metrics: the Prometheus text format 0.0.4. Names follow OpenTelemetry where it has one.
// docs/api-node.md lists them.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "slipway/http/server.h"
#include "slipway/serve/node.h"

namespace slipway {

// Writes families one after the other. Confined to one thread.
class MetricsText {
 public:
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;
  // `type`: "counter", "gauge", "histogram". Of what follows until the next one.
  void Family(std::string_view name, std::string_view type, std::string_view help);
  void Add(double value, Labels labels = {}, std::string_view suffix = {});
  void Add(int64_t value, Labels labels = {}, std::string_view suffix = {});
  const std::string& text() const { return text_; }

 private:
  void Begin(Labels labels, std::string_view suffix);
  std::string name_, text_;
};

// `http`: the server's counters; nullptr before it has started.
std::string NodeMetrics(const NodeParts& parts, const HttpStats* http);

}  // namespace slipway
