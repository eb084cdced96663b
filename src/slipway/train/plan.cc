// What the passes share: the plan, the sorter of rows, the split by time, and running a pass on
// several threads.
#include <algorithm>

#include "slipway/base/text.h"
#include "slipway/dataset/dataset.h"
#include "slipway/train/passes.h"

namespace slipway {
namespace {

StreamOptions OptionsOf(const TrainPlan& plan, std::string_view stage, int threads) {
  StreamOptions options;
  options.threads = threads;
  options.on_bad_rows =
      plan.task->input.on_bad_rows == OnBadRows::kFail ? OnBadRows::kFail : OnBadRows::kSkip;
  options.cancel = plan.task->cancel;
  if (plan.task->progress) {
    options.progress = [plan_task = plan.task, stage](double part, int64_t rows) {
      plan_task->progress(stage, part, FormatCount(rows) + " rows");
    };
  }
  return options;
}

Result<std::unique_ptr<ChunkSource>> OpenInput(const TrainPlan& plan,
                                               std::vector<std::string> columns) {
  ReadOptions options;
  options.threads = plan.task->threads;
  options.columns = std::move(columns);
  return OpenSource(plan.task->input, options);
}

// A column that the spec names: its place among the prepared columns.
Result<int> FindRole(const TrainPlan& plan, const std::string& name, const std::string& role) {
  const int found = plan.preparer.output().Find(name);
  if (found >= 0) return found;
  if (plan.raw.Find(name) >= 0) {
    return InvalidArgument(role + " '" + name + "' is dropped or renamed by the prepare steps",
                           "name the column as it is after `prepare`, or keep it");
  }
  Error error = NoSuchColumn(name, plan.preparer.output(), "the input");
  return InvalidArgument(role + ": " + error.message, error.hint);
}

// Encodes with the pass's work; the sink takes the outcome. RunOrdered keeps the order.
class WorkEncoder : public ChunkEncoder {
 public:
  explicit WorkEncoder(std::function<Status(const Batch&, EncodedChunk*)> work)
      : work_(std::move(work)) {}
  Status Encode(const Batch& batch, EncodedChunk* out) override {
    out->rows += batch.rows;
    return work_(batch, out);
  }

 private:
  std::function<Status(const Batch&, EncodedChunk*)> work_;
};

class TakeWriter : public TableWriter {
 public:
  explicit TakeWriter(const ParallelPass* pass) : pass_(pass) {}
  std::unique_ptr<ChunkEncoder> NewEncoder() override {
    return std::make_unique<WorkEncoder>(pass_->make_work());
  }
  Status Append(EncodedChunk chunk) override { return pass_->take(chunk); }
  Status Finish() override { return {}; }

