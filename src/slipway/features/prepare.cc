#include "slipway/features/prepare.h"

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <set>
#include <utility>

#include "slipway/base/text.h"
#include "slipway/table/cell.h"

namespace slipway {
namespace {

// Every column that exists at some point is a slot: the input's first, then one per computed
// column. A step's schema is a list of slots with names, so renaming and dropping cost nothing at
// run time.
struct Op {
  size_t step = 0;
  bool filter = false;
  Expression expression;  // filter, column
  int from = -1;          // cast: the slot converted
  int to = -1;            // the slot made; -1 for a filter
  Type type = Type::kString;
  Schema schema;           // expression: just the columns it reads
  std::vector<int> reads;  // slots; of an expression: of schema's columns
};

// Names and slots while compiling.
struct Frame {
  Schema schema;
  std::vector<int> slots;

  void Put(const std::string& name, Type type, int slot) {
    int at = schema.Find(name);
    if (at < 0) {
      schema.fields.push_back({name, type});
      slots.push_back(slot);
    } else {
      schema.fields[static_cast<size_t>(at)].type = type;
      slots[static_cast<size_t>(at)] = slot;
    }
  }
  void Erase(int at) {
    schema.fields.erase(schema.fields.begin() + at);
    slots.erase(slots.begin() + at);
  }
};

std::string StepName(size_t index, const PrepareStep& step) {
  std::string name = "prepare step " + std::to_string(index + 1) + " (";
  switch (step.kind) {
    case PrepareStep::Kind::kFilter:
      return name + "filter)";
    case PrepareStep::Kind::kColumn:
      return name + "column '" + step.column + "')";
    case PrepareStep::Kind::kDrop:
      return name + "drop)";
    case PrepareStep::Kind::kRename:
      return name + "rename)";
    case PrepareStep::Kind::kCast:
      return name + "cast)";
  }
  return name + "?)";
}

// All pairs at once: {a: b, b: a} swaps.
Status Rename(const PrepareStep& step, Frame* frame) {
  const Schema before = frame->schema;
  std::set<int> renamed;
  for (const auto& [from, to] : step.renames) {
    int at = before.Find(from);
    if (at < 0) return NoSuchColumn(from, before, "the columns at this step");
    if (!renamed.insert(at).second)
      return InvalidArgument("column '" + from + "' is renamed twice");
    frame->schema.fields[static_cast<size_t>(at)].name = to;
  }
  std::set<std::string> names;
  for (const Field& field : frame->schema.fields) {
    if (!names.insert(field.name).second) {
      return Conflict("there would be two columns '" + field.name + "'",
                      "drop or rename the other one first");
    }
  }
  return {};
}

Status Drop(const PrepareStep& step, Frame* frame) {
  for (const std::string& name : step.names) {
    int at = frame->schema.Find(name);
    if (at < 0) return NoSuchColumn(name, frame->schema, "the columns at this step");
    frame->Erase(at);
  }
  return {};
}

}  // namespace

struct Preparer::State {
  Schema input, output;
  std::vector<PrepareStep> steps;
  std::vector<Op> ops;
  std::vector<Type> slot_types;
  std::vector<int> output_slots;

