#include "slipway/serve/oip_reply.h"

#include <cmath>
#include <cstring>

#include "slipway/base/text.h"
#include "slipway/serve/json_text.h"

namespace slipway {
namespace {

// An output of an answer: labels, one column of numbers, or all probabilities as a matrix.
struct OipOutput {
  std::string_view name;  // as it was asked for
  bool label = false;
  size_t first = 0, count = 1;  // columns of numbers
  bool matrix = false;
  bool binary = false;
};

// The outputs by their own names, the prediction first: simple clients take outputs[0].
std::vector<OipOutput> AllOutputs(const EndpointColumns& columns) {
  std::vector<OipOutput> out;
  if (columns.labels()) out.push_back({"prediction", true});
  size_t at = 0;
  for (const Field& field : columns.outputs.fields) {
    if (columns.labels() && field.name == "prediction") continue;
    out.push_back({field.name, false, at++});
  }
  return out;
}

Result<OipOutput> OutputOf(std::string_view name, const EndpointColumns& columns) {
  const std::vector<OipOutput> all = AllOutputs(columns);
  for (const OipOutput& output : all) {
    if (output.name == name) return output;
  }
  // The names that MLServer's runtimes for LightGBM, XGBoost and scikit-learn answer to.
  if (name == "predict" && (columns.labels() || all.size() == 1)) {
    OipOutput output = all.front();
    output.name = name;
    return output;
  }
  if (name == "predict_proba" && columns.labels())
    return OipOutput{name, false, 0, columns.classes.size(), true};
  std::vector<std::string> names;
  for (const OipOutput& output : all) names.emplace_back(output.name);
  std::string hint = DidYouMean(Excerpt(name), names);
  if (hint.empty()) hint = "its outputs are " + QuotedList(names);
  return InvalidArgument("the model has no output '" + Excerpt(name) + "'", std::move(hint));
}

Result<std::vector<OipOutput>> Outputs(const OipRequest& request, const EndpointColumns& columns) {
  std::vector<OipOutput> out;
  if (request.outputs.empty()) {
    out = AllOutputs(columns);
    for (OipOutput& output : out) output.binary = request.binary_output;
    return out;
  }
  for (const OipOutputChoice& choice : request.outputs) {
    for (const OipOutput& other : out) {
      if (other.name == choice.name)
        return InvalidArgument("output '" + Excerpt(choice.name) + "' is asked for twice");
    }
    ASSIGN_OR_RETURN(OipOutput output, OutputOf(choice.name, columns));
    output.binary = choice.binary.value_or(request.binary_output);
    out.push_back(output);
  }
  return out;
}

OipType TypeOfOutput(const OipOutput& output, const EndpointColumns& columns) {
  return output.label ? OipTypeOf(columns.label_type) : OipType::kFp64;
}

template <typename T>
void AppendBytes(const T& value, std::string* out) {
  out->append(reinterpret_cast<const char*>(&value), sizeof value);
}

void AppendTextBytes(std::string_view text, std::string* out) {
  AppendBytes(static_cast<uint32_t>(text.size()), out);
  out->append(text);
}

// Labels as what they are: class "1" of whole numbers is 1.
class LabelWriter {
 public:
  explicit LabelWriter(const EndpointColumns& columns) : type_(OipTypeOf(columns.label_type)) {
    for (const std::string& name : columns.classes) {
      std::string& json = json_.emplace_back();
      std::string& bytes = bytes_.emplace_back();
      switch (type_) {
        case OipType::kInt64:
          AppendBytes(ParseInt64(name).value_or(0), &bytes);
          json = name;
          break;
        case OipType::kFp64:
          AppendBytes(ParseDouble(name).value_or(0), &bytes);
          json = name;
          break;
        case OipType::kBool:
          bytes.push_back(name == "true" ? '\1' : '\0');
          json = name == "true" ? "true" : "false";
          break;
        default:
          AppendTextBytes(name, &bytes);
          AppendJsonText(name, &json);
      }
    }
  }
  void Json(int32_t label, std::string* out) const {
    *out += label < 0 ? std::string_view("null") : json_[static_cast<size_t>(label)];
  }
  // False: there is no label, and nothing that means so.
  bool Binary(int32_t label, std::string* out) const {
    if (label >= 0) {
      *out += bytes_[static_cast<size_t>(label)];
    } else if (type_ == OipType::kFp64) {
      AppendBytes(std::nan(""), out);
    } else if (type_ == OipType::kBytes) {
      AppendTextBytes("", out);
    } else {
      return false;
    }
    return true;
  }

