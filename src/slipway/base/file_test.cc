#include "slipway/base/file.h"

#include <csignal>

#include <sys/resource.h>

#include <gtest/gtest.h>

#include "slipway/base/hash.h"
#include "slipway/base/process.h"

namespace slipway {
namespace {

TEST(File, WritesAtomicallyAndReadsBack) {
  auto dir = TempDir::Make();
  ASSERT_TRUE(dir.ok());
  const std::string path = dir->File("x");
  ASSERT_TRUE(WriteFileAtomic(path, "one").ok());
  ASSERT_TRUE(WriteFileAtomic(path, "two").ok());
  EXPECT_EQ(*ReadFile(path), "two");
  EXPECT_EQ(ListDir(dir->path())->size(), 1u);  // no temporary file is left
  EXPECT_FALSE(ReadFile(path, 2).ok());
  EXPECT_EQ(ReadFile(dir->File("none")).error().code, ErrorCode::kNotFound);
}

TEST(File, AFullDiskIsAnErrorThatSaysSoAndLeavesTheOldFile) {
  auto dir = TempDir::Make();
  const std::string path = dir->File("x");
  ASSERT_TRUE(WriteFileAtomic(path, "old").ok());
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = before;
  small.rlim_cur = 10;
  ::setrlimit(RLIMIT_FSIZE, &small);
  const Status status = WriteFileAtomic(path, std::string(1000, 'x'));
  ::setrlimit(RLIMIT_FSIZE, &before);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(*ReadFile(path), "old");
  EXPECT_EQ(ListDir(dir->path())->size(), 1u);
}

TEST(FileLock, IsHeldByOneAtATime) {
  auto dir = TempDir::Make();
  const std::string path = dir->File("lock");
  {
    auto first = FileLock::Acquire(path, 0);
    ASSERT_TRUE(first.ok());
    EXPECT_TRUE(FileLock::IsHeld(path));
    EXPECT_EQ(FileLock::Acquire(path, 0).error().code, ErrorCode::kUnavailable);
  }
  EXPECT_FALSE(FileLock::IsHeld(path));
  EXPECT_TRUE(FileLock::Acquire(path, 0).ok());
}

TEST(Hash, KnownValues) {
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Xxh3Stream stream;
  stream.Update("ab");
  stream.Update("c");
  EXPECT_EQ(stream.Hex(), Xxh3Hex128("abc"));
  EXPECT_NE(RandomId(), RandomId());
}

TEST(Process, GivesLinesExitCodeAndLog) {
  auto dir = TempDir::Make();
  std::vector<std::string> lines;
  ProcessOptions options;
  options.argv = {"/bin/sh", "-c",
                  "echo hello >&3; echo log; printf 'half' >&3; echo ' line' >&3; exit 3"};
  options.log_path = dir->File("log");
  options.on_line = [&](std::string_view line) { lines.emplace_back(line); };
  auto exit = RunProcess(options);
  ASSERT_TRUE(exit.ok());
  EXPECT_EQ(exit->code, 3);
  EXPECT_EQ(lines, (std::vector<std::string>{"hello", "half line"}));
  EXPECT_EQ(*ReadFile(options.log_path), "log\n");
}

TEST(Process, CancelEndsAChildThatIgnoresTheRequest) {
  std::atomic<bool> cancel{false};
  ProcessOptions options;
  options.argv = {"/bin/sh", "-c", "trap '' TERM; echo ready >&3; while :; do sleep 1; done"};
  options.cancel = &cancel;
  options.grace_seconds = 0;
  options.on_line = [&](std::string_view) { cancel = true; };
  auto exit = RunProcess(options);
  ASSERT_TRUE(exit.ok());
  EXPECT_TRUE(exit->cancelled);
  EXPECT_EQ(DescribeExit(*exit), "killed by signal 9 (Killed)");
}

}  // namespace
}  // namespace slipway
