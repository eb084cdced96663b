#include "slipway/flow/score_run.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/text.h"
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
  bool pass_text = false;  // CSV rows are copied through
};

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
  // CSV to CSV with every column kept copies the rows' own text.
  plan.pass_text = all && input.spec.format == Format::kCsv && output_format == Format::kCsv &&
                   input.files.size() == 1 && input.spec.dialect && input.spec.dialect->IsPlain();
  if (!plan.pass_text) {
    for (int at : plan.kept_columns) read[static_cast<size_t>(at)] = 1;
  }
  for (size_t i = 0; i < read.size(); ++i) {
    if (read[i] != 0) plan.columns.push_back(schema.fields[i].name);
  }
  // A feature is read with the version's type. Text formats read the kept ones of another type
  // twice otherwise, so such a column is written with the version's type too.
  for (const Field& field : model.inputs().fields) plan.read_types.fields.push_back(field);
  for (Field& field : plan.output.fields) {
    if (const int at = model.inputs().Find(field.name); at >= 0)
      field.type = model.inputs().fields[static_cast<size_t>(at)].type;
  }
  return plan;
}

BatchTransform MakeTransform(const Model& model, const ScorePlan& plan,
                             std::atomic<int64_t>* predicted) {
  struct State {
    ModelScratch scratch;
    std::vector<ColumnView> inputs, outputs;
  };
  auto state = std::make_shared<State>();
  return
      [&model, &plan, predicted, state](const Batch& batch, const BatchConsumer& emit) -> Status {
        state->inputs.clear();
        for (int at : plan.model_columns)
          state->inputs.push_back(batch.columns[static_cast<size_t>(at)]);
        Batch features = batch;
        features.schema = &model.inputs();
        features.columns = state->inputs;
        features.row_text = {};
        features.row_text_columns = 0;
        const std::span<const ColumnView> answers = model.Score(features, &state->scratch);
        state->outputs.clear();
        for (int at : plan.kept_columns)
          state->outputs.push_back(batch.columns[static_cast<size_t>(at)]);
        state->outputs.insert(state->outputs.end(), answers.begin(), answers.end());
        int64_t present = 0;
        for (int row = 0; row < batch.rows; ++row) present += answers.back().valid(row) ? 1 : 0;
        *predicted += present;
        Batch out = batch;
        out.schema = &plan.output;
        out.columns = state->outputs;
        if (!plan.pass_text) {
          out.row_text = {};
          out.row_text_columns = 0;
        } else if (batch.row_text.empty() && batch.rows > 0) {
          return Internal("the CSV reader gave no row text to copy");
        }
        return emit(out);
      };
}

}  // namespace

Result<ScoreOutcome> ScoreTable(const Model& model, const ScoreTask& task) {
  const double start = SteadySeconds();
  ASSIGN_OR_RETURN(Inspection input, Inspect(task.input));
  std::optional<Format> format = task.output_format;
  if (!format) format = FormatFromPath(task.output);
  if (!format)
    format = task.output == "-" && input.spec.format == Format::kParquet ? Format::kCsv
                                                                         : input.spec.format;
  ASSIGN_OR_RETURN(ScorePlan plan, MakePlan(model, task, input, *format));

  ReadOptions read;
  read.columns = plan.columns;
  read.threads = task.threads;
  read.types = plan.read_types;
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
