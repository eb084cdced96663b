#include "slipway/forest/lightgbm_text.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include <fmt/format.h>

#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/forest/lightgbm_lines.h"
#include "slipway/forest/lightgbm_objective.h"
#include "slipway/forest/lightgbm_tree.h"

namespace slipway {
namespace {

using lightgbm::BadLine;
using lightgbm::Lines;
using lightgbm::Words;

constexpr std::string_view kCutOff = "the file is cut off";
constexpr size_t kMaxBytes = size_t{2} << 30;
constexpr std::string_view kHeaderKeys[] = {
    "version",        "num_class",       "num_tree_per_iteration",
    "label_index",    "max_feature_idx", "objective",
    "average_output", "feature_names",   "monotone_constraints",
    "feature_infos",  "tree_sizes"};

struct Entry {
  std::string_view text;
  int64_t line = 0;
};
using Header = std::map<std::string_view, Entry>;

Result<Header> ReadHeader(Lines* lines) {
  Header header;
  std::string_view line;
  while (lines->Peek(&line) && !line.starts_with("Tree=") && line != "end of trees") {
    lines->Next(&line);
    if (line.empty()) continue;
    const size_t equals = std::min(line.find('='), line.size());
    const std::string_view key = line.substr(0, equals);
    if (std::find(std::begin(kHeaderKeys), std::end(kHeaderKeys), key) == std::end(kHeaderKeys)) {
      return BadLine(lines->number(), fmt::format("unknown key '{}'", key.substr(0, 40)));
    }
    const std::string_view value = equals == line.size() ? "" : line.substr(equals + 1);
    if (!header.emplace(key, Entry{value, lines->number()}).second) {
      return BadLine(lines->number(), fmt::format("key '{}' stands twice", key));
    }
  }
  return header;
}

Result<std::string_view> Required(const Header& header, std::string_view key) {
  const auto found = header.find(key);
  if (found == header.end()) return Corruption(fmt::format("the header has no '{}'", key));
  return found->second.text;
}

Result<int32_t> RequiredInt(const Header& header, std::string_view key, int32_t least,
                            int32_t most) {
  ASSIGN_OR_RETURN(const std::string_view text, Required(header, key));
  return lightgbm::ParseInt(key, text, least, most);
}

// LightGBM writes a categorical feature's info as values joined by colons, a numeric one's as
// [least:most].
bool IsCategoricalInfo(std::string_view info) { return !info.starts_with('[') && info != "none"; }

Status ReadFeatures(const Header& header, Forest* forest) {
  constexpr int32_t kMostFeatures = 10'000'000;
  ASSIGN_OR_RETURN(const int32_t last,
                   RequiredInt(header, "max_feature_idx", -1, kMostFeatures - 1));
  forest->feature_count = last + 1;
  const size_t count = static_cast<size_t>(forest->feature_count);
  ASSIGN_OR_RETURN(const std::string_view names, Required(header, "feature_names"));
  std::set<std::string_view> seen;
  for (const std::string_view name : Words(names)) {
    if (!seen.insert(name).second)
      return Corruption(fmt::format("feature name '{}' stands twice", name.substr(0, 60)));
    if (!IsValidUtf8(name)) return Corruption("a feature name is not UTF-8");
    forest->feature_names.emplace_back(name);
  }
  if (forest->feature_names.size() != count) {
    return Corruption(
        fmt::format("key 'feature_names' has {} names for {} features", seen.size(), count));
  }
  ASSIGN_OR_RETURN(const std::string_view infos_text, Required(header, "feature_infos"));
  const std::vector<std::string_view> infos = Words(infos_text);
  if (infos.size() != count) {
    return Corruption(
        fmt::format("key 'feature_infos' has {} values for {} features", infos.size(), count));
  }
  for (size_t i = 0; i < count; ++i) {
    if (IsCategoricalInfo(infos[i]))
      forest->categorical_features.push_back(static_cast<int32_t>(i));
  }
  if (const auto found = header.find("monotone_constraints"); found != header.end()) {
    ASSIGN_OR_RETURN(const auto constraints,
                     lightgbm::ParseInts("monotone_constraints", found->second.text, count));
    (void)constraints;  // they bound training only
  }
  return {};
}

Status ReadSettings(const Header& header, Forest* forest) {
  ASSIGN_OR_RETURN(const std::string_view version, Required(header, "version"));
  if (version != "v3" && version != "v4") {
    return Corruption(
        fmt::format("LightGBM text version '{}' is not supported", version.substr(0, 20)),
        "versions v3 and v4 are; load the model with a LightGBM of version 3 or 4 and save it "
        "again");
  }
  forest->library = fmt::format("lightgbm {}", version);
  constexpr int32_t kMostClasses = 1 << 24;
  ASSIGN_OR_RETURN(const int32_t num_class, RequiredInt(header, "num_class", 1, kMostClasses));
  ASSIGN_OR_RETURN(forest->outputs, RequiredInt(header, "num_tree_per_iteration", 1, kMostClasses));
  if (num_class != forest->outputs) {
    return Corruption(
        fmt::format("{} classes with {} trees per iteration", num_class, forest->outputs));
  }
  RETURN_IF_ERROR(RequiredInt(header, "label_index", -1, INT32_MAX));
  if (const auto found = header.find("average_output"); found != header.end()) {
    if (!found->second.text.empty())
      return BadLine(found->second.line, "key 'average_output' takes no value");
    forest->average = true;
  }
  RETURN_IF_ERROR(ReadFeatures(header, forest));
  forest->kind = PredictionKind::kRaw;  // a custom objective writes no objective
  if (const auto found = header.find("objective"); found != header.end()) {
    if (Status status = lightgbm::ReadObjective(found->second.text, num_class, forest);
        !status.ok()) {
      return status.error().Within(fmt::format("line {}", found->second.line));
    }
  }
  return {};
}

Result<std::vector<size_t>> ReadTreeSizes(const Header& header) {
  std::vector<size_t> sizes;
  const auto found = header.find("tree_sizes");
  if (found == header.end()) return sizes;
  for (const std::string_view word : Words(found->second.text)) {
    size_t size = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), size);
    if (error != std::errc() || end != word.data() + word.size()) {
      return BadLine(found->second.line, "key 'tree_sizes': not a size");
    }
    sizes.push_back(size);
  }
  return sizes;
}