  int NewSlot(Type type) {
    slot_types.push_back(type);
    return static_cast<int>(slot_types.size()) - 1;
  }
  Status Compile(size_t index, Frame* frame);
  Status CompileExpression(size_t index, Frame* frame);
  Status CompileCast(size_t index, Frame* frame);
  void Replay(size_t index, size_t* next_op, Frame* frame) const;
  // `skip` (per op, may be empty): filters that do not count.
  std::vector<uint8_t> LiveSlots(const std::vector<std::string>& outputs,
                                 const std::vector<uint8_t>& skip = {}) const;
  std::vector<uint8_t> SlotsOf(const std::vector<std::string>& outputs) const;
  Result<std::vector<uint8_t>> TrainingOnlyFilters(
      const std::vector<std::string>& outputs, const std::vector<std::string>& training_only) const;
};

Status Preparer::State::CompileExpression(size_t index, Frame* frame) {
  const PrepareStep& step = steps[index];
  ASSIGN_OR_RETURN(Expression expression, Expression::Compile(step.expression, frame->schema));
  Op op;
  op.step = index;
  op.filter = step.kind == PrepareStep::Kind::kFilter;
  op.type = expression.type();
  if (op.filter && op.type != Type::kBoolean) {
    return InvalidArgument("a filter must be true or false, but '" + step.expression +
                               "' is of type " + std::string(TypeName(op.type)),
                           "compare it with something, as in: fare > 0");
  }
  for (int column : expression.columns()) {
    op.schema.fields.push_back(frame->schema.fields[static_cast<size_t>(column)]);
    op.reads.push_back(frame->slots[static_cast<size_t>(column)]);
  }
  // Once more against only what it reads: running it then does not depend on how wide the table is.
  ASSIGN_OR_RETURN(op.expression, Expression::Compile(step.expression, op.schema));
  if (!op.filter) {
    op.to = NewSlot(op.type);
    frame->Put(step.column, op.type, op.to);
  }
  ops.push_back(std::move(op));
  return {};
}

Status Preparer::State::CompileCast(size_t index, Frame* frame) {
  std::set<std::string> done;
  for (const auto& [name, type] : steps[index].casts) {
    int at = frame->schema.Find(name);
    if (at < 0) return NoSuchColumn(name, frame->schema, "the columns at this step");
    if (!done.insert(name).second) return InvalidArgument("column '" + name + "' is cast twice");
    const Type from = frame->schema.fields[static_cast<size_t>(at)].type;
    if (from == type) continue;
    if (!CanConvert(from, type)) {
      return InvalidArgument("column '" + name + "' of type " + std::string(TypeName(from)) +
                                 " cannot become " + std::string(TypeName(type)),
                             "a column step with an expression may do what is meant");
    }
    Op op;
    op.step = index;
    op.from = frame->slots[static_cast<size_t>(at)];
    op.reads = {op.from};
    op.type = type;
    op.to = NewSlot(type);
    frame->Put(name, type, op.to);
    ops.push_back(std::move(op));
  }
  return {};
}

Status Preparer::State::Compile(size_t index, Frame* frame) {
  const PrepareStep& step = steps[index];
  switch (step.kind) {
    case PrepareStep::Kind::kFilter:
    case PrepareStep::Kind::kColumn:
      return CompileExpression(index, frame);
    case PrepareStep::Kind::kDrop:
      return Drop(step, frame);
    case PrepareStep::Kind::kRename:
      return Rename(step, frame);
    case PrepareStep::Kind::kCast:
      return CompileCast(index, frame);
  }
  return Internal("unknown kind of prepare step");
}

// What Compile did to the frame, once more.
void Preparer::State::Replay(size_t index, size_t* next_op, Frame* frame) const {
  const PrepareStep& step = steps[index];
  if (step.kind == PrepareStep::Kind::kDrop) static_cast<void>(Drop(step, frame));
  if (step.kind == PrepareStep::Kind::kRename) static_cast<void>(Rename(step, frame));
  for (; *next_op < ops.size() && ops[*next_op].step == index; ++*next_op) {
    const Op& op = ops[*next_op];
    if (op.filter) continue;
    if (step.kind == PrepareStep::Kind::kColumn) {
      frame->Put(step.column, op.type, op.to);
    } else {
      std::replace(frame->slots.begin(), frame->slots.end(), op.from, op.to);
    }
  }
}

Result<Preparer> Preparer::Compile(const std::vector<PrepareStep>& steps, const Schema& input) {
  auto state = std::make_shared<State>();
  state->input = input;
  state->steps = steps;
  Frame frame{input, {}};
  for (const Field& field : input.fields) frame.slots.push_back(state->NewSlot(field.type));
  for (size_t i = 0; i < steps.size(); ++i) {
    if (auto status = state->Compile(i, &frame); !status.ok()) {
      return status.error().Within(StepName(i, steps[i]));
    }
  }
  state->output = frame.schema;
  state->output_slots = frame.slots;
  Preparer preparer;
  preparer.state_ = std::move(state);
  return preparer;
}

const Schema& Preparer::input() const { return state_->input; }
const Schema& Preparer::output() const { return state_->output; }
const std::vector<PrepareStep>& Preparer::steps() const { return state_->steps; }

std::vector<uint8_t> Preparer::State::SlotsOf(const std::vector<std::string>& outputs) const {
  std::vector<uint8_t> slots(slot_types.size(), 0);
  for (const std::string& name : outputs) {
    int at = output.Find(name);
    if (at >= 0) slots[static_cast<size_t>(output_slots[static_cast<size_t>(at)])] = 1;
  }
  return slots;
}

// Walking the ops backwards: what makes a live slot, and every filter, makes what it reads live.
std::vector<uint8_t> Preparer::State::LiveSlots(const std::vector<std::string>& outputs,
                                                const std::vector<uint8_t>& skip) const {
  std::vector<uint8_t> live = SlotsOf(outputs);
  for (size_t i = ops.size(); i-- > 0;) {
    const Op& op = ops[i];
    if (op.filter ? !skip.empty() && skip[i] != 0 : live[static_cast<size_t>(op.to)] == 0) continue;
    for (int slot : op.reads) live[static_cast<size_t>(slot)] = 1;
  }
  return live;
}

// Per op: 1 for a filter that chooses training rows.
Result<std::vector<uint8_t>> Preparer::State::TrainingOnlyFilters(
    const std::vector<std::string>& outputs, const std::vector<std::string>& training_only) const {
  std::vector<uint8_t> skip(ops.size(), 0);
  if (training_only.empty()) return skip;
  const std::vector<uint8_t> named = SlotsOf(training_only);
  // What the outputs need whatever the filters read, and what the training-only columns are made
  // from.
  const std::vector<uint8_t> needed = LiveSlots(outputs, std::vector<uint8_t>(ops.size(), 1));
  std::vector<uint8_t> absent = LiveSlots(training_only, std::vector<uint8_t>(ops.size(), 1));
  for (size_t slot = 0; slot < absent.size(); ++slot) {
    if (needed[slot] != 0 && named[slot] == 0) absent[slot] = 0;
  }
  for (size_t i = 0; i < ops.size(); ++i) {
    const bool reads_absent = std::any_of(ops[i].reads.begin(), ops[i].reads.end(), [&](int slot) {
      return absent[static_cast<size_t>(slot)] != 0;
    });
    if (!reads_absent) continue;
    if (ops[i].filter) {
      skip[i] = 1;
      continue;
    }
    absent[static_cast<size_t>(ops[i].to)] = 1;
    if (needed[static_cast<size_t>(ops[i].to)] != 0) {
      return InvalidArgument(StepName(ops[i].step, steps[ops[i].step]) +
                                 " computes a feature from " + QuotedList(training_only) +
                                 ", which new data does not have",
                             "compute it from other columns, or ignore it in features");
    }
  }
  return skip;
}

std::vector<int> Preparer::InputsFor(const std::vector<std::string>& outputs) const {
  const std::vector<uint8_t> live = state_->LiveSlots(outputs);
  std::vector<int> inputs;
  for (int i = 0; i < state_->input.size(); ++i) {
    if (live[static_cast<size_t>(i)] != 0) inputs.push_back(i);
  }
  return inputs;
}

namespace {

// Rewrites steps so that at each point only live slots have names. What a dead step would have
// hidden by reusing a name is dropped explicitly; so the names that remain mean what they meant.
class Pruner {
 public:
  explicit Pruner(const std::vector<uint8_t>& live) : live_(live) {}

