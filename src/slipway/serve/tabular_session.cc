#include "slipway/serve/tabular_session.h"

#include <chrono>
#include <utility>

#include "slipway/base/clock.h"
#include "slipway/serve/answer_writer.h"

namespace slipway {
namespace {

// A part of the rows that is scored at once: bounds the text that names blow up, and fills a batch.
constexpr int64_t kPartRows = 2048;
constexpr size_t kPartBytes = size_t{4} << 20;
constexpr size_t kKeptColumns = 8;

bool SameOwner(const std::weak_ptr<const Generation>& a,
               const std::shared_ptr<const Generation>& b) {
  return !a.owner_before(b) && !b.owner_before(a);
}

}  // namespace

Result<std::shared_ptr<const EndpointColumns>> TabularThread::ColumnsOf(
    const std::shared_ptr<const Generation>& generation, int endpoint) {
  for (const Kept& each : kept) {
    if (each.endpoint == endpoint && SameOwner(each.generation, generation)) return each.columns;
  }
  ASSIGN_OR_RETURN(EndpointColumns columns, ColumnsOfEndpoint(generation->endpoint(endpoint)));
  if (kept.size() >= kKeptColumns) kept.erase(kept.begin());
  kept.push_back(
      {generation, endpoint, std::make_shared<const EndpointColumns>(std::move(columns))});
  return kept.back().columns;
}

bool LiveTabularSession::ShouldLog() const {
  if (!parts_->config.query_log.enabled || parts_->query_log == nullptr) return false;
  const ServiceSettings& settings = *call_->model.rules.settings;
  const double share = settings.log_sample >= 0 ? settings.log_sample : parts_->config.log_sample;
  return share >= 1 || (share > 0 && thread_->ids.Random() < share);
}

void LiveTabularSession::Log(int status, const Error* error) {
  LoggedQuery query;
  const std::string error_type = error != nullptr ? AnswerErrorType(error->code) : "";
  query.error_type = error_type;
  if (error != nullptr) query.error_message = error->message;
  query.status = status;
  query.time_micros = NowMicros();
  query.request_id = call_->request_id;
  query.service = call_->model.service->id;
  query.endpoint = call_->model.endpoint;
  query.generation = generation();
  query.key_label = call_->key_label;
  query.trace_id = call_->trace_id;
  query.verb = call_->dialect->verb();
  query.latency_us = (TabularNanos() - arrived_ns_) / 1000;
  query.records = thread_->outcome.logged;
  query.redact = call_->model.service->settings.redact;
  parts_->query_log->Submit(slot_, query);
}

Status LiveTabularSession::Score(TabularRows* rows, TabularAnswers* answers) {
  const int64_t of_service = call_->model.rules.settings->max_records;
  const int64_t most = of_service > 0 ? of_service : parts_->config.max_records;
  if (most > 0 && rows->rows() > most) {
    reported_ = 413;
    return InvalidArgument("the request has " + std::to_string(rows->rows()) +
                               " rows, more than the " + std::to_string(most) + " it may have",
                           "send them in several requests, or raise max_records");
  }
  const ServedEndpoint& endpoint =
      call_->model.generation->generation->endpoint(call_->endpoint_index);
  std::unique_ptr<EndpointScratch> own;
  EndpointScratch* const scratch = endpoint.ScratchOf(slot_, &own);
  std::string& items = thread_->items;
  for (;;) {
    items = R"({"explanations":{"enabled":false},"items":[)";
    const int64_t count = rows->AppendItems(kPartRows, kPartBytes, &items);
    if (count == 0) return {};
    RETURN_IF_ERROR(Part(count, scratch, answers));
  }
}

Status LiveTabularSession::Part(int64_t count, EndpointScratch* scratch, TabularAnswers* answers) {
  std::string& items = thread_->items;
  std::string& results = thread_->results;
  CallOutcome& outcome = thread_->outcome;
  items += "]}";
  const size_t size = items.size();
  items.append(kHttpPadding, ' ');
  EndpointCall asked;
  asked.verb = Verb::kPredictMulti;
  asked.input = std::string_view(items).substr(0, size);
  asked.arrived_ns = arrived_ns_;
  outcome.Clear();
  results.assign(1, '{');
  call_->model.generation->generation->endpoint(call_->endpoint_index)
      .Answer(asked, scratch, &results, log_, &outcome);
  if (outcome.error) {
    reported_ = outcome.status;
    return std::move(*outcome.error);
  }
  const ServedService& service = *call_->model.service;
  if (!service.settings.shadow.empty() && parts_->shadow != nullptr)
    parts_->shadow->Offer({&service, call_->model.generation, call_->model.endpoint,
                           Verb::kPredictMulti, asked.input, std::string_view(results).substr(1)},
                          thread_->ids.Random());
  records_ += outcome.records;
  ignored_ += outcome.ignored;
  failed_ += outcome.failed;
  results.push_back('}');
  const size_t answered = results.size();
  results.append(kHttpPadding, ' ');  // less than kAnswerTail: the logged views stay
  const int64_t before = answers->rows();
  RETURN_IF_ERROR(answers->Append(std::string_view(results).substr(0, answered)));
  if (answers->rows() - before != count)
    return Internal("an endpoint answered " + std::to_string(answers->rows() - before) + " of " +
                    std::to_string(count) + " records");
  if (log_) Log(200);
  return {};
}

}  // namespace slipway
