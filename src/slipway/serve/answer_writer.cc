#include "slipway/serve/answer_writer.h"

#include <algorithm>
#include <cmath>

#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/table/cell.h"

namespace slipway {

void AppendAnswerNumber(double value, std::string* out) {
  if (std::isfinite(value)) {
    AppendDouble(value, out);
  } else {
    out->append("null");
  }
}

void AppendAnswerText(std::string_view text, std::string* out) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 && byte < 0x80 && c != '"' && c != '\\';
  });
  if (!plain) {
    out->append(DumpJson(Json(text)));
    return;
  }
  out->push_back('"');
  out->append(text);
  out->push_back('"');
}

void AppendAnswerCell(const ColumnView& column, int row, std::string* out) {
  if (!column.valid(row)) {
    out->append("null");
    return;
  }
  switch (column.type) {
    case Type::kDouble:
      AppendAnswerNumber(column.doubles()[row], out);
      return;
    case Type::kBoolean:
    case Type::kInt64:
      AppendCell(column, row, out);
      return;
    case Type::kString:
      AppendAnswerText(column.strings()[row], out);
      return;
    case Type::kDate:
    case Type::kTimestamp:
      out->push_back('"');
      AppendCell(column, row, out);
      out->push_back('"');
      return;
  }
}

std::string AnswerErrorType(ErrorCode code) {
  std::string out;
  bool upper = true;
  for (const char c : ErrorCodeName(code)) {
    if (c == '_') {
      upper = true;
      continue;
    }
    out.push_back(upper ? static_cast<char>(c - 'a' + 'A') : c);
    upper = false;
  }
  return out + "Exception";
}

void AppendRecordError(const Error& error, std::string* out) {
  const std::string detail =
      error.hint.empty() ? error.message : error.message + " (" + error.hint + ")";
  out->append("\"error\":");
  out->append(DumpJson(Json{{"errorType", AnswerErrorType(error.code)},
                            {"message", error.message},
                            {"detailedMessage", detail}}));
}

AnswerWriter::AnswerWriter(const Model& model)
    : model_(&model),
      labels_(model.kind() == PredictionKind::kBinary ||
              model.kind() == PredictionKind::kMulticlass),
      binary_(model.kind() == PredictionKind::kBinary),
      outputs_(static_cast<size_t>(model.engine().outputs())) {
  for (const std::string& name : model.classes()) AppendAnswerText(name, &classes_.emplace_back());
}

void AnswerWriter::AppendPrediction(const double* scores, std::string* out) const {
  out->append("\"prediction\":");
  if (labels_) {
    out->append(classes_[model_->LabelOf(scores)]);
    out->append(",\"probas\":{");
    for (size_t i = 0; i < classes_.size(); ++i) {
      if (i > 0) out->push_back(',');
      out->append(classes_[i]);
      out->push_back(':');
      const double score = !binary_ ? scores[i]
                           : i == 0 ? model_->OtherProbability(scores[0])
                                    : scores[0];
      AppendAnswerNumber(score, out);
    }
    out->push_back('}');
    return;
  }
  if (outputs_ == 1) {
    AppendAnswerNumber(scores[0], out);
    return;
  }
  out->push_back('[');
  for (size_t i = 0; i < outputs_; ++i) {
    if (i > 0) out->push_back(',');
    AppendAnswerNumber(scores[i], out);
  }
  out->push_back(']');
}

}  // namespace slipway
