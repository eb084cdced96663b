#include "slipway/train/passes.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <queue>

#include "slipway/base/text.h"
#include "slipway/table/cell.h"

namespace slipway {
namespace {

constexpr uint64_t kHoldoutSalt = 1, kSampleSalt = 2;

// The smallest `size` of the values seen: Limit() is the largest of them.
class Smallest {
 public:
  explicit Smallest(size_t size) : size_(size) {}
  void See(uint64_t value) {
    if (heap_.size() == size_ && value >= heap_.top()) return;
    heap_.push(value);
    if (heap_.size() > size_) heap_.pop();
  }
  uint64_t Limit() const { return heap_.empty() ? 0 : heap_.top(); }

 private:
  size_t size_;
  std::priority_queue<uint64_t> heap_;
};

template <typename T>
void Put(const T* values, size_t count, std::string* out) {
  if (count > 0) out->append(reinterpret_cast<const char*>(values), count * sizeof(T));
}

// Takes arrays back out of a chunk's bytes.
class Cursor {
 public:
  explicit Cursor(const std::string& bytes) : at_(bytes.data()) {}
  template <typename T>
  const std::vector<T>& Take(size_t count, std::vector<T>* out) {
    out->resize(count);
    if (count > 0) std::memcpy(out->data(), at_, count * sizeof(T));
    at_ += count * sizeof(T);
    return *out;
  }

 private:
  const char* at_;
};

// A deep copy of the columns whose `needed` is set; the others become null.
std::unique_ptr<OwnedBatch> CopyOf(const Batch& batch, const std::vector<bool>& needed) {
  std::vector<ColumnView> views(batch.columns.begin(), batch.columns.end());
  for (size_t i = 0; i < views.size(); ++i) {
    if (!needed[i]) views[i].data = nullptr;
  }
  Batch part = batch;
  part.columns = views;
  auto copy = std::make_unique<OwnedBatch>(*batch.schema);
  copy->CopyFrom(part);
  return copy;
}

std::vector<bool> MaskOf(const Schema& schema, const std::vector<std::string>& names) {
  std::vector<bool> mask(schema.fields.size(), false);
  for (const std::string& name : names) {
    if (const int at = schema.Find(name); at >= 0) mask[static_cast<size_t>(at)] = true;
  }
  return mask;
}

std::vector<std::string> ExcludedColumns(const TrainSpec& spec) {
  std::vector<std::string> exclude = {spec.target};
  if (!spec.weight.empty()) exclude.push_back(spec.weight);
  if (!spec.time_column.empty() && spec.features.count(spec.time_column) == 0) {
    exclude.push_back(spec.time_column);
  }
  return exclude;
}

// What the first pass gathers, in the input's order.
class Learner {
 public:
  Learner(const TrainPlan& plan, PipelineFitter fitter, FeatureReference reference)
      : plan_(plan),
        fitter_(std::move(fitter)),
        reference_(std::move(reference)),
        target_(plan.task->spec.prediction,
                plan.preparer.output().fields[static_cast<size_t>(plan.target)]),
        holdout_(kHoldoutSample),
        sample_(kBundleSample) {}

  Status Take(const EncodedChunk& chunk);
  Result<Learned> Finish();

 private:
  Status CheckWeight(const Batch& batch, int row) const;

