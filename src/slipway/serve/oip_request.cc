#include "slipway/serve/oip_request.h"

#include <algorithm>

#include "slipway/base/text.h"
#include "slipway/serve/json_text.h"

namespace slipway {
namespace {

// Far more than a table has columns; bounds what a hostile request makes us keep.
constexpr size_t kMaxTensors = 10'000;
constexpr size_t kMaxDimensions = 8;
constexpr std::string_view kExampleHint =
    R"(for example {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1.5]}]})";

bool IsNumeric(Type type) {
  return type == Type::kDouble || type == Type::kInt64 || type == Type::kBoolean;
}

// Reads the JSON part. Members may stand in any order; what is not known is passed over, as the
// protocol's parameters are open.
class OipParser {
 public:
  OipParser(std::string_view json, TextArena* arena) { scan_.Begin(json, arena); }

  // Fills *request and, per input, the size of its binary data (-1: JSON data).
  Status Parse(OipRequest* request, std::vector<int64_t>* binary_sizes);

 private:
  bool Object(const char* what);
  bool Array(const char* what);
  bool Text(std::string_view* out, const char* what);
  bool Whole(int64_t* out, const char* what);
  bool Flag(bool* out, const char* what);
  bool Id(OipRequest* request);
  bool Input(OipInput* input, int64_t* binary_size);
  bool Shape(OipInput* input);
  bool Output(OipOutputChoice* output);
  bool Inputs(OipRequest* request, std::vector<int64_t>* binary_sizes);
  bool Outputs(OipRequest* request);
  bool Bad(std::string what) {
    if (wrong_.empty()) wrong_ = std::move(what);
    return false;
  }

