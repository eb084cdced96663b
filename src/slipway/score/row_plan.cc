#include "slipway/score/row_plan.h"

#include <algorithm>

namespace slipway {

size_t RowPlan::memory_bytes() const {
  size_t bytes = groups.size() * sizeof(RowGroup) + planes.size() * sizeof(RowPlane) +
                 steps.size() + leaves_begin.size() * 4 + values.size() * sizeof(double);
  for (const RowCategories& categories : category_cuts) {
    bytes += categories.keep.size();
    for (const auto& cuts : categories.chunks) bytes += cuts.size() * sizeof(RowCategoryCut);
  }
  return bytes;
}

namespace {

// A leaf takes about 100 bytes of a model file.
constexpr size_t kKeepBytesPerLeaf = 80;

void Densify(const BitvectorPlan& bits, RowPlan* plan) {
  size_t codes = 0;
  for (const RowCategories& categories : plan->category_cuts)
    codes += categories.chunks.size() * 16;
  if (codes * plan->plane_bytes > plan->values.size() * kKeepBytesPerLeaf) return;
  for (RowCategories& categories : plan->category_cuts) {
    const size_t bytes = plan->plane_bytes;
    categories.keep.assign(categories.chunks.size() * 16 * bytes, 0xFF);
    for (size_t chunk = 0; chunk < categories.chunks.size(); ++chunk) {
      for (const RowCategoryCut& cut : categories.chunks[chunk]) {
        const auto& clear = bits.category_cuts[cut.category_cut].clear;
        for (size_t code = 0; code < 16; ++code)
          categories.keep[(chunk * 16 + code) * bytes + cut.position] &=
              static_cast<uint8_t>(~clear[code]);
      }
    }
    categories.chunks = {};
  }
}

}  // namespace

bool MakeRowPlan(const std::vector<RowTree>& trees, const BitvectorPlan& bits, int lanes,
                 RowPlan* plan) {
  plan->lanes = lanes;
  const size_t width = static_cast<size_t>(lanes);
  for (size_t first = 0; first < trees.size(); first += width) {
    const size_t count = std::min(width, trees.size() - first);
    RowGroup group;
    group.planes_begin = static_cast<uint32_t>(plan->planes.size());
    group.steps_begin = static_cast<uint32_t>(plan->steps.size() / (kRowStepBytes * width));
    size_t planes = 0;
    for (size_t i = 0; i < count; ++i) planes = std::max(planes, trees[first + i].planes.size());
    if (planes > kMaxRowPlanes) return false;
    group.plane_count = static_cast<uint32_t>(planes);
    for (size_t plane = planes; plane-- > 0;) {
      size_t steps = 0;
      for (size_t i = 0; i < count; ++i) {
        const RowTree& tree = trees[first + i];
        if (plane < tree.planes.size()) steps = std::max(steps, tree.planes[plane].size());
      }
      for (size_t step = 0; step < steps; ++step) {
        const size_t at = plan->steps.size();
        plan->steps.resize(at + kRowStepBytes * width);
        for (size_t i = 0; i < width; ++i) {
          RowCut cut;
          if (i < count && plane < trees[first + i].planes.size() &&
              step < trees[first + i].planes[plane].size()) {
            cut = trees[first + i].planes[plane][step];
          }
          plan->steps[at + i] = cut.column;
          plan->steps[at + width + i] = cut.bound;
          plan->steps[at + 2 * width + i] = cut.keep;
        }
      }
      plan->planes.push_back({static_cast<uint32_t>(plan->steps.size() / (kRowStepBytes * width))});
    }
    for (size_t i = 0; i < count; ++i) {
      const RowTree& tree = trees[first + i];
      for (const RowTree::Category& category : tree.categories) {
        const size_t slot = static_cast<size_t>(category.slot);
        const size_t chunk = static_cast<size_t>(category.chunk);
        if (plan->category_cuts.size() <= slot) plan->category_cuts.resize(slot + 1);
        auto& chunks = plan->category_cuts[slot].chunks;
        if (chunks.size() <= chunk) chunks.resize(chunk + 1);
        const size_t position = plan->plane_bytes + category.plane * width + i;
        chunks[chunk].push_back({static_cast<uint32_t>(position), category.category_cut});
      }
      plan->leaves_begin.push_back(static_cast<uint32_t>(plan->values.size()));
      plan->values.insert(plan->values.end(), tree.values.begin(), tree.values.end());
    }
    plan->plane_bytes += planes * width;
    plan->groups.push_back(group);
  }
  if (plan->category_cuts.empty()) return true;
  if (plan->plane_bytes > kMaxRowPlaneBytes) return false;
  Densify(bits, plan);
  return true;
}

}  // namespace slipway