  const TrainPlan& plan_;
  PipelineFitter fitter_;
  FeatureReference reference_;
  TargetLearner target_;
  Smallest holdout_, sample_;
  RowCounts counts_;
  std::vector<uint8_t> use_, training_;
  std::vector<uint64_t> hash_;
};

Status Learner::CheckWeight(const Batch& batch, int row) const {
  if (plan_.weight < 0) return {};
  double weight = 0;
  ColumnView column = batch.columns[static_cast<size_t>(plan_.weight)];
  const std::string name = "the weight '" + plan_.task->spec.weight + "'";
  const int64_t number = (batch.first_row >= 0 ? batch.first_row + row : counts_.read + row) + 1;
  const std::string where = " in row " + FormatCount(number);
  const bool missing = !column.valid(row);
  if (!missing)
    weight = column.type == Type::kInt64 ? static_cast<double>(column.ints()[row])
                                         : column.doubles()[row];
  if (missing || std::isnan(weight)) {
    return InvalidArgument(name + " is missing" + where,
                           "filter such rows, or fill them in `prepare` with `coalesce(" +
                               plan_.task->spec.weight + ", 1)`");
  }
  if (weight < 0 || std::isinf(weight)) {
    return InvalidArgument(
        name + " is " + FormatDouble(weight) + where + "; weights are numbers from 0 on",
        "filter or change such rows in `prepare`");
  }
  return {};
}

Status Learner::Take(const EncodedChunk& chunk) {
  Cursor cursor(chunk.bytes);
  for (const auto& owned : chunk.batches) {
    const Batch batch = owned->View();
    const auto rows = static_cast<size_t>(batch.rows);
    cursor.Take(rows, &use_);
    cursor.Take(rows, &hash_);
    training_.assign(rows, 0);
    const ColumnView& target = batch.columns[static_cast<size_t>(plan_.target)];
    for (size_t r = 0; r < rows; ++r) {
      const auto use = static_cast<RowUse>(use_[r]);
      const int row = static_cast<int>(r);
      if (use == RowUse::kFiltered) {
        ++counts_.filtered;
        continue;
      }
      if (use == RowUse::kNoTarget) {
        target_.SeeMissing();
        continue;
      }
      const bool training = use == RowUse::kTrain;
      training_[r] = training ? 1 : 0;
      RETURN_IF_ERROR(CheckWeight(batch, row));
      RETURN_IF_ERROR(target_.See(target, row, training ? Side::kTrain : Side::kHoldout));
      sample_.See(ReorderHash(hash_[r], kSampleSalt));
      if (!training) holdout_.See(ReorderHash(hash_[r], kHoldoutSalt));
    }
    RETURN_IF_ERROR(fitter_.Observe(batch, training_.data()));
    reference_.See(batch, {use_.data()});
    counts_.read += batch.rows;
  }
  return {};
}

Result<Learned> Learner::Finish() {
  Learned out;
  ASSIGN_OR_RETURN(out.target, target_.Finish());
  ASSIGN_OR_RETURN(out.pipeline, fitter_.Finish(&out.warnings));
  std::vector<std::string> sources;
  for (const ModelFeature& feature : out.pipeline.features()) sources.push_back(feature.source);
  reference_.FinishBounds(sources);
  out.reference = std::move(reference_);
  counts_.no_target = target_.missing();
  counts_.training = target_.training_rows();
  counts_.holdout = target_.holdout_rows();
  out.counts = counts_;
  out.holdout_limit = holdout_.Limit();
  out.sample_limit = sample_.Limit();
  if (counts_.no_target > 0) {
    out.warnings.push_back(FormatCount(counts_.no_target) + " rows have no target '" +
                           plan_.task->spec.target + "' and were left out");
  }
  return out;
}

// One worker of the second pass. A batch's bytes: the header, the uses, training rows, held-out
// rows, and for each kept held-out row its place among the batch's held-out rows.
struct EncodeHeader {
  int64_t rows = 0, training = 0, holdout = 0, unseen = 0, kept = 0, sampled = 0;
};

class EncodeWorker {
 public:
  EncodeWorker(const TrainPlan* plan, const SplitRule* rule, const Learned* learned)
      : plan_(plan),
        learned_(learned),
        sorter_(plan, rule),
        width_(learned->pipeline.feature_count() + 2) {
    for (const Field& field : learned->pipeline.inputs().fields)
      inputs_.push_back(plan->raw.Find(field.name));
    const Schema& full = plan->preparer.output();
    for (const Field& field : learned->pipeline.preparer().output().fields) {
      prepared_.push_back(full.Find(field.name));
    }
    std::vector<std::string> names;
    for (const ModelFeature& feature : learned->pipeline.features())
      names.push_back(feature.source);
    sources_ = MaskOf(full, names);
  }
  Status operator()(const Batch& raw, EncodedChunk* out);

