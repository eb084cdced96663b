// "cats": {"enc": [one object per feature]}: texts as {"offsets", "values": their bytes}, whole
// numbers as {"type", "values"}; a feature that is no category column has no values. The place of a
// category is the code that the trees speak of. (XGBoost src/data/cat_container.cc)
#include "slipway/forest/xgboost_categories.h"

#include <algorithm>

#include <fmt/format.h>

#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/forest/xgboost_members.h"

namespace slipway::xgboost {
namespace {

constexpr std::string_view kCatsMembers[] = {"enc", "feature_segments", "sorted_idx"};
constexpr std::string_view kTextMembers[] = {"offsets", "values"};
constexpr std::string_view kNumberMembers[] = {"type", "values"};
constexpr double kMostWhole = 0x1p53;

Result<Json> TextCategories(const ModelValue& from, std::span<const double> values) {
  RETURN_IF_ERROR(OnlyMembers(from, kTextMembers));
  ASSIGN_OR_RETURN(const auto bytes, WholeNumbers("values", values, -128, 255));
  // XGBoost 3.1 and 3.2 count the characters of a pandas category where they mean its bytes: what
  // they save of others than ASCII is cut and shifted.
  if (std::any_of(bytes.begin(), bytes.end(), [](int32_t byte) { return byte < 0 || byte > 127; }))
    return Corruption("a category is not ASCII, and XGBoost does not save such names whole",
                      "train with names of ASCII characters, or with the categories' codes");
  ASSIGN_OR_RETURN(const auto ends, Numbers(from, "offsets"));
  ASSIGN_OR_RETURN(const auto offsets,
                   WholeNumbers("offsets", ends, 0, static_cast<int32_t>(bytes.size())));
  Json list = Json::array();
  for (size_t i = 1; i < offsets.size(); ++i) {
    if (offsets[i] < offsets[i - 1]) return Corruption("'offsets' does not ascend");
    std::string text;
    for (int32_t at = offsets[i - 1]; at < offsets[i]; ++at)
      text.push_back(static_cast<char>(bytes[static_cast<size_t>(at)]));
    list.push_back(std::move(text));
  }
  return list;
}

Result<Json> NumberCategories(const ModelValue& from, std::span<const double> values) {
  RETURN_IF_ERROR(OnlyMembers(from, kNumberMembers));
  Json list = Json::array();
  for (const double value : values) {
    if (!(value >= -kMostWhole && value <= kMostWhole) ||
        value != static_cast<double>(static_cast<int64_t>(value))) {
      return Corruption(fmt::format("category {} is not a whole number", FormatDouble(value)));
    }
    list.push_back(static_cast<int64_t>(value));
  }
  return list;
}

}  // namespace

Status ReadCategories(const ModelValue& model, Forest* forest) {
  if (model.Find("cats") == nullptr) return {};
  ASSIGN_OR_RETURN(const ModelValue* const cats, Object(model, "cats"));
  RETURN_IF_ERROR(OnlyMembers(*cats, kCatsMembers));
  ASSIGN_OR_RETURN(const auto features, Objects(*cats, "enc"));
  if (features.empty()) return {};
  if (features.size() != static_cast<size_t>(forest->feature_count)) {
    return Corruption(fmt::format("'enc' has categories of {} features and not {}", features.size(),
                                  forest->feature_count));
  }
  Json lists = Json::array();
  std::vector<int32_t> found;
  for (size_t i = 0; i < features.size(); ++i) {
    ASSIGN_OR_RETURN(const auto values, Numbers(features[i], "values"));
    const bool texts = features[i].Find("offsets") != nullptr;
    if (values.empty()) continue;
    Result<Json> list =
        texts ? TextCategories(features[i], values) : NumberCategories(features[i], values);
    if (!list.ok()) return list.error().Within(fmt::format("categories of feature {}", i));
    found.push_back(static_cast<int32_t>(i));
    lists.push_back(std::move(*list));
  }
  if (found.empty()) return {};
  if (found != forest->categorical_features)
    return Corruption("'enc' and 'feature_types' disagree on which features are categories");
  forest->pandas_categorical = DumpJson(lists);
  return {};
}

}  // namespace slipway::xgboost
