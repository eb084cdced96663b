#include "slipway/flow/score_run.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include <fcntl.h>
#include <unistd.h>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/csv/reader.h"
#include "slipway/table/cell.h"

namespace slipway {
namespace {

// What is read, what is handed to the model and what is written.
struct ScorePlan {
  Schema read_types;                 // the columns whose type differs from the pinned one
  std::vector<std::string> columns;  // to decode
  std::vector<int> model_columns;    // source index of each model input
  std::vector<int> kept_columns;     // source index of each kept column
  Schema output;
  bool pass_text = false;  // CSV cells are copied through as they stand
  bool all_cells = false;  // every cell of the row, in its order
  CsvDialect dialect;
};

// Whether every value of one type is a value of the other.
bool AlwaysConverts(Type from, Type to) {
  if (to == Type::kString) return true;
  return (from == Type::kBoolean && (to == Type::kInt64 || to == Type::kDouble)) ||
         (from == Type::kInt64 && to == Type::kDouble) ||
         (from == Type::kDate && to == Type::kTimestamp);
}

// How a column is read that the model takes with another type than the file's. When it is also
// kept, its output should have the file's type still.
Type ReadType(Format format, Type file, Type model, bool kept, Type* output) {
  *output = model;
  if (!kept || file == model) return model;
  if (format == Format::kParquet && AlwaysConverts(file, model)) return *output = file;
  if (format != Format::kParquet && model == Type::kString) *output = file;
  return model;
}

Status CheckInputs(const Model& model, const Schema& schema) {
  std::vector<std::string> missing, wrong;
  for (const Field& field : model.inputs().fields) {
    const int at = schema.Find(field.name);
    if (at < 0) {
      missing.push_back(field.name);
    } else if (const Type type = schema.fields[static_cast<size_t>(at)].type;
               !CanConvert(type, field.type)) {
      wrong.push_back("column '" + field.name + "' is a " + std::string(TypeName(type)) +
                      " where the model was trained on a " + std::string(TypeName(field.type)));
    }
  }
  if (!missing.empty()) {
    const std::vector<std::string> names = schema.Names();
    std::string hint = "the input's columns are " + QuotedList(names, 20);
    if (auto near = Nearest(missing[0], names))
      hint = "did you mean '" + *near + "' for '" + missing[0] + "'? " + hint;
    return InvalidArgument(std::string("the input lacks ") +
                               (missing.size() == 1 ? "the column " : "the columns ") +
                               QuotedList(missing, 1000) + " that the model needs",
                           hint);
  }
  if (!wrong.empty())
    return InvalidArgument(Join(wrong, "; "),
                           "convert the column before scoring, in a sql recipe for example");
  return {};
}

Result<ScorePlan> MakePlan(const Model& model, const ScoreTask& task, const Inspection& input,
                           Format output_format) {
  ScorePlan plan;
  const Schema& schema = input.spec.schema;
  RETURN_IF_ERROR(CheckInputs(model, schema));
  std::vector<char> read(schema.fields.size(), 0);
  for (const Field& field : model.inputs().fields) {
    const int at = schema.Find(field.name);
    plan.model_columns.push_back(at);
    read[static_cast<size_t>(at)] = 1;
  }
  const bool all = task.keep.empty() && !task.keep_none;
  std::vector<std::string> keep = all ? schema.Names() : task.keep;
  for (const std::string& name : keep) {
    const int at = schema.Find(name);
    if (at < 0) return NoSuchColumn(name, schema, "the input");
    plan.kept_columns.push_back(at);
    plan.output.fields.push_back(schema.fields[static_cast<size_t>(at)]);
  }
  for (const Field& field : model.outputs().fields) {
    if (plan.output.Find(field.name) >= 0) {
      return InvalidArgument(
          "the input has a column '" + field.name + "', which is also the name of an output column",
          "leave it out with --keep (keep: in a recipe), or rename it in the input");
    }
    plan.output.fields.push_back(field);
  }
  // CSV to CSV copies the cells' own text.
  const Format format = *input.spec.format;
  plan.pass_text = format == Format::kCsv && output_format == Format::kCsv &&
                   input.files.size() == 1 && input.spec.dialect && input.spec.dialect->IsPlain();
  plan.all_cells = all;
  if (plan.pass_text) {
    plan.dialect = *input.spec.dialect;
  } else {
    for (int at : plan.kept_columns) read[static_cast<size_t>(at)] = 1;
  }
  for (size_t i = 0; i < read.size(); ++i) {
    if (read[i] != 0) plan.columns.push_back(schema.fields[i].name);
  }
  for (const Field& field : model.inputs().fields) {
    const int kept = plan.output.Find(field.name);
    const Type file = schema.fields[static_cast<size_t>(schema.Find(field.name))].type;
    Type output = field.type;
    const Type type = ReadType(format, file, field.type, kept >= 0 && !plan.pass_text, &output);
    plan.read_types.fields.push_back({field.name, type});
    if (kept >= 0) plan.output.fields[static_cast<size_t>(kept)].type = output;
  }
  return plan;
}

// Scores batches. Confined to one thread.
class BatchScorer {
 public:
  BatchScorer(const Model* model, const ScorePlan* plan, std::atomic<int64_t>* predicted)
      : model_(model), plan_(plan), predicted_(predicted) {}
  Status operator()(const Batch& batch, const BatchConsumer& emit);

