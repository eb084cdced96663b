#include "slipway/train/report.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "slipway/base/json.h"
#include "slipway/dataset/dataset.h"
#include "slipway/table/cell.h"

namespace slipway {
namespace {

std::string Distinct(const Schema& schema, std::string name) {
  while (schema.Find(name) >= 0) name += "_";
  return name;
}

}  // namespace

HoldoutColumns MakeHoldoutColumns(const Schema& inputs, const std::string& target,
                                  const TargetCoder& coder) {
  HoldoutColumns out;
  out.schema = inputs;
  out.inputs = inputs.size();
  const bool regression = coder.kind() == PredictionKind::kRegression;
  out.label = Distinct(out.schema, target);
  out.schema.fields.push_back({out.label, regression ? Type::kDouble : coder.type()});
  for (const std::string& name : coder.classes()) {
    out.outputs.push_back(Distinct(out.schema, "proba_" + name));
    out.schema.fields.push_back({out.outputs.back(), Type::kDouble});
  }
  out.outputs.push_back(Distinct(out.schema, "prediction"));
  out.schema.fields.push_back({out.outputs.back(), regression ? Type::kDouble : coder.type()});
  return out;
}

Status AddHoldoutRows(const TrainingRun& run, const HoldoutColumns& columns,
                      HoldoutReport* report) {
  const TargetCoder& coder = run.learned.target;
  const RowFile& rows = run.encoded.holdout;
  std::vector<int> all(static_cast<size_t>(columns.inputs));
  for (int i = 0; i < columns.inputs; ++i) all[static_cast<size_t>(i)] = i;
  std::vector<double> row(static_cast<size_t>(rows.width())),
      scores(static_cast<size_t>(run.holdout_scores.width()));
  size_t next = 0;
  for (const auto& kept : run.encoded.kept) {
    const Batch batch = kept->View();
    for (int r = 0; r < batch.rows && report->kept < kHoldoutSample; ++r, ++report->kept) {
      const int64_t place = run.encoded.kept_rows[next++];
      RETURN_IF_ERROR(rows.Read(place, 1, row.data()));
      RETURN_IF_ERROR(run.holdout_scores.Read(place, 1, scores.data()));
      if (report->rows.empty() || report->rows.back()->rows == kBatchRows) {
        report->rows.push_back(std::make_unique<OwnedBatch>(columns.schema));
      }
      OwnedBatch& out = *report->rows.back();
      const int at = out.rows;
      AppendRow(batch, r, all, &out);
      int column = columns.inputs;
      const auto put_number = [&](double value) {
        out.column(column).doubles()[at] = value;
        out.column(column++).SetValid(at);
      };
      const auto put_class = [&](int index) {
        ParseCellInto(coder.classes()[static_cast<size_t>(index)], at, &out.column(column++));
      };
      const double label = row[row.size() - 2];
      if (coder.kind() == PredictionKind::kRegression) {
        put_number(label);
        put_number(scores[0]);
        continue;
      }
      put_class(static_cast<int>(label));
      if (coder.kind() == PredictionKind::kBinary) put_number(1 - scores[0]);
      for (double score : scores) put_number(score);
      put_class(PredictedClass(coder.kind(), scores.data(), static_cast<int>(scores.size())));
    }
  }
  return {};
}

Status WriteHoldout(const std::string& path, const HoldoutColumns& columns,
                    const HoldoutReport& report) {
  ASSIGN_OR_RETURN(auto writer, CreateWriter(path, Format::kParquet, columns.schema, {}));
  auto encoder = writer->NewEncoder();
  for (const auto& batch : report.rows) {
    EncodedChunk chunk;
    RETURN_IF_ERROR(encoder->Encode(batch->View(), &chunk));
    RETURN_IF_ERROR(writer->Append(std::move(chunk)));
  }
  return writer->Finish();
}

Json ImportanceToJson(const Pipeline& pipeline, const TrainedBooster& booster, bool by_source) {
  struct Entry {
    std::string name;
    double gain = 0, split = 0;
  };
  std::vector<Entry> entries;
  std::map<std::string, size_t> places;
  for (size_t i = 0; i < pipeline.features().size(); ++i) {
    const ModelFeature& feature = pipeline.features()[i];
    const std::string& name = by_source ? feature.source : feature.name;
    const auto [at, fresh] = places.emplace(name, entries.size());
    if (fresh) entries.push_back({name, 0, 0});
    entries[at->second].gain += booster.gain[i];
    entries[at->second].split += booster.split[i];
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.gain > b.gain; });
  Json out = Json::array();
  for (const Entry& entry : entries) {
    out.push_back({{"feature", entry.name},
                   {"gain", entry.gain},
                   {"split", static_cast<int64_t>(entry.split)}});
  }
  return out;
}

Json MetricsOrNull(const Metrics& metrics) {
  return metrics.empty() ? Json() : MetricsToJson(metrics);
}

std::pair<Json, Json> MeanOfFolds(const std::vector<Metrics>& folds) {
  Metrics mean, deviation;
  for (size_t m = 0; m < folds[0].size(); ++m) {
    double sum = 0, squares = 0;
    for (const Metrics& fold : folds) sum += fold[m].second;
    const double average = sum / static_cast<double>(folds.size());
    for (const Metrics& fold : folds)
      squares += (fold[m].second - average) * (fold[m].second - average);
    mean.emplace_back(folds[0][m].first, average);
    deviation.emplace_back(folds[0][m].first,
                           std::sqrt(squares / static_cast<double>(folds.size())));
  }
  return {MetricsToJson(mean), MetricsToJson(deviation)};
}

}  // namespace slipway