 private:
  void Fill(const Batch& prepared);

  const TrainPlan* plan_;
  const Learned* learned_;
  RowSorter sorter_;
  const int width_;
  std::vector<int> inputs_;  // raw columns of the pipeline's inputs
  std::vector<int>
      prepared_;  // columns of the plan's preparer for those of the pipeline's own, which is pruned
  std::vector<bool> sources_;  // prepared columns that features come from
  std::vector<ColumnView> views_;
  PipelineScratch scratch_;
  std::vector<double> matrix_, label_, weight_, training_, holdout_;
  std::vector<uint8_t> keep_, use_;
  std::vector<int64_t> places_;
};

void EncodeWorker::Fill(const Batch& prepared) {
  const auto rows = static_cast<size_t>(prepared.rows);
  const int features = width_ - 2;
  matrix_.resize(rows * static_cast<size_t>(features));
  keep_.resize(rows);
  label_.resize(rows);
  weight_.assign(rows, 1.0);
  views_.clear();
  for (int column : prepared_) {
    views_.push_back(column < 0 ? ColumnView{} : prepared.columns[static_cast<size_t>(column)]);
  }
  Batch pruned = prepared;
  pruned.schema = &learned_->pipeline.preparer().output();
  pruned.columns = views_;
  learned_->pipeline.Encode(pruned, &scratch_, matrix_.data(), keep_.data());
  learned_->target.Labels(prepared.columns[static_cast<size_t>(plan_->target)], prepared.rows,
                          label_.data());
  if (plan_->weight >= 0) {
    ColumnAsDoubles(prepared.columns[static_cast<size_t>(plan_->weight)], prepared.rows,
                    weight_.data());
  }
  training_.clear();
  holdout_.clear();
  for (size_t r = 0; r < rows; ++r) {
    if (use_[r] == 0) continue;
    std::vector<double>& to =
        use_[r] == static_cast<uint8_t>(RowUse::kTrain) ? training_ : holdout_;
    const double* from = matrix_.data() + r * static_cast<size_t>(features);
    to.insert(to.end(), from, from + features);
    to.push_back(label_[r]);
    to.push_back(weight_[r]);
  }
}

Status EncodeWorker::operator()(const Batch& raw, EncodedChunk* out) {
  sorter_.Run(raw);
  const Batch& prepared = sorter_.prepared();
  const auto rows = static_cast<size_t>(raw.rows);
  EncodeHeader header;
  header.rows = raw.rows;
  use_.assign(rows, 0);
  for (size_t r = 0; r < rows; ++r) {
    const RowUse use = sorter_.use()[r];
    if (use == RowUse::kTrain || use == RowUse::kHoldout) use_[r] = static_cast<uint8_t>(use);
  }
  // The pipeline says which rows it refuses (an unseen category under `unseen: error`).
  keep_.assign(rows, 1);
  Fill(prepared);
  bool refused = false;
  for (size_t r = 0; r < rows; ++r) {
    if (use_[r] != 0 && keep_[r] == 0) {
      use_[r] = 0;
      ++header.unseen;
      refused = true;
    }
  }
  if (refused) Fill(prepared);
  auto kept = std::make_unique<OwnedBatch>(learned_->pipeline.inputs());
  auto sampled = std::make_unique<OwnedBatch>(learned_->pipeline.inputs());
  places_.clear();
  for (size_t r = 0; r < rows; ++r) {
    if (use_[r] == 0) continue;
    const uint64_t hash = sorter_.hash()[r];
    if (ReorderHash(hash, kSampleSalt) <= learned_->sample_limit) {
      AppendRow(raw, static_cast<int>(r), inputs_, sampled.get());
    }
    if (use_[r] != static_cast<uint8_t>(RowUse::kHoldout)) {
      ++header.training;
      continue;
    }
    if (ReorderHash(hash, kHoldoutSalt) <= learned_->holdout_limit) {
      AppendRow(raw, static_cast<int>(r), inputs_, kept.get());
      places_.push_back(header.holdout);
    }
    ++header.holdout;
  }
  header.kept = kept->rows;
  header.sampled = sampled->rows;
  Put(&header, 1, &out->bytes);
  Put(use_.data(), rows, &out->bytes);
  Put(training_.data(), training_.size(), &out->bytes);
  Put(holdout_.data(), holdout_.size(), &out->bytes);
  Put(places_.data(), places_.size(), &out->bytes);
  out->batches.push_back(CopyOf(prepared, sources_));
  if (header.kept > 0) out->batches.push_back(std::move(kept));
  if (header.sampled > 0) out->batches.push_back(std::move(sampled));
  return {};
}

class EncodeSink {
 public:
  EncodeSink(Learned* learned, Encoded* out) : learned_(learned), out_(out) {
    for (int i = 0; i < learned->pipeline.inputs().size(); ++i) all_.push_back(i);
  }
  Status Take(const EncodedChunk& chunk);
  int64_t rows() const { return rows_; }

