#include "slipway/serve/process_figures.h"

#include <cstdio>
#include <ctime>

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

// A whole small file of /proc; empty when it cannot be read. (Their sizes read as 0.)
std::string ReadProc(const char* path) {
  std::string out;
  std::FILE* file = std::fopen(path, "re");
  if (file == nullptr) return out;
  char buffer[4096];
  out.assign(buffer, std::fread(buffer, 1, sizeof buffer, file));
  std::fclose(file);
  return out;
}

int64_t CountOpenFiles() {
  DIR* dir = ::opendir("/proc/self/fd");
  if (dir == nullptr) return 0;
  int64_t count = -3;  // ".", "..", and the one that reads
  while (::readdir(dir) != nullptr) ++count;
  ::closedir(dir);
  return count;
}

double StartTime() {
  // Field 22 of stat, in ticks since the boot; the name in field 2 may hold anything.
  const std::string stat = ReadProc("/proc/self/stat");
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return 0;
  const std::vector<std::string> fields = Split(std::string_view(stat).substr(name_end + 2), ' ');
  if (fields.size() < 20) return 0;
  timespec boot{};
  ::clock_gettime(CLOCK_BOOTTIME, &boot);
  const double since_boot =
      static_cast<double>(boot.tv_sec) + static_cast<double>(boot.tv_nsec) / 1e9;
  const double ticks = static_cast<double>(ParseInt64(fields[19]).value_or(0));
  const double age = since_boot - ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
  return static_cast<double>(NowMicros()) / 1e6 - age;
}

}  // namespace

ProcessFigures ReadProcessFigures() {
  static const double start = StartTime();
  ProcessFigures out;
  out.start_time_seconds = start;
  timespec cpu{};
  if (::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0)
    out.cpu_seconds = static_cast<double>(cpu.tv_sec) + static_cast<double>(cpu.tv_nsec) / 1e9;
  const std::vector<std::string> pages = Split(ReadProc("/proc/self/statm"), ' ');
  if (pages.size() >= 2) {
    const int64_t page = ::sysconf(_SC_PAGESIZE);
    out.virtual_bytes = ParseInt64(pages[0]).value_or(0) * page;
    out.resident_bytes = ParseInt64(pages[1]).value_or(0) * page;
  }
  out.open_fds = CountOpenFiles();
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) out.max_fds = static_cast<int64_t>(limit.rlim_cur);
  return out;
}

}  // namespace slipway
