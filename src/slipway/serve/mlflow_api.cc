#include "slipway/serve/mlflow_api.h"

#include <cmath>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/serve/json_text.h"
#include "slipway/serve/mlflow_request.h"

namespace slipway {
namespace {

std::string_view MlflowCode(int status) {
  switch (status) {
    case 401:
      return "UNAUTHENTICATED";
    case 403:
      return "PERMISSION_DENIED";
    case 404:
      return "RESOURCE_DOES_NOT_EXIST";
    case 405:
      return "ENDPOINT_NOT_FOUND";
    case 409:
      return "RESOURCE_CONFLICT";
    case 429:
      return "REQUEST_LIMIT_EXCEEDED";
    case 501:
      return "NOT_IMPLEMENTED";
    case 503:
      return "TEMPORARILY_UNAVAILABLE";
    case 504:
      return "DEADLINE_EXCEEDED";
    default:
      return status < 500 ? "BAD_REQUEST" : "INTERNAL_ERROR";
  }
}

void WriteMlflowError(int status, const Error& error, HttpReply* reply) {
  reply->status = status;
  if (status == 415) {
    reply->content_type = "text/plain";
    reply->body = error.message;
    return;
  }
  reply->content_type = "application/json";
  reply->body = DumpJson(
      {{"error_code", MlflowCode(status)},
       {"message", error.hint.empty() ? error.message : error.message + " (" + error.hint + ")"}});
}

enum class BodyKind { kJson, kCsv, kOther };

// "text/csv; charset=UTF-8". No type at all is JSON.
BodyKind KindOf(std::string_view content_type, std::string* wrong) {
  const std::vector<std::string> parts = Split(content_type, ';');
  for (size_t i = 1; i < parts.size(); ++i) {
    const std::string parameter = ToLower(Trim(parts[i]));
    if (parameter == "charset=utf-8" || parameter == "charset=\"utf-8\"" || parameter.empty())
      continue;
    *wrong = "Unrecognized content type parameter: '" + parts[i] +
             "'. The only parameter is charset=utf-8.";
    return BodyKind::kOther;
  }
  const std::string type = parts.empty() ? "" : ToLower(Trim(parts[0]));
  if (type.empty() || type == "application/json") return BodyKind::kJson;
  if (type == "text/csv") return BodyKind::kCsv;
  *wrong =
      "This predictor only supports the following content types: text/csv, application/json. Got "
      "'" +
      type.substr(0, 100) + "'.";
  return BodyKind::kOther;
}

// Labels as what they are, numbers otherwise; of several outputs a record per row.
void WritePredictions(const EndpointColumns& columns, const TabularAnswers& answers,
                      std::string* out) {
  std::vector<std::string> labels;
  for (const std::string& name : columns.classes) {
    std::string& text = labels.emplace_back();
    if (columns.label_type == Type::kString || columns.label_type == Type::kDate ||
        columns.label_type == Type::kTimestamp) {
      AppendJsonText(name, &text);
    } else {
      text = name;
    }
  }
  std::vector<std::string> keys;
  if (labels.empty() && answers.width() > 1) {
    for (const Field& field : columns.outputs.fields) keys.push_back(JsonKey(field.name));
  }
  const auto number = [&](double value) {
    if (std::isfinite(value)) {
      AppendDouble(value, out);
    } else {
      *out += "null";
    }
  };
  *out = "{\"predictions\":[";
  for (int64_t row = 0; row < answers.rows(); ++row) {
    if (row > 0) *out += ',';
    if (!labels.empty()) {
      const int32_t label = answers.label(row);
      *out += label < 0 ? std::string_view("null") : labels[static_cast<size_t>(label)];
    } else if (keys.empty()) {
      number(answers.value(row, 0));
    } else {
      for (size_t i = 0; i < keys.size(); ++i) {
        *out += i == 0 ? '{' : ',';
        *out += keys[i];
        number(answers.value(row, i));
      }
      *out += '}';
    }
  }
  *out += "]}";
}

class MlflowDialect : public TabularDialect {
 public:
  std::string_view verb() const override { return "invocations"; }
  void WriteError(int status, const Error& error, HttpReply* reply) const override {
    WriteMlflowError(status, error, reply);
  }
  Status Answer(const HttpRequest& request, std::string_view body, TabularSession* session,
                HttpReply* reply) const override;
};

Status MlflowDialect::Answer(const HttpRequest& request, std::string_view body,
                             TabularSession* session, HttpReply* reply) const {
  std::string wrong;
  const BodyKind kind = KindOf(request.Header("content-type"), &wrong);
  if (kind == BodyKind::kOther) {
    session->SetStatus(415);
    return InvalidArgument(std::move(wrong));
  }
  const EndpointColumns& columns = session->columns();
  TextArena arena;
  ASSIGN_OR_RETURN(const std::unique_ptr<TabularRows> rows,
                   kind == BodyKind::kCsv ? ParseMlflowCsv(body, columns)
                                          : ParseMlflowJson(body, columns, &arena));
  TabularAnswers answers(&columns);
  RETURN_IF_ERROR(session->Score(rows.get(), &answers));
  reply->content_type = "application/json";
  WritePredictions(columns, answers, &reply->body);
  return {};
}

// The value of a query parameter; names of services need no escapes.
std::string QueryValue(std::string_view query, std::string_view name) {
  for (const std::string& pair : Split(query, '&')) {
    const size_t equals = pair.find('=');
    if (equals != std::string::npos && std::string_view(pair).substr(0, equals) == name)
      return pair.substr(equals + 1);
  }
  return "";
}

}  // namespace

struct MlflowApi::State {
  State(NodeParts* node_parts, TabularCalls* shared) : parts(node_parts), calls(shared) {}

