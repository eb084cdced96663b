#include "slipway/score/row_plan.h"

#include <algorithm>
#include <span>

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

bool MakeRowPlan(RowTrees all, const BitvectorPlan& bits, int lanes, RowPlan* plan) {
  plan->lanes = lanes;
  const size_t width = static_cast<size_t>(lanes), step_bytes = kRowStepBytes * width;
  const size_t trees = all.trees.size();
  const auto planes_begin = [&](size_t tree) {
    return tree == 0 ? 0U : all.trees[tree - 1].planes_end;
  };
  const auto plane_count = [&](size_t tree) {
    return size_t{all.trees[tree].planes_end} - planes_begin(tree);
  };
  // The cuts of a tree's plane.
  const auto cuts_of = [&](size_t tree, size_t plane) {
    if (plane >= plane_count(tree)) return std::span<const RowCut>();
    const size_t at = planes_begin(tree) + plane;
    const size_t begin = at == 0 ? 0 : all.plane_ends[at - 1];
    return std::span<const RowCut>(all.cuts).subspan(begin, all.plane_ends[at] - begin);
  };
  for (size_t first = 0; first < trees; first += width) {
    const size_t count = std::min(width, trees - first);
    RowGroup group;
    group.planes_begin = static_cast<uint32_t>(plan->planes.size());
    group.steps_begin = static_cast<uint32_t>(plan->steps.size() / step_bytes);
    size_t planes = 0;
    for (size_t i = 0; i < count; ++i) planes = std::max(planes, plane_count(first + i));
    if (planes > kMaxRowPlanes) return false;
    group.plane_count = static_cast<uint32_t>(planes);
    for (size_t plane = planes; plane-- > 0;) {
      size_t steps = 0;
      for (size_t i = 0; i < count; ++i) steps = std::max(steps, cuts_of(first + i, plane).size());
      const size_t at = plan->steps.size();
      plan->steps.resize(at + steps * step_bytes);
      // A lane with fewer cuts keeps all.
      for (size_t step = 0; step < steps; ++step)
        std::fill_n(plan->steps.data() + at + step * step_bytes + 2 * width, width, uint8_t{0xFF});
      for (size_t i = 0; i < count; ++i) {
        size_t to = at + i;
        for (const RowCut& cut : cuts_of(first + i, plane)) {
          plan->steps[to] = cut.column;
          plan->steps[to + width] = cut.bound;
          plan->steps[to + 2 * width] = cut.keep;
          to += step_bytes;
        }
      }
      plan->planes.push_back({static_cast<uint32_t>(plan->steps.size() / step_bytes)});
    }
    for (size_t i = 0; i < count; ++i) {
      const size_t tree = first + i;
      for (size_t c = tree == 0 ? 0 : all.trees[tree - 1].categories_end;
           c < all.trees[tree].categories_end; ++c) {
        const RowTrees::Category& category = all.categories[c];
        const size_t slot = static_cast<size_t>(category.slot);
        const size_t chunk = static_cast<size_t>(category.chunk);
        if (plan->category_cuts.size() <= slot) plan->category_cuts.resize(slot + 1);
        auto& chunks = plan->category_cuts[slot].chunks;
        if (chunks.size() <= chunk) chunks.resize(chunk + 1);
        const size_t position = plan->plane_bytes + category.plane * width + i;
        chunks[chunk].push_back({static_cast<uint32_t>(position), category.category_cut});
      }
      plan->leaves_begin.push_back(tree == 0 ? 0 : all.trees[tree - 1].values_end);
    }
    plan->plane_bytes += planes * width;
    plan->groups.push_back(group);
  }
  plan->values = std::move(all.values);
  if (plan->category_cuts.empty()) return true;
  if (plan->plane_bytes > kMaxRowPlaneBytes) return false;
  Densify(bits, plan);
  return true;
}

}  // namespace slipway
