#include "slipway/serve/query_log.h"

#include <thread>

#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <gtest/gtest.h>

#include "slipway/base/file.h"
#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/serve/log.h"
#include "slipway/serve/query_log_line.h"
#include "slipway/serve/query_log_ring.h"

namespace slipway {
namespace {

std::string Compact(std::string_view json, std::vector<std::string_view> redact = {}) {
  std::string out;
  return AppendCompactJson(json, redact, &out) ? out : "(invalid)" + out;
}

std::string QueryJson(std::string_view query, std::vector<std::string_view> redact = {}) {
  std::string out;
  AppendQueryAsJson(query, redact, &out);
  return out;
}

TEST(QueryLogLine, DropsBlanksAndWritesNoNumbersAsNull) {
  EXPECT_EQ(Compact(" { \"a\" : [ 1 , -2.5e+3,\ttrue ] ,\n\"b\":\" x\\n \" } "),
            "{\"a\":[1,-2.5e+3,true],\"b\":\" x\\n \"}");
  EXPECT_EQ(Compact(R"({"a":NaN,"b":[Infinity,-Infinity],"c":{}})"),
            R"({"a":null,"b":[null,null],"c":{}})");
  EXPECT_EQ(Compact("[1e999,-1e999,1e308,1e-999]"), "[null,null,1e308,1e-999]");
  EXPECT_EQ(Compact("[]"), "[]");
}

// What the compactor takes, a JSON parser takes, and nothing masked is left; whatever the bytes.
TEST(QueryLogLine, NeverWritesWhatIsNoJson) {
  const std::string good =
      R"({"a":{"card":[1,{"b":"4111"}],"c":-1.5e3},"card":"41\u0031\"1","n":[null,true,NaN],"s":"\\"})";
  constexpr std::string_view kBytes = "{}[]\",:\\ue1.-+ \n0ntfNI\xc3\xa9";
  uint64_t state = 42;
  const auto random = [&state](uint64_t below) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    return (state >> 33) % below;
  };
  int taken = 0;
  for (int i = 0; i < 100'000; ++i) {
    std::string text = good;
    for (uint64_t n = random(4); n-- > 0;) {
      const size_t at = random(text.size());
      if (random(2) == 0) {
        text[at] = kBytes[random(kBytes.size())];
      } else {
        text.erase(at, random(4));
      }
    }
    std::string out;
    const std::string_view redact[] = {"card"};
    if (!AppendCompactJson(text, redact, &out)) {
      EXPECT_EQ(out, "");
      continue;
    }
    ++taken;
    ASSERT_TRUE(Json::accept(out)) << text << " became " << out;
    ASSERT_EQ(out.find('\n'), std::string::npos) << text;
  }
  EXPECT_GT(taken, 10'000);
}

TEST(QueryLogLine, MasksNamedMembersAtAnyDepthHoweverTheyAreSpelt) {
  EXPECT_EQ(Compact(R"({"card":"4111","fare":1})", {"card"}), R"({"card":"***","fare":1})");
  EXPECT_EQ(
      Compact(R"({"card":{"n":[1,{"x":"}"}],"card":1},"fare":{"card" : NaN, "z":2}})", {"card"}),
      R"({"card":"***","fare":{"card":"***","z":2}})");
  EXPECT_EQ(Compact(R"({"c\u0061rd":[1,2]})", {"card"}), R"({"c\u0061rd":"***"})");
  EXPECT_EQ(Compact(R"({"Card":1,"cards":2})", {"cARD"}), R"({"Card":"***","cards":2})");
  EXPECT_EQ(Compact(R"({"\ud83d\ude00":1,"\u00e9":2})", {"\xF0\x9F\x98\x80", "\xC3\xA9"}),
            R"({"\ud83d\ude00":"***","\u00e9":"***"})");
  EXPECT_EQ(Compact(R"({"a":"card","b":["card"]})", {"card"}), R"({"a":"card","b":["card"]})")
      << "names are masked, not values that look like one";
  EXPECT_EQ(Compact(R"([{"card":1},{"card":2}])", {"card"}), R"([{"card":"***"},{"card":"***"}])");
}

