// Bytes as requests of the protocols of columns. The first byte chooses: Open Inference with JSON,
// with binary tensors (the next two bytes are the header's length), raw; MLflow's JSON and CSV; a
// key set and a token. What is read must give as many records as it says, each of them JSON.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "slipway/base/json.h"
#include "slipway/http/server.h"
#include "slipway/serve/jwt_keys.h"
#include "slipway/serve/mlflow_request.h"
#include "slipway/serve/oip_reply.h"
#include "slipway/serve/oip_request.h"
#include "slipway/serve/request_scan.h"
#include "slipway/serve/tabular_answers.h"

namespace {

using namespace slipway;

void Require(bool fine) {
  if (!fine) std::abort();
}

const EndpointColumns& Columns(bool numbers) {
  static const EndpointColumns mixed = [] {
    EndpointColumns columns;
    columns.inputs.fields = {
        {"a", Type::kDouble}, {"b", Type::kInt64}, {"c", Type::kString}, {"d", Type::kBoolean}};
    columns.looked_up.fields = {{"e", Type::kTimestamp}};
    columns.outputs.fields = {
        {"proba_0", Type::kDouble}, {"proba_1", Type::kDouble}, {"prediction", Type::kInt64}};
    columns.classes = {"0", "1"};
    columns.label_type = Type::kInt64;
    return columns;
  }();
  static const EndpointColumns plain = [] {
    EndpointColumns columns;
    columns.inputs.fields = {{"a", Type::kDouble}, {"b", Type::kInt64}};
    columns.outputs.fields = {{"prediction", Type::kDouble}};
    return columns;
  }();
  return numbers ? plain : mixed;
}

// Reads all rows in uneven parts; every part is JSON of as many records.
void ReadRows(TabularRows* rows) {
  const int64_t promised = rows->rows();
  Require(promised >= 0);
  if (promised > 100'000) return;  // rows of no bytes: [n, 0]
  int64_t total = 0;
  for (int64_t most = 1;; most = most * 3 + 1) {
    std::string text = R"({"items":[)";
    const int64_t count = rows->AppendItems(most, size_t{1} << 20, &text);
    Require(count >= 0 && count <= most);
    if (count == 0) break;
    total += count;
    text += "]}";
    const size_t size = text.size();
    text.append(kHttpPadding, '\xFF');
    TextArena arena;
    RequestScanner scanner;
    std::string_view key, raw;
    Require(scanner.Begin(std::string_view(text).substr(0, size), &arena));
    Require(scanner.Enter() && scanner.NextKey(&key) && scanner.Enter());
    int64_t items = 0;
    while (scanner.NextItem()) {
      Require(scanner.Skip(&raw));
      ++items;
    }
    Require(items == count && !scanner.NextKey(&key) && scanner.Finish());
  }
  Require(total == promised);
}

void Infer(std::string_view body, std::string_view length, bool numbers) {
  const EndpointColumns& columns = Columns(numbers);
  TextArena arena;
  const Result<OipRequest> request = ParseOipRequest(body, length, columns.inputs, &arena);
  if (!request.ok()) return;
  Result<OipRows> rows = OipRows::Make(*request, columns.inputs, columns.looked_up);
  if (rows.ok()) ReadRows(&*rows);
  if (!CheckOipOutputs(*request, columns).ok()) return;
  TabularAnswers answers(&columns);
  std::string text = numbers ? R"({"results":[{"prediction":1.5},{"ignored":true}]})"
                             : R"({"results":[{"prediction":"1","probas":{"0":0.25,"1":0.75}}]})";
  const size_t size = text.size();
  text.append(kHttpPadding, ' ');
  Require(answers.Append(std::string_view(text).substr(0, size)).ok());
  HttpReply reply;
  Require(WriteOipAnswer(*request, "m", "v", columns, answers, &reply).ok());
}

void Invoke(std::string_view body, bool csv, bool numbers) {
  const EndpointColumns& columns = Columns(numbers);
  TextArena arena;
  const Result<std::unique_ptr<TabularRows>> rows =
      csv ? ParseMlflowCsv(body, columns) : ParseMlflowJson(body, columns, &arena);
  if (rows.ok()) ReadRows(rows->get());
}

void Answers(std::string_view body, bool numbers) {
  const EndpointColumns& columns = Columns(numbers);
  TabularAnswers answers(&columns);
  (void)answers.Append(body);
  for (int64_t row = 0; row < answers.rows(); ++row)
    Require(answers.label(row) < static_cast<int32_t>(columns.classes.size()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const bool numbers = (data[0] & 1) != 0;
  const unsigned kind = data[0] >> 1;
  // Of exactly its size on the heap, with the padding that the server gives.
  std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t length = text.size();
  text.append(kHttpPadding, '\xFF');
  const std::string_view body = std::string_view(text).substr(0, length);
  switch (kind % 7) {
    case 0:
      Infer(body, "", numbers);
      break;
    case 1:
      if (length >= 2) {
        const auto json = static_cast<size_t>(data[1]) | static_cast<size_t>(data[2]) << 8;
        Infer(body.substr(2), std::to_string(json), numbers);
      }
      break;
    case 2:
      Infer(body, "0", numbers);
      break;
    case 3:
      Invoke(body, false, numbers);
      break;
    case 4:
      Invoke(body, true, numbers);
      break;
    case 5:
      Answers(body, numbers);
      break;
    default:
      (void)ParseJwks(body);
      break;
  }
  return 0;
}