 private:
  const ParallelPass* pass_;
};

}  // namespace

Result<TrainPlan> MakeTrainPlan(const TrainTask& task) {
  TrainPlan plan;
  plan.task = &task;
  plan.raw = task.input.schema;
  ASSIGN_OR_RETURN(plan.preparer, Preparer::Compile(task.spec.prepare, plan.raw));
  const TrainSpec& spec = task.spec;
  ASSIGN_OR_RETURN(plan.target, FindRole(plan, spec.target, "the target"));
  const Schema& prepared = plan.preparer.output();
  RETURN_IF_ERROR(
      CheckTargetType(spec.prediction, prepared.fields[static_cast<size_t>(plan.target)]));
  if (!spec.weight.empty()) {
    ASSIGN_OR_RETURN(plan.weight, FindRole(plan, spec.weight, "the weight"));
    const Type type = prepared.fields[static_cast<size_t>(plan.weight)].type;
    if (type != Type::kInt64 && type != Type::kDouble) {
      return InvalidArgument("the weight '" + spec.weight + "' is a " +
                                 std::string(TypeName(type)) + ", but must be a number",
                             "add a `cast` to `prepare`, or name another column");
    }
  }
  if (!spec.time_column.empty()) {
    plan.time_prepared = prepared.Find(spec.time_column);
    if (plan.time_prepared < 0) plan.time_raw = plan.raw.Find(spec.time_column);
    if (plan.time_prepared < 0 && plan.time_raw < 0) {
      ASSIGN_OR_RETURN(plan.time_prepared,
                       FindRole(plan, spec.time_column, "validation.time_column"));
    }
    const Type type = plan.time_prepared >= 0
                          ? prepared.fields[static_cast<size_t>(plan.time_prepared)].type
                          : plan.raw.fields[static_cast<size_t>(plan.time_raw)].type;
    if (type == Type::kString || type == Type::kBoolean) {
      return InvalidArgument("validation.time_column '" + spec.time_column + "' is a " +
                                 std::string(TypeName(type)) +
                                 ", which does not order rows in time",
                             "use a timestamp, a date or a number");
    }
  }
  return plan;
}

void RowSorter::Run(const Batch& raw) {
  prepared_ = plan_->preparer.Run(raw, &scratch_);
  HashRows(raw, rule_->seed(), &hash_);
  const Batch& rows = prepared_.batch;
  use_.assign(static_cast<size_t>(rows.rows), RowUse::kTrain);
  if (rule_->uses_time()) {
    time_.resize(use_.size());
    ColumnAsDoubles(plan_->time_prepared >= 0
                        ? rows.columns[static_cast<size_t>(plan_->time_prepared)]
                        : raw.columns[static_cast<size_t>(plan_->time_raw)],
                    rows.rows, time_.data());
  }
  const ColumnView& target = rows.columns[static_cast<size_t>(plan_->target)];
  for (int r = 0; r < rows.rows; ++r) {
    const auto at = static_cast<size_t>(r);
    if (prepared_.keep != nullptr && prepared_.keep[r] == 0) {
      use_[at] = RowUse::kFiltered;
    } else if (TargetMissing(target, r)) {
      use_[at] = RowUse::kNoTarget;
    } else {
      const Side side = rule_->uses_time() ? rule_->OfTime(time_[at]) : rule_->OfHash(hash_[at]);
      if (side == Side::kHoldout) use_[at] = RowUse::kHoldout;
    }
  }
}

Result<SplitRule> MakeSplitRule(const TrainPlan& plan) {
  const TrainSpec& spec = plan.task->spec;
  if (spec.time_column.empty()) return SplitRule::Share(spec.holdout, spec.seed);
  std::vector<std::string> columns;
  if (plan.time_raw >= 0) columns.push_back(spec.time_column);
  std::vector<std::string> outputs;
  if (plan.time_prepared >= 0) outputs.push_back(spec.time_column);
  for (int input : plan.preparer.InputsFor(outputs)) {
    const std::string& name = plan.raw.fields[static_cast<size_t>(input)].name;
    if (std::find(columns.begin(), columns.end(), name) == columns.end()) columns.push_back(name);
  }
  ASSIGN_OR_RETURN(auto source, OpenInput(plan, columns));
  PrepareScratch scratch;
  TimeThreshold threshold;
  std::vector<double> time;
  const auto see = [&](const Batch& batch) -> Status {
    const PreparedRows rows = plan.preparer.Run(batch, &scratch);
    time.resize(static_cast<size_t>(batch.rows));
    ColumnAsDoubles(plan.time_prepared >= 0
                        ? rows.batch.columns[static_cast<size_t>(plan.time_prepared)]
                        : batch.columns[static_cast<size_t>(plan.time_raw)],
                    batch.rows, time.data());
    for (int r = 0; r < batch.rows; ++r) {
      if (rows.keep == nullptr || rows.keep[r] != 0) threshold.Add(time[static_cast<size_t>(r)]);
    }
    return {};
  };
  RETURN_IF_ERROR(ForEachBatch(*source, see, OptionsOf(plan, "split", 1)));
  if (threshold.count() == 0) {
    return InvalidArgument(
        "validation.time_column '" + spec.time_column + "' is missing in every row",
        "name another column, or leave it out for a random hold-out");
  }
  return SplitRule::Time(threshold.Get(spec.holdout));
}

Result<StreamCounts> RunPass(const TrainPlan& plan, const ParallelPass& pass) {
  ASSIGN_OR_RETURN(auto source, OpenInput(plan, {}));
  TakeWriter writer(&pass);
  const auto pass_through = []() -> BatchTransform {
    return [](const Batch& batch, const BatchConsumer& emit) { return emit(batch); };
  };
  StreamOptions options = OptionsOf(plan, pass.stage, plan.task->threads);
  if (pass.stage == "read" && plan.task->quarantine &&
      plan.task->input.on_bad_rows == OnBadRows::kQuarantine) {
    options.on_bad_rows = OnBadRows::kQuarantine;
    options.quarantine = plan.task->quarantine;
  }
  return RunOrdered(*source, pass_through, &writer, options);
}

Status ForEachRow(const TrainPlan& plan, std::string_view stage, const BatchConsumer& consume) {
  ASSIGN_OR_RETURN(auto source, OpenInput(plan, {}));
  RETURN_IF_ERROR(ForEachBatch(*source, consume, OptionsOf(plan, stage, 1)));
  return {};
}

void AppendRow(const Batch& in, int row, const std::vector<int>& from, OwnedBatch* out) {
  const int at = out->rows++;
  for (size_t i = 0; i < from.size(); ++i) {
    const ColumnView& column = in.columns[static_cast<size_t>(from[i])];
    Column& to = out->column(static_cast<int>(i));
    if (column.data == nullptr || !column.valid(row)) {
      to.SetNull(at);
      continue;
    }
    to.SetValid(at);
    switch (column.type) {
      case Type::kBoolean:
        to.booleans()[at] = column.booleans()[row];
        break;
      case Type::kInt64:
      case Type::kTimestamp:
        to.ints()[at] = column.ints()[row];
        break;
      case Type::kDouble:
        to.doubles()[at] = column.doubles()[row];
        break;
      case Type::kDate:
        to.dates()[at] = column.dates()[row];
        break;
      case Type::kString:
        to.strings()[at] = to.Intern(column.strings()[row]);
        break;
    }
  }
}

}  // namespace slipway