 private:
  Result<ColumnView> As(const Field& field, const Batch& batch, int at);
  Status PassText(const Batch& batch, Batch* out);

  const Model* model_;
  const ScorePlan* plan_;
  std::atomic<int64_t>* predicted_;
  ModelScratch scratch_;
  std::vector<ColumnView> inputs_, outputs_;
  std::vector<std::unique_ptr<Column>> converted_;
  size_t used_ = 0;
  std::string text_;
  std::vector<size_t> ends_;
  std::vector<std::string_view> rows_;
};

// The batch's column with the field's type. A column that nobody reads (its text is copied) stays.
Result<ColumnView> BatchScorer::As(const Field& field, const Batch& batch, int at) {
  const ColumnView& column = batch.columns[static_cast<size_t>(at)];
  if (column.type == field.type || column.data == nullptr) return column;
  if (used_ == converted_.size()) converted_.push_back(std::make_unique<Column>());
  Column& out = *converted_[used_++];
  int bad = 0;
  if (!ConvertColumn(column, batch.rows, field.type, &out, &bad)) {
    std::string text;
    AppendCell(column, bad, &text);
    return InvalidArgument("column '" + field.name + "': '" + text + "' is not of type " +
                               std::string(TypeName(field.type)),
                           "state the column's type, or leave it out with --keep");
  }
  return out.View();
}

// The kept cells as they stand in the file.
Status BatchScorer::PassText(const Batch& batch, Batch* out) {
  if (batch.row_text.empty() && batch.rows > 0)
    return Internal("the CSV reader gave no row text to copy");
  if (plan_->all_cells) return {};
  text_.clear();
  ends_.clear();
  rows_.clear();
  for (int row = 0; row < batch.rows; ++row) {
    AppendRecordCells(batch.row_text[static_cast<size_t>(row)], plan_->dialect, plan_->kept_columns,
                      &text_);
    ends_.push_back(text_.size());
  }
  size_t begin = 0;
  for (const size_t end : ends_) {
    rows_.push_back(std::string_view(text_).substr(begin, end - begin));
    begin = end;
  }
  out->row_text = rows_;
  out->row_text_columns = static_cast<int>(plan_->kept_columns.size());
  return {};
}

Status BatchScorer::operator()(const Batch& batch, const BatchConsumer& emit) {
  used_ = 0;
  inputs_.clear();
  for (size_t i = 0; i < plan_->model_columns.size(); ++i) {
    ASSIGN_OR_RETURN(const ColumnView column,
                     As(model_->inputs().fields[i], batch, plan_->model_columns[i]));
    inputs_.push_back(column);
  }
  Batch features = batch;
  features.schema = &model_->inputs();
  features.columns = inputs_;
  features.row_text = {};
  features.row_text_columns = 0;
  const std::span<const ColumnView> answers = model_->Score(features, &scratch_);
  Batch out = batch;
  outputs_.clear();
  for (size_t i = 0; i < plan_->kept_columns.size(); ++i) {
    const int at = plan_->kept_columns[i];
    if (plan_->pass_text) {
      outputs_.push_back(batch.columns[static_cast<size_t>(at)]);
      continue;
    }
    ASSIGN_OR_RETURN(const ColumnView column, As(plan_->output.fields[i], batch, at));
    outputs_.push_back(column);
  }
  outputs_.insert(outputs_.end(), answers.begin(), answers.end());
  int64_t present = 0;
  for (int row = 0; row < batch.rows; ++row) present += answers.back().valid(row) ? 1 : 0;
  *predicted_ += present;
  out.schema = &plan_->output;
  out.columns = outputs_;
  if (plan_->pass_text) {
    RETURN_IF_ERROR(PassText(batch, &out));
  } else {
    out.row_text = {};
    out.row_text_columns = 0;
  }
  return emit(out);
}

BatchTransform MakeTransform(const Model& model, const ScorePlan& plan,
                             std::atomic<int64_t>* predicted) {
  auto scorer = std::make_shared<BatchScorer>(&model, &plan, predicted);
  return [scorer](const Batch& batch, const BatchConsumer& emit) { return (*scorer)(batch, emit); };
}

}  // namespace

Result<ScoreOutcome> ScoreTable(const Model& model, const ScoreTask& task) {
  const double start = SteadySeconds();
  ASSIGN_OR_RETURN(const Inspection input,
                   task.inspection.valid() ? task.inspection.get() : Inspect(task.input));
  std::optional<Format> format = task.output_format;
  if (!format) format = FormatFromPath(task.output);
  if (!format)
    format = task.output == "-" && input.spec.format == Format::kParquet ? Format::kCsv
                                                                         : input.spec.format;
  for (const std::string& file : input.files) {
    std::error_code ignored;
    if (std::filesystem::equivalent(file, task.output, ignored)) {
      return InvalidArgument("'" + task.output + "' is both an input and the output",
                             "write to another file: an input is never overwritten");
    }
  }
  ASSIGN_OR_RETURN(ScorePlan plan, MakePlan(model, task, input, *format));

  ReadOptions read;
  read.columns = plan.columns;
  read.threads = task.threads;
  read.types = plan.read_types;
  read.engine = input.engine;
  ASSIGN_OR_RETURN(std::unique_ptr<ChunkSource> source, OpenSource(input.spec, read));
  WriteOptions write;
  write.threads = task.threads;
  if (plan.pass_text) {
    write.row_text_dialect = *input.spec.dialect;
    write.dialect = *input.spec.dialect;
    write.dialect.header = true;
    write.dialect.skip_lines = 0;
  }
  ASSIGN_OR_RETURN(std::unique_ptr<TableWriter> writer,
                   CreateWriter(task.output, *format, plan.output, write));

  std::atomic<int64_t> predicted{0};
  QuarantineFile quarantine(task.quarantine_path.empty()
                                ? (task.output == "-" ? "quarantine" : task.output) +
                                      ".quarantine.csv"
                                : task.quarantine_path);
  StreamOptions stream;
  stream.threads = task.threads;
  stream.on_bad_rows = task.input.on_bad_rows;
  stream.quarantine = [&](const BadRow& row) { return quarantine.Add(row); };
  stream.progress = task.progress;
  stream.cancel = task.cancel;
  ASSIGN_OR_RETURN(
      StreamCounts counts,
      RunOrdered(
          *source, [&] { return MakeTransform(model, plan, &predicted); }, writer.get(), stream));
  RETURN_IF_ERROR(quarantine.Finish());
  ScoreOutcome outcome;
  outcome.rows = counts.rows;
  outcome.predicted = predicted;
  outcome.bad_rows = counts.bad_rows;
  outcome.seconds = SteadySeconds() - start;
  if (quarantine.rows() > 0) outcome.quarantine_path = quarantine.path();
  outcome.schema = plan.output;
  outcome.warnings = input.warnings;
  return outcome;
}

Status QuarantineFile::Add(const BadRow& row) {
  const auto quoted = [](std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
      out += c;
      if (c == '"') out += '"';
    }
    return out + "\"";
  };
  if (rows_++ == 0) text_ = "file,line,column,reason,row\n";
  text_ += quoted(row.file) + "," + std::to_string(row.line) + "," + quoted(row.column) + "," +
           quoted(row.reason) + "," + quoted(row.text) + "\n";
  // Memory stays bounded: a file of nothing but bad rows is another file than the one meant.
  if (text_.size() > (256u << 20)) {
    return InvalidArgument(
        "more than 256 MB of rows could not be read; last: " + BadRowMessage(row),
        "check the file's delimiter, quoting and stated schema");
  }
  return {};
}

Status QuarantineFile::Finish() {
  if (rows_ == 0) return {};
  return WriteFileAtomic(path_, text_);
}

}  // namespace slipway
