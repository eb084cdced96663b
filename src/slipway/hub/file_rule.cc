#include "slipway/hub/file_rule.h"

#include <algorithm>
#include <filesystem>

#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/dataset/files.h"

namespace slipway {
namespace {

bool IsIn(const std::string& path, const std::string& folder) {
  return path == folder || folder == "/" || path.starts_with(folder + "/");
}

// The part without wildcards.
std::string FixedPart(const std::string& path) {
  const size_t wild = path.find_first_of("*?[");
  return wild == std::string::npos ? path : DirName(path.substr(0, wild + 1));
}

}  // namespace

Result<FileRule> FileRule::Make(const std::vector<std::string>& folders, const std::string& home) {
  FileRule rule;
  std::error_code error;
  rule.home_ = std::filesystem::canonical(home, error).string();
  if (error) return FileError("open the home", home, error.value());
  for (const std::string& folder : folders) {
    const std::string real = std::filesystem::canonical(folder, error).string();
    if (error) return FileError("allow", folder, error.value());
    if (IsIn(real, rule.home_)) {
      return InvalidArgument("--allow-path '" + folder + "' is in the hub's own home '" + home +
                                 "', whose keys and tokens no caller may read",
                             "allow a folder outside the home");
    }
    std::string written = AbsolutePath(folder);
    while (written.size() > 1 && written.ends_with('/')) written.pop_back();
    rule.real_.push_back(real);
    rule.written_.push_back(real);
    if (written != real) rule.written_.push_back(std::move(written));
  }
  return rule;
}

bool FileRule::IsWrittenBelow(const std::string& path) const {
  if (!path.starts_with("/") || (path + "/").find("/../") != std::string::npos) return false;
  return std::any_of(written_.begin(), written_.end(),
                     [&](const std::string& folder) { return IsIn(path, folder); });
}

bool FileRule::LeadsBelow(const std::string& path) const {
  std::error_code error;
  const std::string real = std::filesystem::weakly_canonical(path, error).string();
  if (error || IsIn(real, home_)) return false;
  return std::any_of(real_.begin(), real_.end(),
                     [&](const std::string& folder) { return IsIn(real, folder); });
}

bool FileRule::LeadsBelow(const std::vector<std::string>& files) const {
  return std::all_of(files.begin(), files.end(),
                     [&](const std::string& file) { return LeadsBelow(file); });
}

Status FileRule::CheckNamed(const std::vector<std::string>& paths) const {
  for (const std::string& path : paths) {
    if (!IsWrittenBelow(path) || !LeadsBelow(FixedPart(path))) return Refusal(path);
  }
  return CheckStored(paths);
}

Status FileRule::CheckStored(const std::vector<std::string>& paths) const {
  for (const std::string& path : paths) {
    if (!IsWrittenBelow(path)) continue;
    const auto files = ResolveFiles({path});  // what matches nothing is told by who reads it
    if (files.ok() ? !LeadsBelow(*files) : !LeadsBelow(FixedPart(path))) return Refusal(path);
  }
  return {};
}

Error FileRule::Refusal(const std::string& path) const {
  if (real_.empty()) {
    return PermissionDenied(
        "'" + path + "' is not below a folder that this hub reads for callers over HTTP",
        "it reads none; start it with: slipway hub --allow-path DIR");
  }
  return PermissionDenied("'" + path +
                              "' is not below a folder that this hub reads for callers over HTTP, "
                              "leads out of it, or leads into the hub's own home",
                          "it reads " + QuotedList(real_) + ", except its home");
}

}  // namespace slipway