Status ReadTrees(Lines* lines, const std::vector<size_t>& sizes, Forest* forest) {
  std::string_view line;
  while (lines->Peek(&line)) {
    if (line.empty()) {
      lines->Next(&line);
      continue;
    }
    if (!line.starts_with("Tree=")) break;
    const size_t begin = lines->offset();
    lines->Next(&line);
    const size_t number = forest->trees.size();
    if (line.substr(5) != std::to_string(number)) {
      return BadLine(lines->number(),
                     fmt::format("'{}' where tree {} belongs", line.substr(0, 40), number));
    }
    Result<Tree> tree = lightgbm::ParseTreeBlock(lines);
    if (!tree.ok()) return tree.error().Within(fmt::format("tree {}", number));
    forest->trees.push_back(std::move(*tree));
    while (lines->Peek(&line) && line.empty()) lines->Next(&line);
    // LightGBM finds trees by these sizes; line ends changed on the way make them wrong, harmlessly
    // for us.
    const size_t size = lines->offset() - begin;
    if (number < sizes.size() && sizes[number] != size && !lines->saw_carriage_return()) {
      return Corruption(
          fmt::format("tree {} has {} bytes and the header says {}", number, size, sizes[number]),
          "the file was changed or cut after LightGBM wrote it");
    }
  }
  return {};
}

