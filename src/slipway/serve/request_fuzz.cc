// Bytes as a user API request: the first byte chooses the endpoint and verb, the rest is the body
// (of predict-simple: the query). Whatever comes is answered with JSON, an error or a result, and
// what is answered depends on the bytes alone, not on what the endpoint saw before.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "slipway/base/file.h"
#include "slipway/base/json.h"
#include "slipway/bundle/bundle.h"
#include "slipway/http/server.h"
#include "slipway/lookup/lookup_table.h"
#include "slipway/serve/dispatch.h"
#include "slipway/serve/lookup_endpoint.h"
#include "slipway/serve/prediction_endpoint.h"

namespace {

using namespace slipway;

constexpr std::string_view kModel =
    "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=1\n"
    "objective=binary sigmoid:1\nfeature_names=size kind\nfeature_infos=[0:5] 0:1:2\n\nTree=0\n"
    "num_leaves=3\nnum_cat=1\nsplit_feature=0 1\nthreshold=2.5 0\ndecision_type=10 1\n"
    "left_child=1 -1\nright_child=-3 -2\nleaf_value=0.25 -1.5 0.3\nleaf_weight=1 1 1\n"
    "leaf_count=4 3 5\ninternal_value=0 0\ninternal_weight=2 1\ninternal_count=12 7\n"
    "cat_boundaries=0 1\ncat_threshold=2\nis_linear=0\nshrinkage=1\n\n\nend of trees\n\n"
    "feature_importances:\n\npandas_categorical:[[\"red\", \"green\", 7]]\n";

// A model whose inputs are a double and a text, a table with a key of each type, made once.
struct Served {
  Served() : folder(*TempDir::Make()) {
    const Schema schema{{{"shop", Type::kInt64},
                         {"day", Type::kDate},
                         {"size", Type::kDouble},
                         {"kind", Type::kString}}};
    OwnedBatch batch(schema);
    batch.rows = 3;
    for (int row = 0; row < 3; ++row) {
      batch.column(0).ints()[row] = row / 2;
      batch.column(1).dates()[row] = 0;
      batch.column(2).doubles()[row] = row;
      batch.column(3).strings()[row] = "green";
      for (int i = 0; i < schema.size(); ++i) batch.column(i).SetValid(row);
    }
    auto writer = LookupTableWriter::Make(schema, {"shop", "day"});
    if (!writer.ok() || !(*writer)->Add(batch.View()).ok() ||
        !(*writer)->Finish(folder.File("shops.table")).ok() ||
        !WriteFileAtomic(folder.File("model.txt"), kModel).ok()) {
      std::abort();
    }
    TableUse use;
    use.part = "shops.table";
    use.table = "shops";
    use.keys = {{"shop", "shop_id"}, {"day", "day"}};
    use.columns = {{"size", "size"}, {"kind", "kind"}};
    use.several_matches = LookupPolicy::kIgnore;
    PackageEndpoint prediction;
    prediction.id = "prediction";
    prediction.model_part = "model.txt";
    prediction.enrichments = {use};
    PackageEndpoint lookup;
    lookup.id = "lookup";
    lookup.type = EndpointType::kLookup;
    lookup.tables = {use};
    auto made = LoadPredictionEndpoint(prediction, folder.path());
    auto tables = LoadLookupEndpoint(lookup, folder.path());
    if (!made.ok() || !tables.ok()) std::abort();
    endpoints.push_back(std::move(*made));
    endpoints.push_back(std::move(*tables));
    for (const auto& endpoint : endpoints) scratches.push_back(endpoint->MakeScratch());
  }
  TempDir folder;
  std::vector<std::unique_ptr<ServedEndpoint>> endpoints;
  std::vector<std::unique_ptr<EndpointScratch>> scratches;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static const Served served;
  if (size == 0) return 0;
  static constexpr Verb kVerbs[] = {Verb::kPredict, Verb::kPredictMulti, Verb::kPredictSimple,
                                    Verb::kLookup, Verb::kLookupMulti};
  const size_t choice = bytes[0] % std::size(kVerbs);
  const size_t which = choice < 3 ? 0 : 1;
  // On the heap with nothing behind the padding, so that a sanitizer sees a read too far.
  std::vector<char> body(bytes + 1, bytes + size);
  body.resize(size - 1 + kHttpPadding, '}');
  EndpointCall call;
  call.verb = kVerbs[choice];
  call.input = {body.data(), size - 1};
  call.max_records = 5000;
  if (served.endpoints[which]->EstimateMicros(call) < 0) std::abort();

  std::string warm = "{", cold = "{";
  CallOutcome outcome, fresh;
  served.endpoints[which]->Answer(call, served.scratches[which].get(), &warm, true, &outcome);
  const auto scratch = served.endpoints[which]->MakeScratch();
  served.endpoints[which]->Answer(call, scratch.get(), &cold, false, &fresh);
  if (warm != cold || outcome.error.has_value() != fresh.error.has_value()) std::abort();
  if (outcome.error) {
    if (warm != "{" || outcome.error->message.empty()) std::abort();
  } else {
    if (!ParseJson(warm + "}").ok()) std::abort();
    for (const LoggedRecord& record : outcome.logged) {
      if (!ParseJson(record.result).ok()) std::abort();
    }
  }
  Dispatch dispatch;
  DispatchReader reader;
  const bool wrong = reader.Read(call.input, &dispatch).has_value();
  if (!wrong && dispatch.key.size() + dispatch.forced_generation.size() > 2 * size) std::abort();
  return 0;
}