 private:
  void Keep(const Batch& batch, const std::vector<int64_t>& places);
  void Sample(const Batch& batch);

  Learned* learned_;
  Encoded* out_;
  std::vector<int> all_;
  int64_t rows_ = 0;
  std::vector<EncodeHeader> header_;
  std::vector<uint8_t> use_;
  std::vector<double> values_;
  std::vector<int64_t> places_;
};

void EncodeSink::Keep(const Batch& batch, const std::vector<int64_t>& places) {
  for (int r = 0; r < batch.rows && std::ssize(out_->kept_rows) < kHoldoutSample; ++r) {
    if (out_->kept.empty() || out_->kept.back()->rows == kBatchRows) {
      out_->kept.push_back(std::make_unique<OwnedBatch>(learned_->pipeline.inputs()));
    }
    AppendRow(batch, r, all_, out_->kept.back().get());
    out_->kept_rows.push_back(places[static_cast<size_t>(r)]);
  }
}

void EncodeSink::Sample(const Batch& batch) {
  for (int r = 0; r < batch.rows && out_->sample.size() < kBundleSample; ++r) {
    std::vector<std::string>& cells = out_->sample.emplace_back(batch.columns.size());
    for (size_t c = 0; c < cells.size(); ++c) AppendCell(batch.columns[c], r, &cells[c]);
  }
}

Status EncodeSink::Take(const EncodedChunk& chunk) {
  Cursor cursor(chunk.bytes);
  size_t next = 0;
  while (next < chunk.batches.size()) {
    const EncodeHeader header = cursor.Take(1, &header_)[0];
    const Batch prepared = chunk.batches[next++]->View();
    cursor.Take(static_cast<size_t>(header.rows), &use_);
    learned_->reference.Count(prepared, {use_.data()});
    const auto width = static_cast<size_t>(out_->train.width());
    const int64_t first_holdout = out_->holdout.rows();
    RETURN_IF_ERROR(
        out_->train.Append(cursor.Take(static_cast<size_t>(header.training) * width, &values_)));
    RETURN_IF_ERROR(
        out_->holdout.Append(cursor.Take(static_cast<size_t>(header.holdout) * width, &values_)));
    cursor.Take(static_cast<size_t>(header.kept), &places_);
    for (int64_t& place : places_) place += first_holdout;
    if (header.kept > 0) Keep(chunk.batches[next++]->View(), places_);
    if (header.sampled > 0) Sample(chunk.batches[next++]->View());
    out_->unseen += header.unseen;
    rows_ += header.rows;
  }
  return {};
}

}  // namespace

Result<Learned> LearnPass(const TrainPlan& plan, const SplitRule& rule) {
  FitOptions options;
  options.prepare = plan.task->spec.prepare;
  options.features = plan.task->spec.features;
  options.exclude = ExcludedColumns(plan.task->spec);
  options.training_only = {plan.task->spec.target};
  if (!plan.task->spec.weight.empty()) options.training_only.push_back(plan.task->spec.weight);
  ASSIGN_OR_RETURN(PipelineFitter fitter, PipelineFitter::Make(plan.raw, std::move(options)));
  std::vector<std::string> names = fitter.observed_columns();
  names.push_back(plan.task->spec.target);
  names.push_back(plan.task->spec.weight);
  const std::vector<bool> needed = MaskOf(plan.preparer.output(), names);
  std::vector<int> candidates;
  for (const std::string& name : fitter.observed_columns()) {
    candidates.push_back(plan.preparer.output().Find(name));
  }
  FeatureReference reference(plan.preparer.output(), candidates);
  Learner learner(plan, std::move(fitter), std::move(reference));
  ParallelPass pass;
  pass.stage = "read";
  pass.make_work = [&plan, &rule, &needed] {
    return [sorter = std::make_shared<RowSorter>(&plan, &rule), &needed](
               const Batch& raw, EncodedChunk* out) -> Status {
      sorter->Run(raw);
      Put(sorter->use().data(), sorter->use().size(), &out->bytes);
      Put(sorter->hash().data(), sorter->hash().size(), &out->bytes);
      out->batches.push_back(CopyOf(sorter->prepared(), needed));
      return {};
    };
  };
  pass.take = [&learner](const EncodedChunk& chunk) { return learner.Take(chunk); };
  ASSIGN_OR_RETURN(const StreamCounts counts, RunPass(plan, pass));
  ASSIGN_OR_RETURN(Learned learned, learner.Finish());
  learned.counts.bad = counts.bad_rows;
  if (counts.bad_rows > 0) {
    learned.warnings.push_back(FormatCount(counts.bad_rows) +
                               " rows could not be read and were left out");
  }
  const TrainSpec& spec = plan.task->spec;
  if (!spec.time_column.empty() && spec.features.count(spec.time_column) == 0 &&
      plan.time_prepared >= 0) {
    learned.warnings.push_back(
        "'" + spec.time_column +
        "' splits the rows and is not a feature; name it under `features` to make it one");
  }
  return learned;
}

Result<Encoded> EncodePass(const TrainPlan& plan, const SplitRule& rule, Learned* learned) {
  Encoded out{.train = {}, .holdout = {}, .unseen = 0, .kept = {}, .kept_rows = {}, .sample = {}};
  const int width = learned->pipeline.feature_count() + 2;
  ASSIGN_OR_RETURN(out.train, RowFile::Make(plan.task->temp_dir, width));
  ASSIGN_OR_RETURN(out.holdout, RowFile::Make(plan.task->temp_dir, width));
  EncodeSink sink(learned, &out);
  ParallelPass pass;
  pass.stage = "encode";
  pass.make_work = [&plan, &rule, learned] {
    return [worker = std::make_shared<EncodeWorker>(&plan, &rule, learned)](
               const Batch& raw, EncodedChunk* chunk) { return (*worker)(raw, chunk); };
  };
  pass.take = [&sink](const EncodedChunk& chunk) { return sink.Take(chunk); };
  RETURN_IF_ERROR(RunPass(plan, pass));
  RETURN_IF_ERROR(out.train.Flush());
  RETURN_IF_ERROR(out.holdout.Flush());
  if (sink.rows() != learned->counts.read) {
    return Conflict("the input changed while it was read: " + FormatCount(learned->counts.read) +
                        " rows, then " + FormatCount(sink.rows()),
                    "train again when the files are complete");
  }
  if (out.unseen > 0) {
    learned->warnings.push_back(
        FormatCount(out.unseen) +
        " held-out rows have a category that training did not have and were left out");
  }
  return out;
}

}  // namespace slipway
