// load: an HTTP load generator for tests and benches. Open loop (--rate: requests are due at fixed
// times, and a latency counts from when its request was due, so that a stalled server is not
// forgiven) or closed loop. Checks every answer against what is expected. Prints one JSON document.
#include <cstdio>
#include <deque>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/load/connection.h"
#include "tests/load/histogram.h"
#include "tests/load/options.h"
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

namespace slipway::load {
namespace {

int64_t Now() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

double Micros(int64_t ns) { return static_cast<double>(ns) / 1e3; }

class Generator {
 public:
  explicit Generator(Options options) : options_(std::move(options)) {
    for (const std::string& body : options_.bodies) {
      std::string request = (body.empty() ? "GET " : "POST ") + options_.path +
                            " HTTP/1.1\r\nHost: " + options_.host + ":" +
                            std::to_string(options_.port) + "\r\n";
      for (const std::string& header : options_.headers) request += header + "\r\n";
      if (!body.empty())
        request +=
            "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
            "\r\n";
      requests_.push_back(request + "\r\n" + body);
    }
    connections_.resize(static_cast<size_t>(options_.connections));
  }

  nlohmann::ordered_json Run() {
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < connections_.size(); ++i) Reopen(i);
    start_ = Now();
    const int64_t end = start_ + static_cast<int64_t>(options_.seconds * 1e9);
    window_start_ = start_;
    std::vector<epoll_event> events(1024);
    int64_t next_check = start_;
    while (true) {
      int64_t now = Now();
      if (!stopping_ && (now >= end || (options_.requests > 0 && issued_ >= options_.requests)))
        stopping_ = true;
      if (now >= next_check) {
        next_check = now + 50'000'000;
        Expire(now);
        if (!options_.stop_file.empty() && ::access(options_.stop_file.c_str(), F_OK) == 0)
          stopping_ = true;
      }
      RollWindow(now);
      if (stopping_ && busy_ == 0 && waiting_.empty()) break;
      Issue(now);
      const int n =
          ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), Timeout(now));
      for (int i = 0; i < n; ++i) OnEvent(events[static_cast<size_t>(i)]);
    }
    const double seconds = Micros(Now() - start_) / 1e6;
    ::close(epoll_);
    return Report(seconds);
  }

 private:
  // Open loop spins: a timer would be late by as much as what is measured.
  int Timeout(int64_t) const { return options_.rate > 0 && !stopping_ ? 0 : 20; }

  void Reopen(size_t i) {
    if (!connections_[i].Open(epoll_, static_cast<uint32_t>(i), options_.host, options_.port)) {
      ++connect_errors_;
      closed_.push_back(i);
    }
  }

  void Issue(int64_t now) {
    if (options_.rate > 0 && !stopping_) {
      for (;;) {
        const int64_t due =
            start_ + static_cast<int64_t>(static_cast<double>(due_) * 1e9 / options_.rate);
        if (due > now || (options_.requests > 0 && due_ >= options_.requests)) break;
        waiting_.push_back(due);
        ++due_;
      }
    }
    if (options_.rate > 0) {
      while (!waiting_.empty() && !idle_.empty()) {
        const size_t i = idle_.back();
        idle_.pop_back();
        Send(i, waiting_.front(), now);
        waiting_.pop_front();
      }
      // What cannot be sent for so long is lost as a request that timed out is.
      while (!waiting_.empty() &&
             now - waiting_.front() > static_cast<int64_t>(options_.timeout_seconds * 1e9)) {
        waiting_.pop_front();
        ++issued_;
        ++timeouts_;
      }
    } else if (!stopping_) {
      while (!idle_.empty() && !(options_.requests > 0 && issued_ >= options_.requests)) {
        const size_t i = idle_.back();
        idle_.pop_back();
        Send(i, now, now);
      }
    }
    for (size_t n = closed_.size(); n > 0 && !stopping_; --n) {
      const size_t i = closed_.front();
      closed_.pop_front();
      Reopen(i);
    }
  }

  void Send(size_t i, int64_t intended, int64_t now) {
    const int64_t number = issued_++;
    ++busy_;
    if (!connections_[i].Send(requests_[static_cast<size_t>(number) % requests_.size()], intended,
                              now, number))
      Lose(i);
  }

  void Lose(size_t i) {
    if (connections_[i].state() == Connection::State::kBusy) {
      --busy_;
      ++lost_;
    } else if (connections_[i].state() == Connection::State::kConnecting) {
      ++connect_errors_;
    } else {
      std::erase(idle_, i);  // the server closed an idle connection
    }
    connections_[i].Close();
    closed_.push_back(i);
  }

  void OnEvent(const epoll_event& event) {
    const size_t i = event.data.u32;
    Connection& connection = connections_[i];
    if (connection.state() == Connection::State::kClosed) return;
    switch (connection.OnEvent(event.events)) {
      case Connection::Event::kNothing:
        return;
      case Connection::Event::kConnected:
        idle_.push_back(i);
        return;
      case Connection::Event::kLost:
        Lose(i);
        return;
      case Connection::Event::kAnswered:
        break;
    }
    const int64_t now = Now();
    --busy_;
    Count(connection, now);
    connection.Done();
    if (connection.state() == Connection::State::kIdle) {
      idle_.push_back(i);
    } else {
      closed_.push_back(i);
    }
  }

  void Count(const Connection& connection, int64_t now) {
    const int64_t latency = now - connection.intended_ns();
    ++statuses_[connection.status()];
    if (connection.status() / 100 != 2) {
      rejects_.Add(now - connection.sent_ns());
      ++window_bad_;
      return;
    }
    latencies_.Add(latency);
    window_.Add(latency);
    if (options_.deadline_ms <= 0 || Micros(latency) <= options_.deadline_ms * 1e3) ++good_;
    if (options_.expected.empty()) return;
    size_t matches = 0, match = 0;
    for (size_t e = 0; e < options_.expected.size(); ++e) {
      bool all = true;
      for (const std::string& text : options_.expected[e])
        all = all && connection.body().find(text) != std::string_view::npos;
      if (all) {
        ++matches;
        match = e;
      }
    }
    if (matches == 1) {
      ++by_expected_[match];
    } else if (++mismatches_ == 1) {
      first_mismatch_ = connection.body();
    }
  }

  // Answers that never come.
  void Expire(int64_t now) {
    for (size_t i = 0; i < connections_.size(); ++i) {
      Connection& connection = connections_[i];
      if (connection.state() != Connection::State::kBusy ||
          now - connection.sent_ns() < static_cast<int64_t>(options_.timeout_seconds * 1e9))
        continue;
      --busy_;
      ++timeouts_;
      connection.Close();
      closed_.push_back(i);
    }
  }

  void RollWindow(int64_t now) {
    if (options_.window_seconds <= 0 ||
        now - window_start_ < static_cast<int64_t>(options_.window_seconds * 1e9))
      return;
    windows_.push_back({{"at", Micros(window_start_ - start_) / 1e6},
                        {"ok", window_.total()},
                        {"not_ok", window_bad_},
                        {"p50_us", window_.Quantile(0.5)},
                        {"p99_us", window_.Quantile(0.99)}});
    window_.Clear();
    window_bad_ = 0;
    window_start_ = now;
  }

  static nlohmann::ordered_json Quantiles(const Histogram& h) {
    return {{"p50", h.Quantile(0.5)},     {"p90", h.Quantile(0.9)},       {"p99", h.Quantile(0.99)},
            {"p99_9", h.Quantile(0.999)}, {"p99_99", h.Quantile(0.9999)}, {"max", h.max() / 1e3}};
  }

  nlohmann::ordered_json Report(double seconds) const {
    nlohmann::ordered_json statuses = nlohmann::ordered_json::object();
    for (const auto& [status, count] : statuses_) statuses[std::to_string(status)] = count;
    nlohmann::ordered_json by_expected = nlohmann::ordered_json::array();
    for (size_t e = 0; e < options_.expected.size(); ++e) {
      const auto at = by_expected_.find(e);
      by_expected.push_back(at == by_expected_.end() ? 0 : at->second);
    }
    nlohmann::ordered_json out = {
        {"seconds", seconds},
        {"requests", issued_},
        {"ok", latencies_.total()},
        {"ok_per_second", static_cast<double>(latencies_.total()) / seconds},
        {"good", good_},
        {"good_per_second", static_cast<double>(good_) / seconds},
        {"statuses", statuses},
        {"lost", lost_},
        {"timeouts", timeouts_},
        {"connect_errors", connect_errors_},
        {"mismatches", mismatches_},
        {"first_mismatch", first_mismatch_.substr(0, 500)},
        {"by_expected", by_expected},
        {"latency_us", Quantiles(latencies_)},
        {"reject_latency_us", Quantiles(rejects_)}};
    if (options_.window_seconds > 0) out["windows"] = windows_;
    return out;
  }

  Options options_;
  std::vector<std::string> requests_;
  std::deque<Connection> connections_;
  std::vector<size_t> idle_;
  std::deque<size_t> closed_;
  std::deque<int64_t> waiting_;  // when they were due
  int epoll_ = -1;
  int64_t start_ = 0, due_ = 0, issued_ = 0, busy_ = 0;
  bool stopping_ = false;
  Histogram latencies_, rejects_, window_;
  int64_t good_ = 0, lost_ = 0, timeouts_ = 0, connect_errors_ = 0, mismatches_ = 0;
  std::string first_mismatch_;
  std::map<int, int64_t> statuses_;
  std::map<size_t, int64_t> by_expected_;
  int64_t window_start_ = 0, window_bad_ = 0;
  nlohmann::ordered_json windows_ = nlohmann::ordered_json::array();
};