  HttpOutcome Invoke(std::string_view path, const HttpRequest& request, HttpReply* reply,
                     HttpExchange* exchange);
  Result<TabularTarget> Target(std::string_view path, const HttpRequest& request, int loop) const;

  NodeParts* parts;
  TabularCalls* calls;
  MlflowDialect dialect;
};

Result<TabularTarget> MlflowApi::State::Target(std::string_view path, const HttpRequest& request,
                                               int loop) const {
  TabularTarget target;
  const std::vector<std::string> names = Split(path.substr(1), '/');
  if (names.size() > 3)
    return NotFound("there is nothing at '" + std::string(path.substr(0, 200)) + "'",
                    "POST /invocations, /invocations/SERVICE or /invocations/SERVICE/ENDPOINT");
  target.service = names.size() > 1 ? names[1] : QueryValue(request.query, "service");
  target.endpoint = names.size() > 2 ? names[2] : QueryValue(request.query, "endpoint");
  if (target.service.empty()) {
    // The only one that is served.
    const std::shared_ptr<const ServiceTable> table = calls->table(loop);
    for (const auto& [id, service] : table->services) {
      if (!service.enabled) continue;
      if (!target.service.empty())
        return InvalidArgument("this node serves several services, and the request names none",
                               "POST /invocations/SERVICE or /invocations/SERVICE/ENDPOINT");
      target.service = id;
    }
    if (target.service.empty()) return NotFound("this node serves nothing");
  }
  target.name = target.endpoint.empty() ? target.service : target.service + "." + target.endpoint;
  return target;
}

HttpOutcome MlflowApi::State::Invoke(std::string_view path, const HttpRequest& request,
                                     HttpReply* reply, HttpExchange* exchange) {
  if (request.method != "POST") {
    reply->AddHeader("Allow", "POST");
    WriteMlflowError(405, InvalidArgument("the method is not POST", "use POST"), reply);
    return HttpOutcome::kReplied;
  }
  const Result<TabularTarget> target = Target(path, request, exchange->loop());
  if (!target.ok()) {
    WriteMlflowError(ErrorStatus(target.error().code), target.error(), reply);
    return HttpOutcome::kReplied;
  }
  return calls->Run(*target, dialect, request, reply, exchange);
}

MlflowApi::MlflowApi(NodeParts* parts, TabularCalls* calls)
    : state_(std::make_unique<State>(parts, calls)) {}
MlflowApi::~MlflowApi() = default;

HttpOutcome MlflowApi::Handle(std::string_view path, const HttpRequest& request, HttpReply* reply,
                              HttpExchange* exchange) {
  if (path.starts_with("/invocations")) return state_->Invoke(path, request, reply, exchange);
  if (request.method != "GET" && request.method != "HEAD") {
    reply->AddHeader("Allow", "GET");
    WriteMlflowError(405, InvalidArgument("the method is not GET", "use GET"), reply);
    return HttpOutcome::kReplied;
  }
  if (path == "/version") {
    reply->content_type = "text/plain";
    reply->body = SLIPWAY_VERSION;
    return HttpOutcome::kReplied;
  }
  std::string reason;
  const bool ready = !state_->parts->draining.load(std::memory_order_relaxed) &&
                     state_->parts->state->Ready(&reason);
  reply->status = ready ? 200 : 404;
  reply->content_type = "application/json";
  reply->body = "\n";
  return HttpOutcome::kReplied;
}

}  // namespace slipway
