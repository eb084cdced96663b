#include "slipway/serve/admission.h"

#include <atomic>
#include <chrono>
#include <future>
#include <mutex>
#include <numeric>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace slipway {
namespace {

using std::chrono::milliseconds;

AdmissionOptions TestOptions(int workers, int queue, double deadline_ms = 60'000) {
  AdmissionOptions options;
  options.workers = workers;
  options.queue = queue;
  options.deadline_ms = deadline_ms;
  return options;
}

// Holds a worker until it is let go.
class HeldWorker {
 public:
  explicit HeldWorker(Admission& admission) {
    EXPECT_EQ(admission.Submit(
                  1, 0,
                  [this](int, int64_t) {
                    started_.set_value();
                    go_.get_future().wait();
                  },
                  [] { FAIL() << "not late"; }),
              Admitted::kYes);
    started_.get_future().wait();
  }
  void LetGo() { go_.set_value(); }

 private:
  std::promise<void> started_, go_;
};

TEST(Admission, RunsWhatItAdmitsInOrder) {
  const auto admission = Admission::Make(TestOptions(1, 100));
  EXPECT_EQ(admission->workers(), 1);
  HeldWorker held(*admission);
  std::vector<int> order;
  for (int i = 0; i < 50; ++i)
    ASSERT_EQ(admission->Submit(
                  1, 0, [&order, i](int slot, int64_t) { order.push_back(i + 100 * slot); }, [] {}),
              Admitted::kYes);
  EXPECT_EQ(admission->stats().queued, 50);
  EXPECT_EQ(admission->stats().running, 1);
  held.LetGo();
  admission->Drain();
  std::vector<int> expected(50);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(order, expected);
  EXPECT_EQ(admission->stats().admitted, 51);
  EXPECT_EQ(admission->stats().running, 0);
}

TEST(Admission, AFullQueueRefusesAtOnceAndCallsNothing) {
  const auto admission = Admission::Make(TestOptions(1, 2));
  HeldWorker held(*admission);
  std::atomic<int> ran{0};
  const auto submit = [&] {
    return admission->Submit(1, 0, [&](int, int64_t) { ++ran; }, [&] { ++ran; });
  };
  EXPECT_EQ(submit(), Admitted::kYes);
  EXPECT_EQ(submit(), Admitted::kYes);
  EXPECT_EQ(submit(), Admitted::kQueueFull);
  EXPECT_EQ(admission->stats().rejected_full, 1);
  EXPECT_GE(admission->RetryAfterSeconds(), 1);
  held.LetGo();
  admission->Drain();
  EXPECT_EQ(ran, 2);
}

TEST(Admission, WhatCannotBeInTimeIsRefusedWhenItComes) {
  const auto admission = Admission::Make(TestOptions(1, 100));
  HeldWorker held(*admission);
  EXPECT_EQ(admission->Submit(50'000'000, 60'000, [](int, int64_t) {}, [] {}), Admitted::kYes);
  EXPECT_EQ(admission->Submit(
                10, 1'000, [](int, int64_t) {}, [] {}),
            Admitted::kTooLate)
      << "50 s of work are before it";
  EXPECT_EQ(admission->RetryAfterSeconds(), 30) << "as far as anybody is sent away";
  EXPECT_EQ(admission->Submit(10, 0, [](int, int64_t) {}, [] {}), Admitted::kYes);
  EXPECT_EQ(admission->stats().rejected_late, 1);
  held.LetGo();
  admission->Drain();
}

TEST(Admission, TellsWhoIsLateWhileEveryWorkerIsBusy) {
  const auto admission = Admission::Make(TestOptions(1, 10));
  HeldWorker held(*admission);
  std::promise<void> late;
  std::atomic<bool> ran{false};
  ASSERT_EQ(admission->Submit(
                1, 20, [&](int, int64_t) { ran = true; }, [&] { late.set_value(); }),
            Admitted::kYes);
  EXPECT_EQ(late.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  EXPECT_EQ(admission->stats().rejected_late, 1);
  EXPECT_EQ(admission->stats().queued, 0);
  held.LetGo();
  admission->Drain();
  EXPECT_FALSE(ran) << "exactly one of the two is called";
}

TEST(Admission, DrainFinishesWhatWasAdmittedAndRefusesTheRest) {
  const auto admission = Admission::Make(TestOptions(2, 100));
  std::atomic<int> ran{0};
  for (int i = 0; i < 20; ++i)
    ASSERT_EQ(admission->Submit(
                  1, 0,
                  [&](int, int64_t) {
                    std::this_thread::sleep_for(milliseconds(1));
                    ++ran;
                  },
                  [] {}),
              Admitted::kYes);
  admission->Drain();
  EXPECT_EQ(ran, 20);
  EXPECT_EQ(admission->Submit(1, 0, [](int, int64_t) {}, [] {}), Admitted::kShuttingDown);
}

// Work of a known length (asleep: the test does not depend on free cores), offered three times as
// fast as the workers can do it.
TEST(Admission, UnderThreeTimesTheLoadTheWorkersStayBusyAndNobodyWaitsLong) {
  constexpr int kWorkers = 4;
  constexpr auto kWork = milliseconds(2);
  constexpr double kDeadlineMs = 200;
  const auto admission = Admission::Make(TestOptions(kWorkers, 256, kDeadlineMs));
  std::atomic<int64_t> done{0}, late{0}, worked_ns{0}, longest_wait_us{0};
  int64_t offered = 0;
  const auto start = std::chrono::steady_clock::now();
  const auto end = start + milliseconds(1'500);
  auto next = start;
  while (next < end) {
    std::this_thread::sleep_until(next);
    next += std::chrono::microseconds(2000 / (3 * kWorkers));
    ++offered;
    (void)admission->Submit(
        2000, 0,
        [&](int, int64_t wait_us) {
          const auto began = std::chrono::steady_clock::now();
          std::this_thread::sleep_for(kWork);
          worked_ns += (std::chrono::steady_clock::now() - began).count();
          int64_t longest = longest_wait_us;
          while (wait_us > longest && !longest_wait_us.compare_exchange_weak(longest, wait_us)) {
          }
          ++done;
        },
        [&] { ++late; });
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const double busy = static_cast<double>(worked_ns) / 1e9 / (kWorkers * seconds);
  const AdmissionStats stats = admission->stats();
  admission->Drain();
  EXPECT_GE(busy, 0.9) << "goodput: the share of the workers' time that went into answers";
  EXPECT_GT(stats.rejected_full + stats.rejected_late, offered / 3);
  EXPECT_EQ(late, 0) << "whatever is admitted is in time";
  EXPECT_LT(longest_wait_us, kDeadlineMs * 1000);
  EXPECT_LT(stats.limit, 256) << "a lasting overload does not keep a long queue";
}

// Sixteen clients, each with one request at a time: they wait for each other, and nobody is
// refused.
TEST(Admission, AFewClientsThatWaitForTheirAnswersAreNoOverload) {
  const auto admission = Admission::Make(TestOptions(1, 256, 1'000));
  std::atomic<int> refused{0}, left{16 * 30};
  std::vector<std::thread> clients;
  for (int i = 0; i < 16; ++i) {
    clients.emplace_back([&] {
      while (left-- > 0) {
        std::promise<void> answered;
        const Admitted admitted = admission->Submit(
            2000, 0,
            [&](int, int64_t) {
              std::this_thread::sleep_for(milliseconds(2));
              answered.set_value();
            },
            [&] { answered.set_value(); });
        if (admitted == Admitted::kYes) {
          answered.get_future().wait();
        } else {
          ++refused;
        }
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(refused, 0);
}

TEST(Admission, TheLimitComesBackAfterAnOverload) {
  const auto admission = Admission::Make(TestOptions(1, 64, 100));
  // A standing queue of work that takes 3 ms: the limit falls.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (admission->stats().limit == 65 && std::chrono::steady_clock::now() < deadline) {
    (void)admission->Submit(
        1000, 0, [](int, int64_t) { std::this_thread::sleep_for(milliseconds(3)); }, [] {});
    std::this_thread::sleep_for(std::chrono::microseconds(500));
  }
  ASSERT_LT(admission->stats().limit, 65);
  while (admission->stats().limit < 65 && std::chrono::steady_clock::now() < deadline) {
    (void)admission->Submit(1, 0, [](int, int64_t) {}, [] {});
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_EQ(admission->stats().limit, 65);
}

}  // namespace
}  // namespace slipway