std::vector<std::string> Lines(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);)
    if (!line.empty()) lines.push_back(line);
  return lines;
}

int Main(int argc, char** argv) {
  Options options;
  std::string bodies, expected;
  CLI::App app{"HTTP load for tests and benches; prints one JSON document"};
  app.add_option("--host", options.host);
  app.add_option("--port", options.port)->required();
  app.add_option("--path", options.path);
  app.add_option("--header", options.headers, "\"Name: value\", may be given again");
  app.add_option("--bodies", bodies, "a file with one request body a line; without it: GET");
  app.add_option("--expect", expected, "a file: a line an answer, its texts separated by tabs");
  app.add_option("--connections", options.connections)->check(CLI::Range(1, 100000));
  app.add_option("--rate", options.rate);
  app.add_option("--seconds", options.seconds);
  app.add_option("--requests", options.requests);
  app.add_option("--deadline-ms", options.deadline_ms);
  app.add_option("--timeout", options.timeout_seconds);
  app.add_option("--window", options.window_seconds);
  app.add_option("--stop-file", options.stop_file);
  CLI11_PARSE(app, argc, argv);
  options.bodies = bodies.empty() ? std::vector<std::string>{""} : Lines(bodies);
  if (options.bodies.empty()) {
    std::fprintf(stderr, "load: %s has no line\n", bodies.c_str());
    return 2;
  }
  if (!expected.empty()) {
    for (const std::string& line : Lines(expected)) {
      std::vector<std::string> texts;
      std::stringstream stream(line);
      for (std::string text; std::getline(stream, text, '\t');) texts.push_back(text);
      options.expected.push_back(texts);
    }
  }
  Generator generator(std::move(options));
  std::printf("%s\n", generator.Run().dump(1).c_str());
  return 0;
}

}  // namespace
}  // namespace slipway::load

int main(int argc, char** argv) { return slipway::load::Main(argc, argv); }