TEST(QueryLogLine, RefusesWhatIsNoJson) {
  for (const char* bad : {"",
                          "{",
                          "}",
                          "{]",
                          "[}",
                          "{\"a\"}",
                          "{\"a\":}",
                          "{\"a\":1,}",
                          "[1,]",
                          "[1 2]",
                          "{} {}",
                          "01",
                          "1.",
                          "-",
                          "+1",
                          ".5",
                          "1e",
                          "nan",
                          "tru",
                          "\"a",
                          "\"\\x\"",
                          "\"\\u12g4\"",
                          "\"a\nb\"",
                          "{1:2}",
                          "{\"a\":1 \"b\":2}",
                          ":",
                          ",",
                          "\"\xff\"",
                          "{\"a\":\"***\",,}",
                          "[,1]",
                          "{,}"})
    EXPECT_EQ(Compact(bad), "(invalid)") << bad;
}

TEST(QueryLogLine, AMaskedMemberOfBrokenJsonIsNotWrittenEither) {
  EXPECT_EQ(Compact(R"({"card":"4111)", {"card"}), "(invalid)");
}

TEST(QueryLogLine, WritesAQueryStringAsTexts) {
  EXPECT_EQ(QueryJson("a=1&b=x%20y+z&c=&d"), R"({"a":"1","b":"x y z","c":"","d":""})");
  EXPECT_EQ(QueryJson(""), "{}");
  EXPECT_EQ(QueryJson("a=1&a=2&&b=%zz%4"), R"({"a":"2","b":"%zz%4"})");
  EXPECT_EQ(QueryJson("a=%ff%22"), "{\"a\":\"\xef\xbf\xbd\\\"\"}");
  EXPECT_EQ(QueryJson("c%61rd=1&b=2", {"card"}), R"({"card":"***","b":"2"})");
}

TEST(QueryLogRing, GivesBackWhatWentInInOrderAcrossItsEnd) {
  QueryLogRing ring(1);
  EXPECT_EQ(ring.capacity(), size_t{64} << 10);
  EXPECT_EQ(ring.Front().data(), nullptr);
  EXPECT_EQ(ring.Reserve((64 << 10) / 2 + 1), nullptr) << "can never fit";
  uint64_t next_in = 0, next_out = 0;
  for (int round = 0; round < 2000; ++round) {
    for (int i = 0; i < 7; ++i) {
      const std::string record(1 + (next_in * 37) % 9001, static_cast<char>('a' + next_in % 26));
      char* to = ring.Reserve(record.size());
      if (to == nullptr) break;
      std::copy(record.begin(), record.end(), to);
      ring.Commit();
      ++next_in;
    }
    for (int i = 0; i < 5 + round % 3; ++i) {
      const std::string_view record = ring.Front();
      if (record.data() == nullptr) break;
      ASSERT_EQ(record,
                std::string(1 + (next_out * 37) % 9001, static_cast<char>('a' + next_out % 26)));
      ring.Pop();
      ++next_out;
    }
  }
  EXPECT_GT(next_out, 5000U);
}

TEST(QueryLogRing, CarriesRecordsBetweenTwoThreads) {
  QueryLogRing ring(64 << 10);
  constexpr uint64_t kRecords = 200'000;
  std::thread reader([&] {
    for (uint64_t next = 0; next < kRecords;) {
      const std::string_view record = ring.Front();
      if (record.data() == nullptr) {
        std::this_thread::yield();
        continue;
      }
      uint64_t value = 0;
      ASSERT_GE(record.size(), sizeof value);
      std::memcpy(&value, record.data(), sizeof value);
      ASSERT_EQ(value, next);
      ASSERT_EQ(record.size(), sizeof value + next % 300);
      ring.Pop();
      ++next;
    }
  });
  for (uint64_t next = 0; next < kRecords;) {
    char* to = ring.Reserve(sizeof next + next % 300);
    if (to == nullptr) {
      std::this_thread::yield();
      continue;
    }
    std::memcpy(to, &next, sizeof next);
    ring.Commit();
    ++next;
  }
  reader.join();
}

std::string TextOf(const std::string& path) {
  const std::string bytes = ReadFile(path).value();
  std::string text;
  for (size_t at = 0; at < bytes.size();) {
    const size_t frame = ZSTD_findFrameCompressedSize(bytes.data() + at, bytes.size() - at);
    EXPECT_EQ(ZSTD_isError(frame), 0U) << "a file is whole frames: " << path;
    if (ZSTD_isError(frame) != 0) break;
    const auto size = ZSTD_getFrameContentSize(bytes.data() + at, frame);
    std::string part(size, '\0');
    EXPECT_EQ(ZSTD_decompress(part.data(), part.size(), bytes.data() + at, frame), size);
    text += part;
    at += frame;
  }
  return text;
}

// All lines of all files of a folder, oldest file first.
std::vector<Json> ReadLog(const std::string& folder) {
  std::vector<Json> lines;
  for (const std::string& name : ListDir(folder).value()) {
    for (const std::string& line : Split(TextOf(JoinPath(folder, name)), '\n')) {
      if (line.empty()) continue;
      Result<Json> json = ParseJson(line);
      EXPECT_TRUE(json.ok()) << line;
      if (json.ok()) lines.push_back(*json);
    }
  }
  return lines;
}

class QueryLogTest : public testing::Test {
 protected:
  void SetUp() override {
    options_.folder = dir_.File("query-log");
    options_.flush_seconds = 3600;  // tests flush by hand
    options_.file_seconds = 1e9;
  }
  std::unique_ptr<QueryLog> OpenLog() { return QueryLog::Open(options_).value(); }
  LoggedQuery Query() const {
    LoggedQuery query;
    query.time_micros = 1'763'876'400'000'123;
    query.request_id = "id-1";
    query.trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    query.service = "fares";
    query.endpoint = "fare";
    query.generation = "v1";
    query.key_label = "web";
    query.verb = "predict";
    query.latency_us = 42;
    query.records = records_;
    query.redact = redact_;
    return query;
  }
  TempDir dir_ = TempDir::Make().value();
  QueryLogOptions options_;
  std::vector<LoggedRecord> records_ = {{R"({"km": 1.5})", R"({"prediction":7.25})"}};
  std::vector<std::string> redact_;
};

TEST_F(QueryLogTest, WritesALinePerRecord) {
  const auto log = OpenLog();
  log->Submit(0, Query());
  records_.push_back({R"({"km":2})", R"({"prediction":9})"});
  LoggedQuery multi = Query();
  multi.verb = "predict-multi";
  log->Submit(0, multi);
  LoggedQuery refused = Query();
  refused.records = {};
  refused.status = 400;
  refused.error_type = "InvalidArgumentException";
  const std::string long_message = "km is " + std::string(5000, 'x');
  refused.error_message = long_message;
  refused.trace_id = "";
  log->Submit(0, refused);
  log->Flush();
  const std::vector<Json> lines = ReadLog(options_.folder);
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_EQ(
      DumpJson(lines[0]),
      R"({"time":"2025-11-23T05:40:00.000123Z","request_id":"id-1",)"
      R"("trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","service":"fares","endpoint":"fare",)"
      R"("generation":"v1","key":"web","verb":"predict","status":200,"latency_us":42,"record":0,)"
      R"("batch":1,"features":{"km":1.5},"result":{"prediction":7.25}})");
  EXPECT_EQ(lines[1]["record"], 0);
  EXPECT_EQ(lines[2]["record"], 1);
  EXPECT_EQ(lines[2]["batch"], 2);
  EXPECT_EQ(lines[2]["features"]["km"], 2);
  EXPECT_EQ(lines[3]["status"], 400);
  EXPECT_TRUE(lines[3]["trace_id"].is_null());
  EXPECT_FALSE(lines[3].contains("features"));
  EXPECT_FALSE(lines[2].contains("error"));
  EXPECT_EQ(lines[3]["error"]["errorType"], "InvalidArgumentException");
  EXPECT_EQ(lines[3]["error"]["message"].get<std::string>(), long_message.substr(0, 1000));
  const QueryLogStats stats = log->stats();
  EXPECT_EQ(stats.written, 4);
  EXPECT_EQ(stats.dropped, 0);
  EXPECT_GT(stats.disk_bytes, 0);
  struct stat state{};
  ASSERT_EQ(::stat(options_.folder.c_str(), &state), 0);
  EXPECT_EQ(state.st_mode & 0777, 0700U);
}

TEST_F(QueryLogTest, MasksTheNodesAndTheServicesFeatures) {
  options_.redact = {"card"};
  redact_ = {"name"};
  records_ = {{R"({"card":4111,"name":"Ann","km":1})", R"({"data":{"name":"Ann"}})"}};
  const auto log = OpenLog();
  log->Submit(0, Query());
  log->Flush();
  const std::vector<Json> lines = ReadLog(options_.folder);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(DumpJson(lines[0]["features"]), R"({"card":"***","name":"***","km":1})");
  EXPECT_EQ(DumpJson(lines[0]["result"]), R"({"data":{"name":"***"}})");
}

TEST_F(QueryLogTest, WhereAnythingIsMaskedTheErrorOfARequestHasNoMessage) {
  options_.redact = {"card"};
  records_ = {};
  LoggedQuery refused = Query();
  refused.status = 400;
  refused.error_type = "InvalidArgumentException";
  refused.error_message = "'4111' is no number";
  const auto log = OpenLog();
  log->Submit(0, refused);
  log->Flush();
  EXPECT_EQ(DumpJson(ReadLog(options_.folder).at(0)["error"]),
            R"({"errorType":"InvalidArgumentException"})");
}

TEST_F(QueryLogTest, AMaskedValueIsNotInTheReasonOfAFailureEither) {
  options_.redact = {"card"};
  records_ = {{R"({"card":"4111"})",
               R"({"ignored":true,"error":{"message":"'4111' is no number","errorType":"E"}})"}};
  const auto log = OpenLog();
  log->Submit(0, Query());
  log->Flush();
  EXPECT_EQ(DumpJson(ReadLog(options_.folder).at(0)["result"]),
            R"({"ignored":true,"error":{"message":"***","errorType":"E"}})");
}

TEST_F(QueryLogTest, TheEndWritesWhatIsInTheRings) {
  options_.slots = 3;
  {
    const auto log = OpenLog();
    for (int slot = 0; slot < 3; ++slot) log->Submit(slot, Query());
  }
  EXPECT_EQ(ReadLog(options_.folder).size(), 3U);
}

TEST_F(QueryLogTest, LinesAreInTheFileSoonWithoutAnyonesHelp) {
  options_.flush_seconds = 0.05;
  const auto log = OpenLog();
  log->Submit(0, Query());
  for (int i = 0; i < 2000 && log->stats().written == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(ReadLog(options_.folder).size(), 1U);
}

TEST_F(QueryLogTest, CutsALongBatchAndLosesNothingOfIt) {
  options_.ring_bytes = 1 << 20;
  const std::string features = "{\"text\":\"" + std::string(2000, 'x') + "\"}";
  records_.assign(300, {features, "{}"});
  const auto log = OpenLog();
  log->Submit(0, Query());
  log->Flush();
  const std::vector<Json> lines = ReadLog(options_.folder);
  ASSERT_EQ(lines.size(), 300U);
  for (size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(lines[i]["record"], i);
    EXPECT_EQ(lines[i]["batch"], 300);
  }
}

TEST_F(QueryLogTest, AFullRingDropsAndSaysSo) {
  options_.ring_bytes = 64 << 10;
  const std::string features = "{\"text\":\"" + std::string(40'000, 'x') + "\"}";
  records_ = {{features, "{}"}};
  const auto log = OpenLog();
  log->Submit(0, Query());
  EXPECT_EQ(log->stats().dropped, 1) << "can never fit";
  records_ = {{"{}", "{}"}};
  log->Submit(0, Query());
  log->Flush();
  const std::vector<Json> lines = ReadLog(options_.folder);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[1]["dropped"], 1);
  log->Submit(0, Query());
  log->Flush();
  EXPECT_EQ(ReadLog(options_.folder).size(), 3U) << "told once";
}

TEST_F(QueryLogTest, AFolderThatCannotBeDropsAndComesBackByItself) {
  SetLogDescriptor(-1);
  ASSERT_TRUE(WriteFileAtomic(options_.folder, "in the way").ok());
  const auto log = OpenLog();
  log->Submit(0, Query());
  log->Submit(0, Query());
  log->Flush();
  QueryLogStats stats = log->stats();
  EXPECT_EQ(stats.written, 0);
  EXPECT_EQ(stats.dropped, 2);
  EXPECT_NE(stats.last_error, "");
  ASSERT_TRUE(RemoveAll(options_.folder).ok());
  log->Submit(0, Query());
  log->Flush();
  stats = log->stats();
  EXPECT_EQ(stats.written, 1);
  EXPECT_EQ(stats.dropped, 2);
  EXPECT_EQ(stats.last_error, "");
  const std::vector<Json> lines = ReadLog(options_.folder);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[1]["dropped"], 2);
  SetLogDescriptor(STDERR_FILENO);
}

// What came at once was one frame of up to a mebibyte, whatever the bounds.
TEST_F(QueryLogTest, BoundsItsFilesAlsoWhenMuchComesAtOnce) {
  options_.file_bytes = 8000;
  options_.total_bytes = 1 << 20;
  const auto log = OpenLog();
  records_.assign(1000, {R"({"km": 1.5})", R"({"prediction":7.25})"});
  log->Submit(0, Query());
  log->Flush();
  const std::vector<std::string> names = ListDir(options_.folder).value();
  EXPECT_GT(names.size(), 20U);
  for (const std::string& name : names)
    EXPECT_LE(TextOf(JoinPath(options_.folder, name)).size(), 9000U) << name;
}

TEST_F(QueryLogTest, BoundsItsFilesAndTheirSum) {
  options_.file_bytes = 4000;
  options_.total_bytes = 3000;
  const auto log = OpenLog();
  for (int i = 0; i < 200; ++i) {
    // Nothing that compresses well.
    std::string noise;
    for (int n = 0; n < 40; ++n)
      noise += std::to_string((i * 7919 + n * 104729) * 2654435761U % 1000003);
    const std::string features = "{\"n\":" + std::to_string(i) + ",\"noise\":\"" + noise + "\"}";
    records_ = {{features, "{}"}};
    log->Submit(0, Query());
    log->Flush();
    EXPECT_LE(log->stats().disk_bytes, options_.total_bytes);
  }
  const std::vector<std::string> names = ListDir(options_.folder).value();
  EXPECT_GE(names.size(), 2U);
  int64_t bytes = 0;
  for (const std::string& name : names) bytes += FileSize(JoinPath(options_.folder, name)).value();
  EXPECT_LE(bytes, options_.total_bytes);
  const std::vector<Json> lines = ReadLog(options_.folder);
  ASSERT_FALSE(lines.empty());
  EXPECT_EQ(lines.back()["features"]["n"], 199) << "the newest stay, in order of their names";
  for (size_t i = 1; i < lines.size(); ++i)
    EXPECT_EQ(lines[i]["features"]["n"].get<int>(), lines[i - 1]["features"]["n"].get<int>() + 1);
}

TEST_F(QueryLogTest, AnotherStartNeverTouchesOldFilesButCountsThem) {
  OpenLog()->Submit(0, Query());
  const std::vector<std::string> before = ListDir(options_.folder).value();
  const auto log = OpenLog();
  EXPECT_GT(log->stats().disk_bytes, 0);
  log->Submit(0, Query());
  log->Flush();
  EXPECT_EQ(ListDir(options_.folder)->size(), before.size() + 1);
  EXPECT_EQ(ReadLog(options_.folder).size(), 2U);
}

TEST_F(QueryLogTest, AFileThatIsTakenAwayIsFollowedByANewOne) {
  const auto log = OpenLog();
  log->Submit(0, Query());
  log->Flush();
  ASSERT_TRUE(RemoveAll(options_.folder).ok());
  log->Submit(0, Query());
  log->Flush();
  EXPECT_EQ(ReadLog(options_.folder).size(), 1U);
}

TEST_F(QueryLogTest, SwitchedOffItMakesNothing) {
  options_.enabled = false;
  const auto log = OpenLog();
  log->Submit(0, Query());
  log->Flush();
  EXPECT_FALSE(PathExists(options_.folder));
}

}  // namespace
}  // namespace slipway
