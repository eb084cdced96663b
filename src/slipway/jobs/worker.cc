#include "slipway/jobs/worker.h"

#include <cstdlib>

#include <unistd.h>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/hash.h"
#include "slipway/base/json.h"
#include "slipway/base/mutex.h"
#include "slipway/base/process.h"
#include "slipway/base/text.h"

namespace slipway {
namespace {

constexpr int kMessageFd = 3;

WorkerLimits& Limits() {
  static WorkerLimits limits;
  return limits;
}

// On one line: an error is one.
std::string LastLines(const std::string& path, size_t bytes) {
  const auto text = ReadFile(path, 64 << 20);
  if (!text.ok()) return "";
  size_t from = 0;
  if (text->size() > bytes) {
    const size_t line = text->find('\n', text->size() - bytes);
    from = line == std::string::npos ? text->size() - bytes : line;
  }
  std::vector<std::string> lines;
  for (const std::string& line : Split(text->substr(from), '\n')) {
    if (const std::string_view words = Trim(line); !words.empty()) lines.emplace_back(words);
  }
  return Join(lines, " | ");
}

std::string WorkerExecutable(const WorkerRun& run) {
  if (!run.executable.empty()) return run.executable;
  const char* env = std::getenv("SLIPWAY_EXECUTABLE");
  return env != nullptr && *env != '\0' ? env : ExecutablePath();
}

// What the child said last: its result, its error, or nothing.
struct Answer {
  bool given = false;
  Result<Json> result = Error{};
};

void TakeLine(std::string_view line, const WorkerRun& run, Answer* answer) {
  auto message = ParseJson(line);
  if (!message.ok() || !message->is_object()) return;
  if (const Json* result = FindMember(*message, "result")) {
    answer->given = true;
    answer->result = *result;
  } else if (const Json* error = FindMember(*message, "error")) {
    answer->given = true;
    answer->result = Error{ErrorCodeFromName(error->value("code", "")), error->value("message", ""),
                           error->value("hint", "")};
  } else if (run.on_progress) {
    run.on_progress({message->value("stage", ""), message->value("part", -1.0),
                     message->value("rows", int64_t{0}), message->value("detail", "")});
  }
}

void WriteLine(const Json& message) {
  std::string line = DumpJson(message) + "\n";
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t n = ::write(kMessageFd, rest.data(), rest.size());
    if (n <= 0) return;  // the parent is gone, and so will we be
    rest.remove_prefix(static_cast<size_t>(n));
  }
}

// A worker that had less memory than it wanted says so in many ways.
Error MayBeForMemory(Error error) {
  if (Limits().memory_bytes == 0 || error.code == ErrorCode::kCancelled) return error;
  const std::string text = ToLower(error.message + error.hint);
  const bool memory = text.find("memory") != std::string::npos ||
                      text.find("bad_alloc") != std::string::npos ||
                      text.find("allocat") != std::string::npos;
  if (!memory) return error;
  error.hint += (error.hint.empty() ? "" : "; ") + std::string("a worker may use ") +
                std::to_string(Limits().memory_bytes >> 20) + " MiB (--worker-memory of the hub)";
  return error;
}

}  // namespace

void SetWorkerLimits(const WorkerLimits& limits) { Limits() = limits; }

Result<Json> RunWorker(const WorkerRun& run, const Json& task) {
  const std::string task_path = JoinPath(run.work_folder, "task-" + RandomId() + ".json");
  Json message = task;
  message["kind"] = run.kind;
  RETURN_IF_ERROR(WriteFileAtomic(task_path, DumpJson(message), 0600));
  Answer answer;
  ProcessOptions options;
  options.argv = {WorkerExecutable(run), "worker", task_path};
  options.log_path = run.log_path;
  options.cancel = run.cancel;
  options.also_cancel = run.also_cancel;
  options.max_memory_bytes = Limits().memory_bytes;
  options.max_seconds = Limits().seconds;
  options.nice = Limits().nice;
  options.on_line = [&](std::string_view line) { TakeLine(line, run, &answer); };
  auto exit = RunProcess(options);
  ::unlink(task_path.c_str());
  if (!exit.ok()) return exit.error();
  if (exit->cancelled) return Cancelled("aborted");
  if (exit->out_of_time) {
    return DeadlineExceeded("the worker had not done its task ('" + run.kind + "') after " +
                                std::to_string(static_cast<int64_t>(Limits().seconds)) +
                                " s and was ended",
                            "give it less to do, or more time: --worker-minutes of the hub");
  }
  if (answer.given && !answer.result.ok()) return MayBeForMemory(answer.result.error());
  if (answer.given) return std::move(answer.result);
  std::string hint = exit->signal == 9 ? "the system may have run out of memory" : "";
  const std::string tail = LastLines(run.log_path, 400);
  if (!tail.empty()) hint += (hint.empty() ? "" : "; ") + std::string("its log ends with: ") + tail;
  return MayBeForMemory(
      Internal("the worker process ended before it was done: " + DescribeExit(*exit), hint));
}

void WorkerReporter::Progress(const WorkerProgress& progress) {
  static Mutex mutex;
  static double last = 0;
  static std::string last_stage;
  MutexLock lock(mutex);
  const double now = SteadySeconds();
  if (now - last < 0.05 && progress.stage == last_stage) return;
  last = now;
  last_stage = progress.stage;
  WriteLine({{"stage", progress.stage},
             {"part", progress.part},
             {"rows", progress.rows},
             {"detail", progress.detail}});
}

void WorkerReporter::Finish(const Result<Json>& result) {
  if (result.ok()) {
    WriteLine({{"result", *result}});
  } else {
    const Error& error = result.error();
    WriteLine({{"error",
                {{"code", ErrorCodeName(error.code)},
                 {"message", error.message},
                 {"hint", error.hint}}}});
  }
}

}  // namespace slipway
