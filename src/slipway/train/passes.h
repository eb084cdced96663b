// The two passes over a train recipe's input. The first learns: the fitted pipeline, the target's
// classes, the bounds of the reference statistics. The second encodes: feature rows with label and
// weight into row files, one for training and one for held-out rows. Decoding and preparing run on
// the job's threads; learning sees rows in the input's order, so the outcome does not depend on the
// number of threads. Memory does not grow with the rows.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "slipway/features/pipeline.h"
#include "slipway/table/stream.h"
#include "slipway/train/feature_reference.h"
#include "slipway/train/row_file.h"
#include "slipway/train/split.h"
#include "slipway/train/target.h"
#include "slipway/train/train.h"

namespace slipway {

inline constexpr int kHoldoutSample = 20'000;  // held-out rows that are kept with their raw inputs
inline constexpr int kBundleSample = 50;  // rows that the bundle scores again whenever it is opened

// Where the columns with a role stand. Made once per training; immutable.
struct TrainPlan {
  const TrainTask* task = nullptr;
  Schema raw;
  Preparer preparer;
  int target = -1;  // of preparer.output(); so is weight
  int weight = -1;  // -1: none
  // At most one of the two is set.
  int time_prepared = -1, time_raw = -1;
};
// Checks the columns that the spec names, against the input and after its prepare steps.
Result<TrainPlan> MakeTrainPlan(const TrainTask& task);
// The split of a single training (not of a fold). Reads the input once when it is by time.
Result<SplitRule> MakeSplitRule(const TrainPlan& plan);

// The fate of a row.
enum class RowUse : uint8_t { kFiltered, kTrain, kHoldout, kNoTarget };

// Prepares batches and tells each row's fate. One per thread.
class RowSorter {
 public:
  RowSorter(const TrainPlan* plan, const SplitRule* rule) : plan_(plan), rule_(rule) {}
  // What follows is valid until the next Run.
  void Run(const Batch& raw);
  const Batch& prepared() const { return prepared_.batch; }
  const std::vector<RowUse>& use() const { return use_; }
  const std::vector<uint64_t>& hash() const { return hash_; }

 private:
  const TrainPlan* plan_;
  const SplitRule* rule_;
  PrepareScratch scratch_;
  PreparedRows prepared_;
  std::vector<RowUse> use_;
  std::vector<uint64_t> hash_;
  std::vector<double> time_;
};

struct RowCounts {
  int64_t read = 0, bad = 0, filtered = 0, no_target = 0, training = 0, holdout = 0;
};

struct Learned {
  Pipeline pipeline;
  TargetCoder target;
  FeatureReference reference;  // bounds done, counts to come
  RowCounts counts;
  // Rows whose ReorderHash is at most this are kept: the smallest kHoldoutSample held-out ones,
  // kBundleSample of all.
  uint64_t holdout_limit = 0, sample_limit = 0;
  std::vector<std::string> warnings;
};
Result<Learned> LearnPass(const TrainPlan& plan, const SplitRule& rule);

struct Encoded {
  RowFile train, holdout;  // features, label, weight
  int64_t unseen = 0;      // rows that the pipeline refused
  // Held-out rows with raw inputs (pipeline.inputs()) and the row of `holdout` each one is.
  std::vector<std::unique_ptr<OwnedBatch>> kept;
  std::vector<int64_t> kept_rows;
  std::vector<std::vector<std::string>> sample;  // cell texts by pipeline.inputs()
};
// Also counts into learned->reference.
Result<Encoded> EncodePass(const TrainPlan& plan, const SplitRule& rule, Learned* learned);

// Runs `work` on the workers for each batch and `take` on each chunk's outcome in the input's
// order.
struct ParallelPass {
  std::function<std::function<Status(const Batch&, EncodedChunk*)>()> make_work;
  std::function<Status(const EncodedChunk&)> take;
  std::string_view stage;
};
Result<StreamCounts> RunPass(const TrainPlan& plan, const ParallelPass& pass);
// All batches of the input with all columns, in order, on this thread.
Status ForEachRow(const TrainPlan& plan, std::string_view stage, const BatchConsumer& consume);

// Appends one row of `in` (columns `from` of it) to `out`, which must have room.
void AppendRow(const Batch& in, int row, const std::vector<int>& from, OwnedBatch* out);

}  // namespace slipway
