#include "slipway/features/pipeline.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <set>
#include <utility>

#include "slipway/features/pipeline_state.h"

namespace slipway {

struct PipelineScratch::State {
  PrepareScratch prepare;
  std::string text;
};

PipelineScratch::PipelineScratch() : state_(std::make_unique<State>()) {}
PipelineScratch::~PipelineScratch() = default;
PipelineScratch::PipelineScratch(PipelineScratch&&) noexcept = default;
PipelineScratch& PipelineScratch::operator=(PipelineScratch&&) noexcept = default;

namespace {

// A column 'a' one-hot encoded and a column named 'a=x' may want one name: the later gets "#2".
void MakeNamesUnique(std::vector<ModelFeature>* features) {
  std::set<std::string> used;
  for (ModelFeature& feature : *features) {
    std::string name = feature.name;
    for (int n = 2; !used.insert(name).second; ++n) name = feature.name + "#" + std::to_string(n);
    feature.name = std::move(name);
  }
}

// Rows whose part of the matrix fits the nearest cache, so that the columns' strided writes find it
// there.
int BlockRows(int width) {
  constexpr int kBytes = 24 << 10;
  return std::clamp(kBytes / (8 * std::max(width, 1)) / 64 * 64, 64, kBatchRows);
}

}  // namespace

Result<std::shared_ptr<const Pipeline::State>> Pipeline::State::Make(
    Preparer preparer, std::vector<Encoder> encoders) {
  auto state = std::make_shared<State>();
  std::set<std::string> columns;
  for (const Encoder& encoder : encoders) {
    const int source = preparer.output().Find(encoder.column);
    if (source < 0) return NoSuchColumn(encoder.column, preparer.output(), "the prepared columns");
    if (preparer.output().fields[static_cast<size_t>(source)].type != encoder.type) {
      return InvalidArgument("feature '" + encoder.column + "' is not of type " +
                             std::string(TypeName(encoder.type)));
    }
    if (!columns.insert(encoder.column).second) {
      return InvalidArgument("feature '" + encoder.column + "' stands twice");
    }
    state->sources.push_back(source);
    state->offsets.push_back(static_cast<int>(state->features.size()));
    if (static_cast<int>(state->features.size()) + encoder.width() > kMaxMatrixWidth) {
      return InvalidArgument("the features make more than 100,000 columns",
                             "give the one_hot columns a smaller max_categories");
    }
    encoder.AppendFeatures(&state->features);
  }
  if (state->features.empty()) {
    return InvalidArgument("there is no usable feature",
                           "name at least one column in features: {column: numeric}");
  }
  MakeNamesUnique(&state->features);
  state->preparer = std::move(preparer);
  state->encoders = std::move(encoders);
  return std::shared_ptr<const State>(std::move(state));
}

const Schema& Pipeline::inputs() const { return state_->preparer.input(); }
const std::vector<ModelFeature>& Pipeline::features() const { return state_->features; }
const Preparer& Pipeline::preparer() const { return state_->preparer; }
const std::vector<int>& Pipeline::encoded_columns() const { return state_->sources; }

void Pipeline::Transform(const Batch& batch, PipelineScratch* scratch, double* matrix,
                         uint8_t* keep) const {
  const PreparedRows prepared = state_->preparer.Run(batch, &scratch->state().prepare);
  const size_t rows = static_cast<size_t>(batch.rows);
  if (prepared.keep != nullptr) {
    std::memcpy(keep, prepared.keep, rows);
  } else {
    std::memset(keep, 1, rows);
  }
  Encode(prepared.batch, scratch, matrix, keep);
}

void Pipeline::Encode(const Batch& prepared, PipelineScratch* scratch, double* matrix,
                      uint8_t* keep) const {
  const int stride = feature_count();
  const int step = BlockRows(stride);
  for (int begin = 0; begin < prepared.rows; begin += step) {
    const int end = std::min(begin + step, prepared.rows);
    for (size_t e = 0; e < state_->encoders.size(); ++e) {
      const ColumnView& view = prepared.columns[static_cast<size_t>(state_->sources[e])];
      assert(view.data != nullptr);
      state_->encoders[e].Encode(view, begin, end, stride, matrix + state_->offsets[e], keep,
                                 &scratch->state().text);
    }
  }
}

}  // namespace slipway
