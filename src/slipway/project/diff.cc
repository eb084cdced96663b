#include "slipway/project/diff.h"

#include <algorithm>
#include <set>
#include <utility>

#include "slipway/base/json.h"

namespace slipway {
namespace {

constexpr size_t kMaxShown = 120;

std::string ValueText(const Json* value) {
  if (value == nullptr) return "(none)";
  std::string text = value->is_string() ? value->get<std::string>() : DumpJson(*value);
  std::replace(text.begin(), text.end(), '\n', ' ');
  if (text.size() <= kMaxShown) return text;
  size_t cut = kMaxShown;
  while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) --cut;
  return text.substr(0, cut) + "...";
}

void Compare(const std::string& path, const Json* before, const Json* after,
             std::vector<std::string>* details) {
  if (before == nullptr && after == nullptr) return;
  if (before != nullptr && after != nullptr && *before == *after) return;
  const bool maps =
      before != nullptr && after != nullptr && before->is_object() && after->is_object();
  const bool lists = before != nullptr && after != nullptr && before->is_array() &&
                     after->is_array() &&
                     ((!before->empty() && before->front().is_structured()) ||
                      (!after->empty() && after->front().is_structured()));
  const size_t known = details->size();
  if (maps) {
    std::vector<std::string> keys;
    for (const auto& item : before->items()) keys.push_back(item.key());
    for (const auto& item : after->items()) {
      if (!before->contains(item.key())) keys.push_back(item.key());
    }
    for (const std::string& key : keys) {
      auto find = [&](const Json& json) { return json.contains(key) ? &json[key] : nullptr; };
      Compare(path.empty() ? key : path + "." + key, find(*before), find(*after), details);
    }
  } else if (lists) {
    for (size_t i = 0; i < std::max(before->size(), after->size()); ++i) {
      Compare(path + "[" + std::to_string(i) + "]", i < before->size() ? &(*before)[i] : nullptr,
              i < after->size() ? &(*after)[i] : nullptr, details);
    }
  } else {
    details->push_back(path + ": " + ValueText(before) + " -> " + ValueText(after));
  }
  // The same members in another order: what cannot be shown member by member.
  if (maps && details->size() == known)
    details->push_back((path.empty() ? "keys" : path) + ": the order of keys");
}

const Json& Section(const Json& project, const char* name) {
  static const Json empty = Json::object();
  auto it = project.find(name);
  return it == project.end() ? empty : *it;
}

void CompareSections(const Json& before, const Json& after, const char* section, const char* kind,
                     std::vector<Change>* changes) {
  const Json& old_members = Section(before, section);
  const Json& new_members = Section(after, section);
  std::set<std::string> names;
  for (const auto& item : old_members.items()) names.insert(item.key());
  for (const auto& item : new_members.items()) names.insert(item.key());
  for (const std::string& name : names) {
    if (!old_members.contains(name)) {
      changes->push_back({ChangeKind::kAdd, kind, name, {}});
    } else if (!new_members.contains(name)) {
      changes->push_back({ChangeKind::kRemove, kind, name, {}});
    } else if (old_members[name] != new_members[name]) {
      Change change{ChangeKind::kChange, kind, name, {}};
      Compare("", &old_members[name], &new_members[name], &change.details);
      changes->push_back(std::move(change));
    }
  }
}

std::string_view ChangeName(ChangeKind change) {
  return change == ChangeKind::kAdd ? "add" : change == ChangeKind::kRemove ? "remove" : "change";
}

}  // namespace

std::vector<Change> Diff(const std::optional<ProjectDefinition>& before,
                         const ProjectDefinition& after) {
  std::vector<Change> changes;
  const Json new_json = ProjectToJson(after);
  Json old_json = Json::object();
  if (!before) {
    changes.push_back({ChangeKind::kAdd, "project", after.name, {}});
  } else {
    old_json = ProjectToJson(*before);
    Change change{ChangeKind::kChange, "project", after.name, {}};
    for (const char* key : {"project", "description"}) {
      auto find = [&](const Json& json) { return json.contains(key) ? &json[key] : nullptr; };
      Compare(key, find(old_json), find(new_json), &change.details);
    }
    if (!change.details.empty()) changes.push_back(std::move(change));
  }
  const std::pair<const char*, const char*> sections[] = {{"datasets", "dataset"},
                                                          {"models", "model"},
                                                          {"recipes", "recipe"},
                                                          {"services", "service"},
                                                          {"scenarios", "scenario"}};
  for (const auto& [section, kind] : sections)
    CompareSections(old_json, new_json, section, kind, &changes);
  return changes;
}

std::string ChangesText(const std::vector<Change>& changes) {
  std::string out;
  for (const Change& change : changes) {
    const char* mark = change.change == ChangeKind::kAdd      ? "+ "
                       : change.change == ChangeKind::kRemove ? "- "
                                                              : "~ ";
    out += mark + change.kind + " " + change.name + "\n";
    for (const std::string& detail : change.details) out += "    " + detail + "\n";
  }
  return out;
}

Json ChangesToJson(const std::vector<Change>& changes) {
  Json out = Json::array();
  for (const Change& change : changes) {
    out.push_back({{"change", ChangeName(change.change)},
                   {"kind", change.kind},
                   {"name", change.name},
                   {"details", change.details}});
  }
  return out;
}

}  // namespace slipway