  void Begin(const Frame& input) {
    for (size_t i = 0; i < input.slots.size(); ++i) {
      if (Live(input.slots[i])) names_.insert(input.schema.fields[i].name);
    }
  }
  // `after`: what the whole program has after the step.
  void Take(const PrepareStep& step, const Frame& after) {
    PrepareStep kept = step;
    std::set<std::string> remaining;
    for (size_t i = 0; i < after.slots.size(); ++i) {
      if (Live(after.slots[i])) remaining.insert(after.schema.fields[i].name);
    }
    std::vector<std::string> gone;  // had a name, has none after the step
    switch (step.kind) {
      case PrepareStep::Kind::kFilter:
        steps_.push_back(std::move(kept));
        break;
      case PrepareStep::Kind::kColumn:
        if (remaining.count(step.column) != 0) {
          steps_.push_back(std::move(kept));
        } else if (names_.count(step.column) != 0) {
          gone.push_back(step.column);
        }
        break;
      case PrepareStep::Kind::kDrop:
        for (const std::string& name : step.names) {
          if (names_.count(name) != 0) gone.push_back(name);
        }
        break;
      case PrepareStep::Kind::kRename:
        std::erase_if(kept.renames,
                      [&](const auto& pair) { return names_.count(pair.first) == 0; });
        if (!kept.renames.empty()) steps_.push_back(std::move(kept));
        break;
      case PrepareStep::Kind::kCast:
        for (const auto& [name, type] : step.casts) {
          if (names_.count(name) != 0 && remaining.count(name) == 0) gone.push_back(name);
        }
        std::erase_if(kept.casts,
                      [&](const auto& cast) { return remaining.count(cast.first) == 0; });
        if (!kept.casts.empty()) steps_.push_back(std::move(kept));
        break;
    }
    if (!gone.empty()) {
      PrepareStep drop;
      drop.kind = PrepareStep::Kind::kDrop;
      drop.names = std::move(gone);
      steps_.push_back(std::move(drop));
    }
    names_ = std::move(remaining);
  }
  std::vector<PrepareStep> steps() && { return std::move(steps_); }

 private:
  bool Live(int slot) const { return live_[static_cast<size_t>(slot)] != 0; }

