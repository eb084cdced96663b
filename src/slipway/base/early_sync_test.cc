#include "slipway/base/early_sync.h"

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "slipway/base/file.h"
#include "slipway/base/process.h"

namespace slipway {
namespace {

constexpr int64_t kMuch = int64_t{64} << 20;

TEST(EarlySyncTest, SyncsAFileAndEnds) {
  auto dir = TempDir::Make();
  ASSERT_TRUE(dir.ok());
  const std::string path = dir->File("x");
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  ASSERT_GE(fd, 0);
  EarlySync sync;
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(write(fd, "12345678", 8), 8);
    sync.Grew(fd, kMuch);
  }
  EXPECT_EQ(sync.End(), 0);
  EXPECT_EQ(sync.End(), 0);
  EXPECT_EQ(ReadFile(path, 1000)->size(), 40u);
  close(fd);
}

TEST(EarlySyncTest, TellsOfAFailure) {
  int pipe_ends[2];
  ASSERT_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
  {
    EarlySync sync;
    sync.Grew(pipe_ends[1], 100);
    EXPECT_EQ(sync.End(), 0) << "a small file is left to its last fsync";
  }
  EarlySync sync;
  sync.Grew(pipe_ends[1], kMuch);
  EXPECT_EQ(sync.End(), EINVAL);
  close(pipe_ends[0]);
  close(pipe_ends[1]);
}

}  // namespace
}  // namespace slipway
