#include "slipway/flow/job_runner.h"

#include <gtest/gtest.h>

#include "slipway/registry/test_home.h"

namespace slipway {
namespace {

// Runs one piece of work to its end, and gives how its job ended.
JobStatus EndOf(std::function<Result<ActivityRecord>(JobRunner&, const ActivityContext&)> run) {
  const TestHome home;
  const auto registry = Registry::OpenForWriting(home.path, "test");
  EXPECT_TRUE(registry.ok());
  JobRunner runner(**registry);
  ProjectDefinition project;
  project.name = "p";
  std::atomic<int> ended = 0;
  JobWork work;
  work.kind = "deploy";
  work.what = "update";
  work.output = "d";
  work.run = [&](const ActivityContext& context) { return run(runner, context); };
  work.ended = [&] { ++ended; };
  const auto id = runner.Start(project, std::move(work), "me");
  EXPECT_TRUE(id.ok());
  (void)runner.Follow(*id, [](const JobEvent&) {}, nullptr).ok();
  EXPECT_EQ(ended, 1);
  return (*registry)->jobs().Get(*id)->status;
}

void AbortIt(JobRunner& runner, const ActivityContext& context) {
  while (!context.cancel->load()) runner.Abort(context.job);
}

TEST(JobRunner, WhatHadEndedBeforeItsAbortIsDone) {
  EXPECT_EQ(EndOf([](JobRunner& runner, const ActivityContext& context) {
              AbortIt(runner, context);
              return Result<ActivityRecord>(ActivityRecord());
            }),
            JobStatus::kDone);
}

TEST(JobRunner, WhatTheAbortEndedIsAborted) {
  EXPECT_EQ(EndOf([](JobRunner& runner, const ActivityContext& context) {
              AbortIt(runner, context);
              return Result<ActivityRecord>(Cancelled("it was aborted"));
            }),
            JobStatus::kAborted);
  EXPECT_EQ(EndOf([](JobRunner& runner, const ActivityContext& context) {
              AbortIt(runner, context);
              return Result<ActivityRecord>(InvalidArgument("the canary was aborted"));
            }),
            JobStatus::kAborted);
}

TEST(JobRunner, WhatFailsByItselfHasFailed) {
  EXPECT_EQ(EndOf([](JobRunner&, const ActivityContext&) {
              return Result<ActivityRecord>(InvalidArgument("no"));
            }),
            JobStatus::kFailed);
}

}  // namespace
}  // namespace slipway