  const std::vector<uint8_t>& live_;
  std::set<std::string> names_;
  std::vector<PrepareStep> steps_;
};

}  // namespace

Result<Preparer> Preparer::PrunedFor(const std::vector<std::string>& outputs,
                                     const std::vector<std::string>& training_only) const {
  ASSIGN_OR_RETURN(const std::vector<uint8_t> skip,
                   state_->TrainingOnlyFilters(outputs, training_only));
  const std::vector<uint8_t> live = state_->LiveSlots(outputs, skip);
  std::set<size_t> skipped_steps;
  for (size_t i = 0; i < skip.size(); ++i) {
    if (skip[i] != 0) skipped_steps.insert(state_->ops[i].step);
  }
  Frame frame{state_->input, {}};
  Schema inputs;
  for (int i = 0; i < state_->input.size(); ++i) {
    frame.slots.push_back(i);
    if (live[static_cast<size_t>(i)] != 0) {
      inputs.fields.push_back(state_->input.fields[static_cast<size_t>(i)]);
    }
  }
  Pruner pruner(live);
  pruner.Begin(frame);
  size_t next_op = 0;
  for (size_t i = 0; i < state_->steps.size(); ++i) {
    state_->Replay(i, &next_op, &frame);
    if (skipped_steps.count(i) == 0) pruner.Take(state_->steps[i], frame);
  }
  return Compile(std::move(pruner).steps(), inputs);
}

struct PrepareScratch::State {
  // The preparer that the rest was laid out for; holding it keeps its address from being used
  // again.
  std::shared_ptr<const void> owner;
  ExpressionScratch expressions;
  std::vector<ColumnView> slots;
  std::vector<Column> columns;                      // one per op
  std::vector<std::vector<ColumnView>> op_columns;  // per op: what it reads
  std::vector<ColumnView> output;
  std::vector<uint8_t> keep;
};

PrepareScratch::PrepareScratch() : state_(std::make_unique<State>()) {}
PrepareScratch::~PrepareScratch() = default;
PrepareScratch::PrepareScratch(PrepareScratch&&) noexcept = default;
PrepareScratch& PrepareScratch::operator=(PrepareScratch&&) noexcept = default;

namespace {

void AndKeep(const ColumnView& pass, int rows, bool first, uint8_t* keep) {
  for (int r = 0; r < rows; ++r) {
    const uint8_t passes = static_cast<uint8_t>(pass.valid(r) && pass.booleans()[r] != 0);
    keep[r] = first ? passes : static_cast<uint8_t>(keep[r] & passes);
  }
}

}  // namespace

PreparedRows Preparer::Run(const Batch& batch, PrepareScratch* scratch) const {
  assert(batch.rows <= kBatchRows);
  assert(static_cast<int>(batch.columns.size()) == state_->input.size());
  PrepareScratch::State& work = scratch->state();
  if (work.owner != state_) {
    work.owner = state_;
    work.slots.assign(state_->slot_types.size(), {});
    work.columns = std::vector<Column>(state_->ops.size());
    work.op_columns.assign(state_->ops.size(), {});
    for (size_t i = 0; i < state_->ops.size(); ++i) {
      work.op_columns[i].resize(state_->ops[i].reads.size());
    }
    work.output.assign(state_->output_slots.size(), {});
    work.keep.assign(kBatchRows, 1);
  }
  std::copy(batch.columns.begin(), batch.columns.end(), work.slots.begin());

  bool filtered = false;
  for (size_t i = 0; i < state_->ops.size(); ++i) {
    const Op& op = state_->ops[i];
    const bool readable = std::all_of(op.reads.begin(), op.reads.end(), [&](int slot) {
      return work.slots[static_cast<size_t>(slot)].data != nullptr;
    });
    if (!readable) {
      assert(!op.filter);
      if (!op.filter) work.slots[static_cast<size_t>(op.to)] = {op.type, nullptr, nullptr};
      continue;
    }
    Column& made = work.columns[i];
    if (op.from >= 0) {
      int bad_row = 0;
      ConvertColumn(work.slots[static_cast<size_t>(op.from)], batch.rows, op.type, &made, &bad_row);
    } else {
      std::vector<ColumnView>& columns = work.op_columns[i];
      for (size_t c = 0; c < columns.size(); ++c) {
        columns[c] = work.slots[static_cast<size_t>(op.reads[c])];
      }
      const Batch view{&op.schema, batch.rows, batch.first_row, columns, {}, 0};
      op.expression.Evaluate(view, &work.expressions, &made);
    }
    if (op.filter) {
      AndKeep(made.View(), batch.rows, !filtered, work.keep.data());
      filtered = true;
    } else {
      work.slots[static_cast<size_t>(op.to)] = made.View();
    }
  }

  for (size_t i = 0; i < work.output.size(); ++i) {
    work.output[i] = work.slots[static_cast<size_t>(state_->output_slots[i])];
  }
  PreparedRows out;
  out.batch = {&state_->output, batch.rows, batch.first_row, work.output, {}, 0};
  out.keep = filtered ? work.keep.data() : nullptr;
  return out;
}

}  // namespace slipway