// "[categorical_feature: 3,7]" of the parameters, when it lists column numbers.
void ReadCategoricalParameter(std::string_view line, Forest* forest) {
  constexpr std::string_view kStart = "[categorical_feature: ";
  if (!line.starts_with(kStart) || !line.ends_with(']')) return;
  line = line.substr(kStart.size(), line.size() - kStart.size() - 1);
  std::set<int32_t> features;
  for (const std::string& word : Split(line, ',')) {
    const std::optional<int64_t> feature = ParseInt64(word);
    if (!feature || *feature < 0 || *feature >= forest->feature_count) return;
    features.insert(static_cast<int32_t>(*feature));
  }
  forest->categorical_features.assign(features.begin(), features.end());
}

Status ReadPandasCategorical(std::string_view text, Forest* forest) {
  if (text == "null" || text == "[]") return {};
  const Result<Json> parsed = ParseJson(text);
  if (!parsed.ok())
    return Corruption(fmt::format("pandas_categorical: {}", parsed.error().message));
  const Json& json = *parsed;
  if (!json.is_array()) return Corruption("pandas_categorical is not a list");
  for (const Json& categories : json) {
    if (!categories.is_array()) return Corruption("pandas_categorical is not a list of lists");
  }
  forest->pandas_categorical = std::string(text);
  return {};
}

// What stands after the trees: importances, parameters, a parser, pandas' categories.
Status ReadTail(Lines* lines, Forest* forest) {
  std::string_view line, open;
  bool ended = false;
  while (lines->Next(&line)) {
    if (line == "end of trees") {
      ended = true;
    } else if (!ended && (line == "feature_importances:" || line == "feature importances:")) {
      ended = true;  // the first v3 writers had no end mark
    } else if (!ended && !line.empty()) {
      return BadLine(lines->number(), fmt::format("'{}' where a tree or 'end of trees' belongs",
                                                  line.substr(0, 40)));
    } else if (line == "parameters:" || line == "parser:") {
      if (!open.empty())
        return BadLine(lines->number(), fmt::format("'{}' inside '{}'", line, open));
      open = line;
    } else if (line == "end of parameters" || line == "end of parser") {
      open = {};
    } else if (open == "parameters:") {
      ReadCategoricalParameter(line, forest);
    } else if (open.empty() && line.starts_with("pandas_categorical:")) {
      if (Status status = ReadPandasCategorical(line.substr(19), forest); !status.ok()) {
        return status.error().Within(fmt::format("line {}", lines->number()));
      }
    }
  }
  if (!ended) return Corruption(fmt::format("{}: it has no 'end of trees'", kCutOff));
  if (!open.empty()) return Corruption(fmt::format("{} inside '{}'", kCutOff, open));
  return {};
}

Result<Forest> ParseText(std::string_view text) {
  if (text.size() > kMaxBytes) return InvalidArgument("the model is larger than 2 GiB");
  Lines lines(text);
  std::string_view line;
  if (!lines.Next(&line) || line != "tree") {
    return Corruption("the first line is not 'tree'", "expected a model saved by LightGBM as text");
  }
  ASSIGN_OR_RETURN(const Header header, ReadHeader(&lines));
  Forest forest;
  RETURN_IF_ERROR(ReadSettings(header, &forest));
  ASSIGN_OR_RETURN(const std::vector<size_t> sizes, ReadTreeSizes(header));
  RETURN_IF_ERROR(ReadTrees(&lines, sizes, &forest));
  RETURN_IF_ERROR(ReadTail(&lines, &forest));
  if (header.contains("tree_sizes") && sizes.size() != forest.trees.size()) {
    return Corruption(
        fmt::format("{} trees and the header says {}", forest.trees.size(), sizes.size()));
  }
  forest.iterations = static_cast<int>(forest.trees.size() / static_cast<size_t>(forest.outputs));
  RETURN_IF_ERROR(Validate(forest));
  return forest;
}

}  // namespace

Result<Forest> ParseLightGbmText(std::string_view text) {
  Result<Forest> forest = ParseText(text);
  if (!forest.ok()) return forest.error().Within("LightGBM model");
  return forest;
}

bool LooksLikeLightGbmText(std::string_view head) {
  return head.starts_with("tree\n") || head.starts_with("tree\r\n");
}

}  // namespace slipway