  RequestScanner scan_;
  std::string wrong_;  // what is valid JSON and yet no request
  bool has_inputs_ = false;
};

bool OipParser::Object(const char* what) {
  if (scan_.Peek() != JsonToken::kObject) return Bad(std::string(what) + " is no object");
  return scan_.Enter();
}

bool OipParser::Array(const char* what) {
  if (scan_.Peek() != JsonToken::kArray) return Bad(std::string(what) + " is no list");
  return scan_.Enter();
}

bool OipParser::Text(std::string_view* out, const char* what) {
  if (scan_.Peek() != JsonToken::kString) return Bad(std::string(what) + " is no text");
  return scan_.String(out);
}

bool OipParser::Whole(int64_t* out, const char* what) {
  ScannedNumber number;
  if (scan_.Peek() != JsonToken::kNumber) return Bad(std::string(what) + " is no whole number");
  if (!scan_.Number(&number)) return false;
  const std::optional<int64_t> value = ParseInt64(number.text);
  if (!value || *value < 0)
    return Bad(std::string(what) + " is " + std::string(number.text.substr(0, 40)) +
               ", which is no whole number from 0 on");
  *out = *value;
  return true;
}

bool OipParser::Flag(bool* out, const char* what) {
  const JsonToken token = scan_.Peek();
  if (token != JsonToken::kTrue && token != JsonToken::kFalse)
    return Bad(std::string(what) + " is neither true nor false");
  *out = token == JsonToken::kTrue;
  return scan_.Word();
}

bool OipParser::Id(OipRequest* request) {
  const JsonToken token = scan_.Peek();
  std::string_view raw;
  if (token != JsonToken::kString && token != JsonToken::kNull) return Bad("'id' is no text");
  if (!scan_.Skip(&raw)) return false;
  if (token == JsonToken::kString) request->id = raw;
  return true;
}

bool OipParser::Shape(OipInput* input) {
  if (!Array("'shape'")) return false;
  input->shape.clear();
  while (scan_.NextItem()) {
    if (input->shape.size() == kMaxDimensions) return Bad("'shape' has more than 8 dimensions");
    int64_t size = 0;
    if (!Whole(&size, "a dimension of 'shape'")) return false;
    input->shape.push_back(size);
  }
  return scan_.ok();
}

bool OipParser::Input(OipInput* input, int64_t* binary_size) {
  if (!Object("an input")) return false;
  std::string_view key, type, raw;
  bool has_shape = false, has_data = false;
  while (scan_.NextKey(&key)) {
    if (key == "name") {
      if (!Text(&input->name, "the 'name' of an input")) return false;
    } else if (key == "datatype") {
      if (!Text(&type, "'datatype'")) return false;
    } else if (key == "shape") {
      has_shape = true;
      if (!Shape(input)) return false;
    } else if (key == "data") {
      has_data = true;
      if (scan_.Peek() != JsonToken::kArray) return Bad("'data' of an input is no list");
      if (!scan_.Skip(&input->data)) return false;
    } else if (key == "parameters" && scan_.Peek() == JsonToken::kObject) {
      scan_.Enter();
      while (scan_.NextKey(&key)) {
        if (key == "binary_data_size") {
          if (!Whole(binary_size, "'binary_data_size'")) return false;
        } else if (!scan_.Skip(&raw)) {
          return false;
        }
      }
    } else if (!scan_.Skip(&raw)) {
      return false;
    }
  }
  if (!scan_.ok()) return false;
  const std::string name = "input '" + Excerpt(input->name) + "'";
  if (input->name.empty()) return Bad("an input has no 'name'");
  const std::optional<OipType> known = OipTypeFromName(type);
  if (type.empty()) return Bad(name + " has no 'datatype'");
  if (!known)
    return Bad(name + " has datatype '" + std::string(type.substr(0, 40)) + "', which is none");
  input->type = *known;
  if (!has_shape) return Bad(name + " has no 'shape'");
  if (has_data == (*binary_size >= 0))
    return Bad(name + (has_data ? " has both 'data' and 'binary_data_size'"
                                : " has neither 'data' nor 'binary_data_size'"));
  input->binary = !has_data;
  if (!has_data) return true;
  if (*known == OipType::kFp16) return Bad(name + ": FP16 comes as binary data only");
  return true;
}

bool OipParser::Output(OipOutputChoice* output) {
  if (!Object("an output")) return false;
  std::string_view key, raw;
  while (scan_.NextKey(&key)) {
    if (key == "name") {
      if (!Text(&output->name, "the 'name' of an output")) return false;
    } else if (key == "parameters" && scan_.Peek() == JsonToken::kObject) {
      scan_.Enter();
      while (scan_.NextKey(&key)) {
        if (key == "binary_data") {
          bool binary = false;
          if (!Flag(&binary, "'binary_data'")) return false;
          output->binary = binary;
        } else if (!scan_.Skip(&raw)) {
          return false;
        }
      }
    } else if (!scan_.Skip(&raw)) {
      return false;
    }
  }
  if (scan_.ok() && output->name.empty()) return Bad("an output has no 'name'");
  return scan_.ok();
}

bool OipParser::Inputs(OipRequest* request, std::vector<int64_t>* binary_sizes) {
  if (has_inputs_) return Bad("'inputs' stands there twice");
  has_inputs_ = true;
  if (!Array("'inputs'")) return false;
  while (scan_.NextItem()) {
    if (request->inputs.size() == kMaxTensors) return Bad("there are more than 10000 inputs");
    binary_sizes->push_back(-1);
    if (!Input(&request->inputs.emplace_back(), &binary_sizes->back())) return false;
  }
  return scan_.ok();
}

bool OipParser::Outputs(OipRequest* request) {
  if (!request->outputs.empty()) return Bad("'outputs' stands there twice");
  if (!Array("'outputs'")) return false;
  while (scan_.NextItem()) {
    if (request->outputs.size() == kMaxTensors) return Bad("there are more than 10000 outputs");
    if (!Output(&request->outputs.emplace_back())) return false;
  }
  return scan_.ok();
}

Status OipParser::Parse(OipRequest* request, std::vector<int64_t>* binary_sizes) {
  const auto read = [&] {
    if (!scan_.ok() || !Object("the request")) return false;
    std::string_view key, raw;
    while (scan_.NextKey(&key)) {
      bool fine = true;
      if (key == "id") {
        fine = Id(request);
      } else if (key == "inputs") {
        fine = Inputs(request, binary_sizes);
      } else if (key == "outputs" && scan_.Peek() != JsonToken::kNull) {
        fine = Outputs(request);
      } else if (key == "parameters" && scan_.Peek() == JsonToken::kObject) {
        scan_.Enter();
        while (fine && scan_.NextKey(&key)) {
          fine = key == "binary_data_output" ? Flag(&request->binary_output, "'binary_data_output'")
                                             : scan_.Skip(&raw);
        }
      } else {
        fine = scan_.Skip(&raw);
      }
      if (!fine) return false;
    }
    return scan_.Finish();
  };
  const bool fine = read();
  if (!wrong_.empty()) return InvalidArgument(std::move(wrong_), std::string(kExampleHint));
  if (!scan_.ok()) {
    Error error = scan_.error();
    error.hint = kExampleHint;
    return error;
  }
  if (!fine) return InvalidArgument("the request could not be read", std::string(kExampleHint));
  if (request->inputs.empty())
    return InvalidArgument("the request has no inputs", std::string(kExampleHint));
  return {};
}

Status CountElements(OipInput* input) {
  input->elements = 1;
  for (const int64_t size : input->shape) {
    if (__builtin_mul_overflow(input->elements, size, &input->elements))
      return InvalidArgument("the shape of input '" + Excerpt(input->name) + "' is too large");
  }
  return {};
}

// The whole body is one tensor.
Result<OipRequest> RawRequest(std::string_view body, const Schema& columns) {
  OipRequest request;
  request.binary_output = true;
  OipInput input;
  input.binary = true;
  input.data = body;
  if (columns.size() == 1) {
    input.name = columns.fields[0].name;
    input.type = OipTypeOf(columns.fields[0].type);
    const size_t size = OipTypeSize(input.type);
    input.elements = size == 0 ? 1 : static_cast<int64_t>(body.size() / size);
    input.shape = {input.elements};
  } else {
    for (const Field& field : columns.fields) {
      if (!IsNumeric(field.type))
        return InvalidArgument("a raw request holds numbers, but column '" + field.name + "' is " +
                                   std::string(TypeName(field.type)),
                               "send one input per column");
    }
    input.name = "input-0";
    input.type = OipType::kFp64;
    const size_t row = static_cast<size_t>(columns.size()) * sizeof(double);
    input.shape = {static_cast<int64_t>(row == 0 ? 0 : body.size() / row), columns.size()};
    RETURN_IF_ERROR(CountElements(&input));
  }
  RETURN_IF_ERROR(CheckOipData(input));
  request.inputs.push_back(std::move(input));
  return request;
}

}  // namespace

Result<OipRequest> ParseOipRequest(std::string_view body, std::string_view json_bytes,
                                   const Schema& columns, TextArena* arena) {
  size_t json_size = body.size();
  if (!json_bytes.empty()) {
    const std::optional<int64_t> size = ParseInt64(Trim(json_bytes));
    if (!size || *size < 0 || static_cast<uint64_t>(*size) > body.size())
      return InvalidArgument("Inference-Header-Content-Length is '" +
                                 std::string(json_bytes.substr(0, 40)) + "', but the body has " +
                                 std::to_string(body.size()) + " bytes",
                             "it is the length of the JSON before the binary tensors");
    json_size = static_cast<size_t>(*size);
    if (json_size == 0) return RawRequest(body, columns);
  }
  OipRequest request;
  std::vector<int64_t> binary_sizes;
  RETURN_IF_ERROR(OipParser(body.substr(0, json_size), arena).Parse(&request, &binary_sizes));
  std::string_view rest = body.substr(json_size);
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    OipInput& input = request.inputs[i];
    RETURN_IF_ERROR(CountElements(&input));
    if (input.binary) {
      const auto size = static_cast<uint64_t>(binary_sizes[i]);
      if (size > rest.size())
        return InvalidArgument("input '" + Excerpt(input.name) + "' has a binary_data_size of " +
                               std::to_string(size) + ", but only " + std::to_string(rest.size()) +
                               " bytes are left in the body");
      input.data = rest.substr(0, size);
      rest.remove_prefix(size);
    }
    RETURN_IF_ERROR(CheckOipData(input));
  }
  if (!rest.empty())
    return InvalidArgument("the body has " + std::to_string(rest.size()) +
                           " bytes that belong to no input");
  return request;
}

