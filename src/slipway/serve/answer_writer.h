// The JSON of answers: what a model's scores look like to a client. Numbers have the fewest digits
// that read back to the same bits; NaN and infinities are null; classes are strings.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/bundle/model.h"
#include "slipway/table/batch.h"

namespace slipway {

void AppendAnswerNumber(double value, std::string* out);
// With quotes and escapes; what is not UTF-8 becomes U+FFFD.
void AppendAnswerText(std::string_view text, std::string* out);
// A table's or record's value; null when missing.
void AppendAnswerCell(const ColumnView& column, int row, std::string* out);
// "not_found" -> "NotFoundException".
std::string AnswerErrorType(ErrorCode code);
// `"error":{"errorType":..,"message":..,"detailedMessage":..}` of one record of several.
void AppendRecordError(const Error& error, std::string* out);

// Immutable and thread-safe.
class AnswerWriter {
 public:
  explicit AnswerWriter(const Model& model);
  // `"prediction":..,"probas":{..}` of a row's transformed scores.
  void AppendPrediction(const double* scores, std::string* out) const;

 private:
  const Model* model_;
  bool labels_ = false, binary_ = false;
  size_t outputs_ = 1;
  std::vector<std::string> classes_;  // as JSON strings
};

}  // namespace slipway
