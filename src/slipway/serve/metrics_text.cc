#include "slipway/serve/metrics_text.h"

#include <array>
#include <cmath>
#include <cstdio>

#include "slipway/base/text.h"
#include "slipway/serve/json_text.h"
#include "slipway/serve/process_figures.h"

namespace slipway {
namespace {

constexpr std::string_view kOutcomes[] = {"ok", "client_error", "server_error", "rejected"};

void AppendLabelValue(std::string_view text, std::string* out) {
  for (char c : text) {
    if (c == '\n') {
      out->append("\\n");
      continue;
    }
    if (c == '\\' || c == '"') out->push_back('\\');
    out->push_back(c);
  }
}

void AddEndpoints(const std::vector<StatsRegistry::Row>& rows, MetricsText* out) {
  const auto labels = [](const StatsRegistry::Row& row) {
    return std::array<std::pair<std::string_view, std::string_view>, 3>{
        {{"service", row.service}, {"endpoint", row.endpoint}, {"generation", row.generation}}};
  };
  out->Family("http_server_request_duration_seconds", "histogram",
              "Time from a request's last byte to its answer; refused requests do not count.");
  for (const StatsRegistry::Row& row : rows) {
    const auto l = labels(row);
    int64_t below = 0;
    for (size_t i = 0; i < row.totals.buckets.size(); ++i) {
      below += row.totals.buckets[i];
      const std::string bound =
          i < std::size(kLatencyBounds) ? FormatDouble(kLatencyBounds[i]) : "+Inf";
      out->Add(below, {l[0], l[1], l[2], {"le", bound}}, "_bucket");
    }
    out->Add(static_cast<double>(row.totals.latency_ns) / 1e9, {l[0], l[1], l[2]}, "_sum");
    out->Add(below, {l[0], l[1], l[2]}, "_count");
  }
  out->Family("slipway_requests_total", "counter", "Requests by how they were answered.");
  for (const StatsRegistry::Row& row : rows) {
    const auto l = labels(row);
    for (size_t i = 0; i < std::size(kOutcomes); ++i)
      out->Add(row.totals.requests[i], {l[0], l[1], l[2], {"outcome", kOutcomes[i]}});
  }
  const std::tuple<std::string_view, std::string_view, int64_t EndpointStats::Totals::*> counts[] =
      {{"slipway_records_total", "Records answered.", &EndpointStats::Totals::records},
       {"slipway_records_ignored_total", "Records answered with `ignored`, for a stated reason.",
        &EndpointStats::Totals::ignored},
       {"slipway_records_failed_total", "Records of a batch answered with an error.",
        &EndpointStats::Totals::failed}};
  for (const auto& [name, help, member] : counts) {
    out->Family(name, "counter", help);
    for (const StatsRegistry::Row& row : rows) {
      const auto l = labels(row);
      out->Add(row.totals.*member, {l[0], l[1], l[2]});
    }
  }
}

void AddRefusals(const RefusalCounts& refusals, MetricsText* out) {
  out->Family("slipway_refused_requests_total", "counter",
              "Requests refused before an endpoint had them, by service (empty: none here).");
  for (const auto& [key, count] : refusals.Rows())
    out->Add(count,
             {{"service", key.first}, {"http_response_status_code", std::to_string(key.second)}});
}

void AddGenerations(const ServiceTable& table, MetricsText* out) {
  out->Family("slipway_service_enabled", "gauge", "1 when the service takes requests.");
  for (const auto& [id, service] : table.services)
    out->Add(int64_t{service.enabled}, {{"service", id}});
  const auto each = [&](std::string_view name, std::string_view help, auto value) {
    out->Family(name, "gauge", help);
    for (const auto& [id, service] : table.services) {
      for (const ServedGeneration& served : service.generations)
        out->Add(value(served), {{"service", id}, {"generation", served.generation->id()}});
    }
  };
  each("slipway_generation_weight", "Share of the requests that the generation gets.",
       [](const ServedGeneration& served) { return served.probability; });
  each("slipway_model_memory_bytes", "Memory of the generation's models.",
       [](const ServedGeneration& served) {
         return static_cast<int64_t>(served.generation->memory_bytes());
       });
  each("slipway_model_mapped_bytes", "Lookup tables that are mapped, not held in memory.",
       [](const ServedGeneration& served) { return served.generation->mapped_bytes(); });
}

void AddAdmission(const AdmissionStats& stats, int workers, MetricsText* out) {
  out->Family("slipway_admission_queued", "gauge", "Requests that wait for a worker.");
  out->Add(stats.queued);
  out->Family("slipway_admission_running", "gauge", "Requests at work on workers.");
  out->Add(stats.running);
  out->Family("slipway_admission_workers", "gauge", "Workers.");
  out->Add(int64_t{workers});
  out->Family("slipway_admission_limit", "gauge",
              "Requests that may be queued and running now; it adapts to the waits.");
  out->Add(stats.limit);
  out->Family("slipway_admission_admitted_total", "counter", "Requests given to workers.");
  out->Add(stats.admitted);
  out->Family("slipway_admission_rejected_total", "counter", "Requests refused, by reason.");
  out->Add(stats.rejected_full, {{"reason", "queue_full"}});
  out->Add(stats.rejected_late, {{"reason", "deadline"}});
  out->Family("slipway_admission_wait_seconds_total", "counter", "Waits in the queue, summed.");
  out->Add(stats.queue_seconds);
}

void AddQueryLog(const QueryLogStats& stats, MetricsText* out) {
  out->Family("slipway_query_log_records_total", "counter", "Lines written to the query log.");
  out->Add(stats.written);
  out->Family("slipway_query_log_dropped_records_total", "counter",
              "Lines that could not be kept: a full ring, or a disk that cannot be written.");
  out->Add(stats.dropped);
  out->Family("slipway_query_log_bytes_total", "counter", "Text written, before compression.");
  out->Add(stats.bytes);
  out->Family("slipway_query_log_disk_bytes", "gauge", "Size of the query log's files.");
  out->Add(stats.disk_bytes);
  out->Family("slipway_query_log_failing", "gauge", "1 while the query log cannot be written.");
  out->Add(int64_t{!stats.last_error.empty()});
}

void AddShadow(const std::vector<ShadowRow>& rows, MetricsText* out) {
  if (rows.empty()) return;
  const auto labels = [](const ShadowRow& row) {
    return std::array<std::pair<std::string_view, std::string_view>, 4>{
        {{"service", row.service},
         {"endpoint", row.endpoint},
         {"generation", row.generation},
         {"shadow", row.shadow}}};
  };
  out->Family("slipway_shadow_records_total", "counter",
              "Records that the shadow answered, by whether it answered the same.");
  for (const ShadowRow& row : rows) {
    const auto l = labels(row);
    out->Add(row.equal, {l[0], l[1], l[2], l[3], {"outcome", "equal"}});
    out->Add(row.different, {l[0], l[1], l[2], l[3], {"outcome", "different"}});
  }
  out->Family("slipway_shadow_requests_unscored_total", "counter",
              "Requests that the shadow failed on, and those dropped while the node was busy.");
  for (const ShadowRow& row : rows) {
    const auto l = labels(row);
    out->Add(row.failed, {l[0], l[1], l[2], l[3], {"outcome", "failed"}});
    out->Add(row.dropped, {l[0], l[1], l[2], l[3], {"outcome", "dropped"}});
  }
  out->Family("slipway_shadow_largest_difference", "gauge",
              "Largest absolute difference of a number between answer and shadow.");
  for (const ShadowRow& row : rows) {
    const auto l = labels(row);
    out->Add(row.largest, {l[0], l[1], l[2], l[3]});
  }
}

void AddHttp(const HttpStats& stats, MetricsText* out) {
  const auto one = [out](std::string_view name, std::string_view type, std::string_view help,
                         int64_t value) {
    out->Family(name, type, help);
    out->Add(value);
  };
  one("http_server_active_requests", "gauge", "Requests that wait for their answer now.",
      stats.pending);
  one("slipway_http_requests_total", "counter", "Requests of every kind.", stats.requests);
  one("slipway_http_connections", "gauge", "Open connections.", stats.open);
  one("slipway_http_connections_accepted_total", "counter", "Connections accepted.",
      stats.accepted);
  one("slipway_http_connections_refused_total", "counter", "Connections over a limit.",
      stats.refused_connections);
  one("slipway_http_accept_errors_total", "counter",
      "Connections that could not be accepted, mostly for want of file descriptors.",
      stats.accept_errors);
  one("slipway_http_bad_requests_total", "counter", "What was no HTTP, or forbidden.",
      stats.bad_requests);
  one("slipway_http_timeouts_total", "counter", "Connections closed because the peer was slow.",
      stats.timeouts);
  one("slipway_http_received_bytes_total", "counter", "Bytes received.", stats.bytes_in);
  one("slipway_http_sent_bytes_total", "counter", "Bytes sent.", stats.bytes_out);
}

void AddProcess(MetricsText* out) {
  const ProcessFigures process = ReadProcessFigures();
  out->Family("process_cpu_seconds_total", "counter", "CPU time, user and system.");
  out->Add(process.cpu_seconds);
  out->Family("process_resident_memory_bytes", "gauge", "Resident memory.");
  out->Add(process.resident_bytes);
  out->Family("process_virtual_memory_bytes", "gauge", "Virtual memory.");
  out->Add(process.virtual_bytes);
  out->Family("process_open_fds", "gauge", "Open file descriptors.");
  out->Add(process.open_fds);
  out->Family("process_max_fds", "gauge", "File descriptors that it may have.");
  out->Add(process.max_fds);
  out->Family("process_start_time_seconds", "gauge", "When it started, since 1970.");
  out->Add(process.start_time_seconds);
}

}  // namespace

void MetricsText::Family(std::string_view name, std::string_view type, std::string_view help) {
  name_ = name;
  text_.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ");
  text_.append(name).append(" ").append(type).append("\n");
}

void MetricsText::Begin(Labels labels, std::string_view suffix) {
  text_.append(name_).append(suffix);
  char separator = '{';
  for (const auto& [name, value] : labels) {
    text_.push_back(separator);
    separator = ',';
    text_.append(name).append("=\"");
    AppendLabelValue(value, &text_);
    text_.push_back('"');
  }
  if (labels.size() > 0) text_.push_back('}');
  text_.push_back(' ');
}

void MetricsText::Add(double value, Labels labels, std::string_view suffix) {
  Begin(labels, suffix);
  if (std::isfinite(value)) {
    AppendDouble(value, &text_);
  } else {
    text_.append(std::isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
  }
  text_.push_back('\n');
}

void MetricsText::Add(int64_t value, Labels labels, std::string_view suffix) {
  Begin(labels, suffix);
  AppendJsonInt(value, &text_);
  text_.push_back('\n');
}

std::string NodeMetrics(const NodeParts& parts, const HttpStats* http) {
  MetricsText out;
  out.Family("slipway_build_info", "gauge", "1; the labels say what runs.");
  out.Add(int64_t{1}, {{"version", SLIPWAY_VERSION}, {"compiler", __VERSION__}});
  out.Family("slipway_ready", "gauge", "1 when every enabled service is served.");
  out.Add(int64_t{!parts.draining.load() && parts.state->Ready(nullptr)});
  out.Family("slipway_draining", "gauge", "1 while the node ends.");
  out.Add(int64_t{parts.draining.load()});
  AddEndpoints(parts.stats->Rows(), &out);
  AddRefusals(parts.refusals, &out);
  AddGenerations(*parts.state->tables().Get(), &out);
  AddAdmission(parts.admission->stats(), parts.admission->workers(), &out);
  AddQueryLog(parts.query_log->stats(), &out);
  if (parts.shadow != nullptr) AddShadow(parts.shadow->Rows(), &out);
  if (http != nullptr) AddHttp(*http, &out);
  AddProcess(&out);
  return out.text();
}

}  // namespace slipway
