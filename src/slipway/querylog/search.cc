#include "slipway/querylog/search.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/csv/byte_source.h"

namespace slipway {
namespace {

constexpr size_t kMostIdBytes = 128;
constexpr size_t kChunkBytes = size_t{1} << 20;
constexpr size_t kLineBytes = size_t{64} << 20;      // longer: the file is none of a node's
constexpr size_t kWholeLineBytes = size_t{1} << 20;  // longer: without features and answer
constexpr size_t kKeptBytes = size_t{8} << 20;       // of all lines together

// What the node itself wrote of a line: everything before the client's own texts. No text of a
// member before them can hold these bytes: its quotes are escaped.
std::string_view HeadOf(std::string_view line) {
  for (const std::string_view next : {",\"error\":{", ",\"record\":"}) {
    if (const size_t at = line.find(next); at != std::string_view::npos) return line.substr(0, at);
  }
  return line.ends_with('}') ? line.substr(0, line.size() - 1) : line;
}

class Finder {
 public:
  Finder(const QueryLogSearch& search, double until, FoundQueries* found)
      : search_(search),
        needle_("\"request_id\":\"" + search.request_id + "\""),
        until_(until),
        found_(found) {}

  // False: the time is over.
  Result<bool> Read(const std::string& path) {
    ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source, ByteSource::Open(path));
    std::string buffer;
    first_ = true;
    for (;;) {
      if (until_ > 0 && SteadySeconds() > until_) return false;
      const size_t rest = buffer.size();
      if (rest > kLineBytes) return Corruption("'" + path + "' has a line without an end");
      buffer.resize(rest + kChunkBytes);  // zeros: JSON lines hold none
      const Result<size_t> read = source->Read(buffer.data() + rest, kChunkBytes);
      if (!read.ok()) {  // what came before the tear counts
        buffer.resize(std::min(buffer.find('\0', rest), buffer.size()));
        Look(std::string_view(buffer).substr(0, buffer.rfind('\n') + 1));
        return read.error();
      }
      const size_t got = *read;
      buffer.resize(rest + got);
      found_->bytes += static_cast<int64_t>(got);
      const bool last = got < kChunkBytes;
      const size_t end = last ? buffer.size() : buffer.rfind('\n') + 1;
      Look(std::string_view(buffer).substr(0, end));
      buffer.erase(0, end);
      if (last) return true;
    }
  }

 private:
  void Look(std::string_view text) {
    if (first_ && !text.empty()) {
      first_ = false;
      TakeTime(text.substr(0, text.find('\n')));
    }
    while (!text.empty()) {
      const void* at = ::memmem(text.data(), text.size(), needle_.data(), needle_.size());
      if (at == nullptr) return;
      const auto offset = static_cast<size_t>(static_cast<const char*>(at) - text.data());
      const size_t begin = text.rfind('\n', offset) + 1;  // npos + 1 is 0
      const size_t end = std::min(text.find('\n', offset), text.size());
      Take(text.substr(begin, end - begin));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  }

  // Files are looked at from the newest: the last one's first line is the oldest.
  void TakeTime(std::string_view line) {
    const auto json = ParseJson(std::string(HeadOf(line)) + "}");
    if (json.ok() && json->is_object())
      found_->since = json->value("time", Json()).is_string() ? (*json)["time"].get<std::string>()
                                                              : std::string();
  }

  void Take(std::string_view line) {
    // In a feature's text the needle proves nothing: the node's own member does.
    auto head = ParseJson(std::string(HeadOf(line)) + "}");
    if (!head.ok() || !head->is_object()) return;
    const Json* id = FindMember(*head, "request_id");
    if (id == nullptr || *id != search_.request_id) return;
    ++found_->count;
    if (found_->lines.size() >= search_.most_lines) return;
    if (line.size() <= kWholeLineBytes && kept_ + line.size() <= kKeptBytes) {
      kept_ += line.size();
      auto whole = ParseJson(line, {.max_bytes = kWholeLineBytes, .max_depth = 256});
      if (whole.ok()) {
        found_->lines.push_back(*std::move(whole));
        return;
      }
    }
    (*head)["left_out"] = true;
    found_->lines.push_back(*std::move(head));
  }

  const QueryLogSearch& search_;
  const std::string needle_;
  const double until_;
  FoundQueries* const found_;
  size_t kept_ = 0;
  bool first_ = true;
};

// Names sort by time.
Result<std::vector<std::string>> FilesOf(const std::string& path) {
  if (!IsDirectory(path)) {
    if (!PathExists(path)) return NotFound("there is no query log at '" + path + "'");
    return std::vector<std::string>{path};
  }
  ASSIGN_OR_RETURN(std::vector<std::string> names, ListDir(path));
  std::erase_if(names, [](const std::string& name) {
    return !name.starts_with("queries-") || name.find(".jsonl") == std::string::npos;
  });
  std::sort(names.rbegin(), names.rend());
  for (std::string& name : names) name = JoinPath(path, name);
  return names;
}

}  // namespace

bool IsRequestId(std::string_view id) {
  return !id.empty() && id.size() <= kMostIdBytes && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("-_.:/+=@").find(c) != std::string_view::npos;
  });
}

std::vector<Json> LastRequest(const std::vector<Json>& lines) {
  std::vector<Json> out;
  const auto same = [&](const Json& line, const char* key) {
    const Json *a = FindMember(line, key), *b = FindMember(lines.back(), key);
    return a != nullptr && b != nullptr && *a == *b;
  };
  for (const Json& line : lines) {
    if (same(line, "time") && same(line, "service") && same(line, "endpoint")) out.push_back(line);
  }
  if (out.empty() && !lines.empty()) out.push_back(lines.back());  // no node's lines
  return out;
}

Result<FoundQueries> FindInQueryLog(const std::string& path, const QueryLogSearch& search) {
  if (!IsRequestId(search.request_id))
    return InvalidArgument("'" + search.request_id.substr(0, 200) + "' is no request id",
                           "it is what the answer's header X-Request-Id says: letters, digits and "
                           "-_.:/+=@");
  ASSIGN_OR_RETURN(const std::vector<std::string> files, FilesOf(path));
  FoundQueries found;
  Finder finder(search, search.seconds > 0 ? SteadySeconds() + search.seconds : 0, &found);
  for (const std::string& file : files) {
    const auto whole = finder.Read(file);
    if (!whole.ok() && whole.error().code == ErrorCode::kNotFound) continue;  // just rotated away
    ++found.files;
    if (!whole.ok()) found.damaged = whole.error().message;
    if (whole.ok() && !*whole) found.complete = false;
    if (!found.lines.empty() || !found.complete) break;
  }
  return found;
}

}  // namespace slipway
