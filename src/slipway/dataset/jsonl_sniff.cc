#include <unordered_map>

#include "slipway/dataset/json_line.h"
#include "slipway/dataset/jsonl_source.h"
#include "slipway/table/cell.h"

namespace slipway {

struct JsonLinesSniffer::Impl {
  JsonLineParser parser;
  std::unordered_map<std::string, size_t> index;
  std::vector<std::string> names;
  std::vector<TypeGuesser> guessers;
};

JsonLinesSniffer::JsonLinesSniffer() : impl_(std::make_unique<Impl>()) {}
JsonLinesSniffer::~JsonLinesSniffer() = default;

Status JsonLinesSniffer::Add(std::string_view head, bool whole_file, int64_t max_lines) {
  if (head.starts_with("\xEF\xBB\xBF")) head.remove_prefix(3);
  if (!whole_file && head.find('\n') != std::string_view::npos)
    head = head.substr(0, head.rfind('\n') + 1);
  const size_t first = head.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return InvalidArgument("the file is empty");
  if (head[first] == '[') {
    return InvalidArgument("it is a JSON array, not JSON lines",
                           "write one object per line: jq -c '.[]' FILE");
  }
  std::string padded(head);
  padded.append(JsonLineParser::Padding(), '\0');
  std::string_view rest(padded.data(), head.size());
  int64_t lines = 0;
  std::string first_reason;
  for (int64_t number = 1; !rest.empty() && lines < max_lines; ++number) {
    const size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.find_first_not_of(" \t\r\n") == std::string_view::npos) continue;
    std::string reason;
    if (!impl_->parser.Parse(line, &reason)) {
      if (first_reason.empty()) first_reason = "line " + std::to_string(number) + ": " + reason;
      continue;
    }
    ++lines;
    for (const JsonMember& member : impl_->parser.members()) {
      const auto [it, added] = impl_->index.emplace(std::string(member.key), impl_->names.size());
      if (added) {
        impl_->names.push_back(it->first);
        impl_->guessers.emplace_back();
      }
      impl_->guessers[it->second].See(member.text);
    }
  }
  if (lines == 0) {
    return InvalidArgument("no line is a JSON object; " + first_reason,
                           "JSON lines hold one object per line");
  }
  return {};
}

Schema JsonLinesSniffer::schema() const {
  Schema out;
  for (size_t i = 0; i < impl_->names.size(); ++i) {
    out.fields.push_back({impl_->names[i], impl_->guessers[i].type()});
  }
  return out;
}

}  // namespace slipway