 private:
  OipType type_;
  std::vector<std::string> json_, bytes_;  // per class
};

Status AppendBinaryData(const OipOutput& output, const TabularAnswers& answers,
                        const LabelWriter& labels, std::string* out) {
  for (int64_t row = 0; row < answers.rows(); ++row) {
    if (!output.label) {
      for (size_t i = 0; i < output.count; ++i)
        AppendBytes(answers.value(row, output.first + i), out);
    } else if (!labels.Binary(answers.label(row), out)) {
      return InvalidArgument("row " + std::to_string(row) + " has no prediction (" +
                                 answers.ignore_reason() + "), which binary data cannot say",
                             "ask for output '" + std::string(output.name) + "' as JSON");
    }
  }
  return {};
}

void AppendJsonData(const OipOutput& output, const TabularAnswers& answers,
                    const LabelWriter& labels, std::string* out) {
  *out += ",\"data\":[";
  for (int64_t row = 0; row < answers.rows(); ++row) {
    for (size_t i = 0; i < output.count; ++i) {
      if (row > 0 || i > 0) out->push_back(',');
      if (output.label) {
        labels.Json(answers.label(row), out);
      } else if (const double value = answers.value(row, output.first + i); std::isfinite(value)) {
        AppendDouble(value, out);
      } else {
        *out += "null";
      }
    }
  }
  out->push_back(']');
}

}  // namespace

Status CheckOipOutputs(const OipRequest& request, const EndpointColumns& columns) {
  const Result<std::vector<OipOutput>> outputs = Outputs(request, columns);
  if (!outputs.ok()) return outputs.error();
  return {};
}

Status WriteOipAnswer(const OipRequest& request, std::string_view model, std::string_view version,
                      const EndpointColumns& columns, const TabularAnswers& answers,
                      HttpReply* reply) {
  ASSIGN_OR_RETURN(const std::vector<OipOutput> outputs, Outputs(request, columns));
  const LabelWriter labels(columns);
  std::string tensors;
  std::string& out = reply->body;
  out = "{\"model_name\":";
  AppendJsonText(model, &out);
  out += ",\"model_version\":";
  AppendJsonText(version, &out);
  if (!request.id.empty()) {
    out += ",\"id\":";
    out += request.id;
  }
  out += ",\"outputs\":[";
  bool binary = false;
  for (const OipOutput& output : outputs) {
    if (out.back() == '}') out.push_back(',');
    out += "{\"name\":";
    AppendJsonText(output.name, &out);
    out += ",\"datatype\":\"";
    out += OipTypeName(TypeOfOutput(output, columns));
    out += "\",\"shape\":[";
    AppendJsonInt(answers.rows(), &out);
    if (output.matrix) {
      out.push_back(',');
      AppendJsonInt(static_cast<int64_t>(output.count), &out);
    }
    out.push_back(']');
    if (output.binary) {
      binary = true;
      const size_t before = tensors.size();
      RETURN_IF_ERROR(AppendBinaryData(output, answers, labels, &tensors));
      out += ",\"parameters\":{\"binary_data_size\":";
      AppendJsonInt(static_cast<int64_t>(tensors.size() - before), &out);
      out.push_back('}');
    } else {
      AppendJsonData(output, answers, labels, &out);
    }
    out.push_back('}');
  }
  out += "]}";
  reply->status = 200;
  reply->content_type = "application/json";
  if (!binary) return {};
  reply->content_type = "application/octet-stream";
  reply->AddHeader("Inference-Header-Content-Length", std::to_string(out.size()));
  out += tensors;
  return {};
}

Json OipInputsJson(const EndpointColumns& columns) {
  Json list = Json::array();
  const auto add = [&](const Field& field, bool optional) {
    list.push_back(
        {{"name", field.name}, {"datatype", OipTypeName(OipTypeOf(field.type))}, {"shape", {-1}}});
    // Models take missing values everywhere; this one is looked up when it is missing.
    if (optional) list.back()["optional"] = true;
  };
  for (const Field& field : columns.inputs.fields) add(field, false);
  for (const Field& field : columns.looked_up.fields) add(field, true);
  return list;
}

Json OipOutputsJson(const EndpointColumns& columns) {
  Json list = Json::array();
  for (const OipOutput& output : AllOutputs(columns))
    list.push_back({{"name", output.name},
                    {"datatype", OipTypeName(TypeOfOutput(output, columns))},
                    {"shape", {-1}}});
  return list;
}

}  // namespace slipway
