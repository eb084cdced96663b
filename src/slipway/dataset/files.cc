#include "slipway/dataset/files.h"

#include <algorithm>

#include <glob.h>
#include <sys/stat.h>

#include "slipway/base/mutex.h"

namespace slipway {
namespace {

Mutex g_input_mutex;
std::shared_ptr<ByteSource> g_input GUARDED_BY(g_input_mutex);

bool HasPattern(const std::string& path) { return path.find_first_of("*?[") != std::string::npos; }

Result<std::vector<std::string>> Expand(const std::string& pattern) {
  glob_t found{};
  const int rc = glob(pattern.c_str(), 0, nullptr, &found);
  std::vector<std::string> out;
  for (size_t i = 0; rc == 0 && i < found.gl_pathc; ++i) {
    struct stat info{};
    const char* path = found.gl_pathv[i];
    if (stat(path, &info) == 0 && !S_ISDIR(info.st_mode)) out.emplace_back(path);
  }
  globfree(&found);
  if (!out.empty()) return out;
  return NotFound("no file matches '" + pattern + "'", "check the folder and the pattern");
}

}  // namespace

Result<std::vector<std::string>> ResolveFiles(const std::vector<std::string>& paths) {
  if (paths.empty()) return InvalidArgument("no files are named", "give a path or a pattern");
  std::vector<std::string> out;
  for (const std::string& path : paths) {
    if (path == kStandardInput) {
      if (paths.size() > 1)
        return InvalidArgument("standard input ('-') cannot be read together with files");
      return paths;
    }
    struct stat info{};
    if (stat(path.c_str(), &info) == 0) {
      if (S_ISDIR(info.st_mode)) {
        return InvalidArgument("'" + path + "' is a folder",
                               "name the files in it, for example '" + path + "/*.csv'");
      }
      out.push_back(path);
    } else if (HasPattern(path)) {
      ASSIGN_OR_RETURN(const std::vector<std::string> found, Expand(path));
      out.insert(out.end(), found.begin(), found.end());
    } else {
      return NotFound("there is no file '" + path + "'");
    }
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

Result<std::shared_ptr<ByteSource>> PeekStandardInput() {
  MutexLock lock(g_input_mutex);
  if (!g_input) {
    ASSIGN_OR_RETURN(g_input, ByteSource::Open(std::string(kStandardInput)));
  }
  return g_input;
}

Result<std::shared_ptr<ByteSource>> TakeStandardInput() {
  ASSIGN_OR_RETURN(std::shared_ptr<ByteSource> out, PeekStandardInput());
  MutexLock lock(g_input_mutex);
  g_input.reset();
  return out;
}

}  // namespace slipway