Result<OipRows> OipRows::Make(const OipRequest& request, const Schema& columns,
                              const Schema& more) {
  OipRows out;
  const OipInput& first = request.inputs.front();
  const bool named = columns.Find(first.name) >= 0 || more.Find(first.name) >= 0;
  const bool matrix =
      request.inputs.size() == 1 && first.shape.size() == 2 && (!named || first.shape[1] != 1);
  if (matrix) {
    if (first.shape[1] != columns.size())
      return InvalidArgument("input '" + Excerpt(first.name) + "' has " +
                                 std::to_string(first.shape[1]) + " columns, but the model takes " +
                                 std::to_string(columns.size()),
                             "their order is " + QuotedList(columns.Names()));
    if (first.type == OipType::kBytes)
      return InvalidArgument("input '" + Excerpt(first.name) + "' is a matrix of BYTES",
                             "send one input per column, each with its own datatype");
    for (const Field& field : columns.fields) {
      if (!IsNumeric(field.type))
        return InvalidArgument("a matrix holds numbers, but column '" + field.name + "' is " +
                                   std::string(TypeName(field.type)),
                               "send one input per column, each with its own datatype");
      out.sources_.push_back({JsonKey(field.name), 0});
    }
    out.rows_ = first.shape[0];
    out.readers_.emplace_back(first);
    return out;
  }
  std::vector<uint8_t> taken(static_cast<size_t>(columns.size() + more.size()), 0);
  for (const OipInput& input : request.inputs) {
    const std::string name = Excerpt(input.name);  // for messages
    int at = columns.Find(input.name);
    if (at < 0 && more.Find(input.name) >= 0) at = columns.size() + more.Find(input.name);
    if (at < 0) {
      std::vector<std::string> names = columns.Names();
      for (const Field& field : more.fields) names.push_back(field.name);
      std::string hint = DidYouMean(name, names);
      if (hint.empty()) hint = "the model's inputs are " + QuotedList(names);
      return InvalidArgument("the model has no input '" + name + "'", std::move(hint));
    }
    if (std::exchange(taken[static_cast<size_t>(at)], uint8_t{1}) != 0)
      return InvalidArgument("input '" + name + "' stands there twice");
    const bool column = input.shape.size() == 1 || (input.shape.size() == 2 && input.shape[1] == 1);
    if (!column)
      return InvalidArgument("input '" + name + "' is one column, but its shape is something else",
                             "a column has shape [rows] or [rows, 1]");
    if (out.readers_.empty()) out.rows_ = input.elements;
    if (input.elements != out.rows_)
      return InvalidArgument("input '" + name + "' has " + std::to_string(input.elements) +
                             " rows, but '" + Excerpt(first.name) + "' has " +
                             std::to_string(out.rows_));
    out.sources_.push_back({JsonKey(input.name), out.readers_.size()});
    out.readers_.emplace_back(input);
  }
  return out;
}

int64_t OipRows::AppendItems(int64_t most, size_t bytes, std::string* out) {
  int64_t count = 0;
  for (; count < most && next_ < rows_ && out->size() < bytes; ++count, ++next_) {
    *out += count == 0 ? R"({"features":{)" : R"(,{"features":{)";
    bool first = true;
    for (const Source& source : sources_) {
      if (!first) *out += ',';
      first = false;
      *out += source.key;
      readers_[source.reader].AppendNext(out);
    }
    *out += "}}";
  }
  return count;
}

}  // namespace slipway
