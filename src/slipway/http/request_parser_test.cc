#include "slipway/http/request_parser.h"

#include <gtest/gtest.h>

#include "slipway/http/parser_testing.h"

namespace slipway {
namespace {

std::vector<std::string> Parsed(std::string_view bytes, const HttpLimits& limits = {},
                                size_t max_body = 1 << 20) {
  HttpParserRun run(&limits, max_body);
  run.Feed(bytes);
  return run.lines();
}

using Lines = std::vector<std::string>;

TEST(HttpRequestParser, GivesTheRequestAsItLies) {
  EXPECT_EQ(Parsed("POST /a%20b/c?x=1&y HTTP/1.1\r\nHost: h:80\r\nX-Empty:\r\nX-Pad: \t v w \t\r\n"
                   "Content-Length: 5\r\n\r\nhello"),
            Lines{"POST /a%20b/c?x=1&y [Host=h:80,X-Empty=,X-Pad=v w,Content-Length=5] hello"});
}

TEST(HttpRequestParser, GivesPipelinedRequestsInOrder) {
  EXPECT_EQ(Parsed("\r\nGET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
                   "POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: t\r\n\r\n"
                   "GET /3 HTTP/1.0\r\n\r\n"),
            (Lines{"GET /1 [Host=a] ", "POST /2 [Host=a,Transfer-Encoding=chunked] abcde",
                   "GET /3 []  (last)"}));
}

TEST(HttpRequestParser, CutsAnywhereChangeNothing) {
  const std::string bytes =
      "POST /first HTTP/1.1\r\nHost: example.org\r\nX-Long: some value here\r\n"
      "Content-Length: 11\r\n\r\nhello world"
      "POST /second?q HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5;ext=\"q\"\r\nhello\r\n1\r\n \r\n0005\r\nworld\r\n0\r\nX-Trailer: 1\r\n\r\n"
      "GET /third HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  const Lines whole = Parsed(bytes);
  ASSERT_EQ(whole.size(), 3U);
  const HttpLimits limits;
  for (const bool spool : {false, true}) {
    for (size_t cut = 0; cut <= bytes.size(); ++cut) {
      HttpParserRun run(&limits, 1 << 20, spool);
      run.Feed(std::string_view(bytes).substr(0, cut));
      run.Feed(std::string_view(bytes).substr(cut));
      ASSERT_EQ(run.lines(), whole) << cut;
    }
    HttpParserRun run(&limits, 1 << 20, spool);
    for (const char& c : bytes) run.Feed({&c, 1});
    EXPECT_EQ(run.lines(), whole);
  }
}

TEST(HttpRequestParser, LargeBodiesOfBothFramings) {
  std::string body;
  for (int i = 0; i < 200'000; ++i) body += static_cast<char>('a' + i % 26);
  const Lines plain = Parsed("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + body);
  EXPECT_EQ(plain, Lines{"POST / [Host=a,Content-Length=200000] " + body});
  std::string chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (size_t at = 0; at < body.size(); at += 1000) {
    chunked += "3E8\r\n" + body.substr(at, 1000) + "\r\n";
  }
  EXPECT_EQ(Parsed(chunked + "0\r\n\r\n"),
            Lines{"POST / [Host=a,Transfer-Encoding=chunked] " + body});
}

struct Shape {
  std::string_view name;
  std::string bytes;
  int status;
};

std::string Head(std::string_view line, std::string_view headers) {
  return std::string(line) + "\r\nHost: a\r\n" + std::string(headers) + "\r\n";
}

std::string Post(std::string_view headers, std::string_view body = "") {
  return Head("POST / HTTP/1.1", headers) + std::string(body);
}

std::vector<Shape> Shapes() {
  using namespace std::string_literals;
  const std::string chunked = "Transfer-Encoding: chunked\r\n";
  return {
      {"no host", "GET / HTTP/1.1\r\n\r\n", 400},
      {"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
      {"two authorizations",
       "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\nauthorization: Bearer y\r\n\r\n",
       400},
      {"host with path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
      {"host with user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400},
      {"host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400},
      {"length and chunked", Post("Content-Length: 3\r\n" + chunked, "0\r\n\r\n"), 400},
      {"chunked and length", Post(chunked + "Content-Length: 3\r\n", "0\r\n\r\n"), 400},
      {"two lengths", Post("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"), 400},
      {"two equal lengths", Post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), 400},
      {"length list", Post("Content-Length: 3, 3\r\n", "abc"), 400},
      {"length with sign", Post("Content-Length: +3\r\n", "abc"), 400},
      {"negative length", Post("Content-Length: -1\r\n"), 400},
      {"hex length", Post("Content-Length: 0x3\r\n", "abc"), 400},
      {"empty length", Post("Content-Length:\r\n"), 400},
      {"length with blank inside", Post("Content-Length: 1 0\r\n", "abc"), 400},
      {"length over 64 bits", Post("Content-Length: 18446744073709551617\r\n"), 400},
      {"length of 63 bits", Post("Content-Length: 9223372036854775807\r\n"), 413},
      {"length over the limit", Post("Content-Length: 1048577\r\n"), 413},
      {"gzip, chunked", Post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501},
      {"chunked, gzip", Post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"), 400},
      {"identity", Post("Transfer-Encoding: identity\r\n"), 400},
      {"gzip", Post("Transfer-Encoding: gzip\r\n"), 400},
      {"chunked twice", Post(chunked + chunked, "0\r\n\r\n"), 400},
      {"chunked, chunked", Post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), 400},
      {"xchunked", Post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), 400},
      {"chunkedx", Post("Transfer-Encoding: chunkedx\r\n", "0\r\n\r\n"), 400},
      {"chunked in quotes", Post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), 400},
      {"chunked with parameter", Post("Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n"), 400},
      {"empty coding", Post("Transfer-Encoding:\r\n"), 400},
      {"vertical tab before chunked", Post("Transfer-Encoding: \vchunked\r\n", "0\r\n\r\n"), 400},
      {"folded chunked", Post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"), 400},
      {"chunked of HTTP/1.0", Head("POST / HTTP/1.0", chunked) + "0\r\n\r\n", 400},
      {"space before colon", Post("Content-Length : 3\r\n", "abc"), 400},
      {"tab before colon", Post("Content-Length\t: 3\r\n", "abc"), 400},
      {"folded header", Post("X-A: b\r\n c\r\n"), 400},
      {"folded with tab", Post("X-A: b\r\n\tc\r\n"), 400},
      {"first header folded", "GET / HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n", 400},
      {"header without colon", Post("Broken\r\n"), 400},
      {"empty header name", Post(": v\r\n"), 400},
      {"bare CR in value", Post("X-A: b\rc\r\n"), 400},
      {"bare LF in value", Post("X-A: b\nX-B: c\r\n"), 400},
      {"bare LF lines", "GET / HTTP/1.1\nHost: a\n\n", 400},
      {"bare CR lines", "GET / HTTP/1.1\rHost: a\r\r", 400},
      {"LF after the head", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400},
      {"NUL in name", Post("X\0A: b\r\n"s), 400},
      {"NUL in value", Post("X-A: b\0c\r\n"s), 400},
      {"control in value", Post("X-A: b\x01\r\n"), 400},
      {"DEL in value", Post("X-A: b\x7f\r\n"), 400},
      {"non-ASCII name", Post("X-\xc3\xa4: b\r\n"), 400},
      {"NUL in target", Head("GET /\0 HTTP/1.1"s, ""), 400},
      {"blank in target", Head("GET /a b HTTP/1.1", ""), 400},
      {"tab in the line", Head("GET\t/ HTTP/1.1", ""), 400},
      {"fragment", Head("GET /#x HTTP/1.1", ""), 400},
      {"raw UTF-8 target", Head("GET /\xc3\xa4 HTTP/1.1", ""), 400},
      {"relative target", Head("GET a HTTP/1.1", ""), 400},
      {"star for GET", Head("GET * HTTP/1.1", ""), 400},
      {"another host's URL", Head("GET http://b/ HTTP/1.1", ""), 400},
      {"CONNECT", Head("CONNECT a:80 HTTP/1.1", ""), 501},
      {"unknown method", Head("BREW / HTTP/1.1", ""), 501},
      {"lower-case method", Head("get / HTTP/1.1", ""), 501},
      {"CR before the line", "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"LF before the line", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"two blanks after the method", Head("GET  / HTTP/1.1", ""), 400},
      {"content length as trailer", Post(chunked, "0\r\nContent-Length: 9\r\n\r\n"), 400},
      {"no HTTP at all", "\x16\x03\x01\x02\x00\x01\x00"s, 400},
      {"an answer", "HTTP/1.1 200 OK\r\n\r\n", 501},
      {"version 0.9", "GET /\r\n\r\n", 505},
      {"version 0.9 said", Head("GET / HTTP/0.9", ""), 505},
      {"version 1.2", Head("GET / HTTP/1.2", ""), 505},
      {"version 2.0", Head("GET / HTTP/2.0", ""), 505},
      {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"version 1.10", Head("GET / HTTP/1.10", ""), 400},
      {"lower-case version", Head("GET / http/1.1", ""), 400},
      {"another protocol", Head("GET / RTSP/1.0", ""), 400},
      {"other expectation", Post("Expect: a-miracle\r\n"), 417},
      {"chunk size no number", Post(chunked, "xyz\r\n"), 400},
      {"chunk size signed", Post(chunked, "-1\r\n"), 400},
      {"chunk size 0x", Post(chunked, "0x1\r\na\r\n0\r\n\r\n"), 400},
      {"chunk size over 64 bits", Post(chunked, "10000000000000001\r\na"), 400},
      {"chunk size absurd", Post(chunked, "FFFFFFFFFFFFFFFF\r\na"), 413},
      {"chunk size over the limit", Post(chunked, "100001\r\na"), 413},
      {"chunk size blank", Post(chunked, "1 \r\na\r\n0\r\n\r\n"), 400},
      {"chunk without end", Post(chunked, "1\r\nab\r\n0\r\n\r\n"), 400},
      {"chunk with bare LF", Post(chunked, "1\na\n0\n\n"), 400},
      {"chunk size of zeros", Post(chunked, std::string(50'000, '0')), 400},
      {"chunk extension too long", Post(chunked, "1;" + std::string(300, 'x') + "\r\na\r\n"), 400},
      {"bare CR in extension", Post(chunked, "1;a\rb\r\na\r\n0\r\n\r\n"), 400},
      {"trailer without colon", Post(chunked, "0\r\nbroken\r\n\r\n"), 400},
      {"trailers too long", Post(chunked, "0\r\nX: " + std::string(60'000, 'x') + "\r\n\r\n"), 400},
      {"target too long", Head("GET /" + std::string(20'000, 'a') + " HTTP/1.1", ""), 414},
      {"endless target", "GET /" + std::string(20'000, 'a'), 414},
      {"endless empty lines",
       [] {
         std::string lines;
         for (int i = 0; i < 20'000; ++i) lines += "\r\n";
         return lines;
       }(),
       414},
      {"header too long", Post("X: " + std::string(40'000, 'x') + "\r\n"), 431},
      {"endless header", "GET / HTTP/1.1\r\nX: " + std::string(40'000, 'x'), 431},
      {"too many headers", Post([] {
         std::string lines;
         for (int i = 0; i < 100; ++i) lines += "X: y\r\n";
         return lines;
       }()),
       431},
  };
}

TEST(HttpRequestParser, RefusesWhatRfc9112Forbids) {
  for (const Shape& shape : Shapes()) {
    const Lines lines = Parsed(shape.bytes);
    EXPECT_EQ(lines, Lines{"refused " + std::to_string(shape.status)}) << shape.name;
  }
}

TEST(HttpRequestParser, RefusesTheSameByteByByte) {
  const HttpLimits limits;
  for (const Shape& shape : Shapes()) {
    HttpParserRun run(&limits);
    for (const char& c : shape.bytes) run.Feed({&c, 1});
    EXPECT_EQ(run.lines(), Lines{"refused " + std::to_string(shape.status)}) << shape.name;
  }
}

TEST(HttpRequestParser, AllowsWhatIsOdd) {
  for (const auto& [bytes, line] : std::vector<std::pair<std::string, std::string>>{
           {"GET http://a:80/x?y HTTP/1.1\r\nHost: A:80\r\n\r\n", "GET /x?y [Host=A:80] "},
           {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * [Host=a] "},
           {"GET //x/ HTTP/1.1\r\nhOST:a\r\n\r\n", "GET //x/ [hOST=a] "},
           {"GET /? HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "GET / [Host=[::1]:80] "},
           {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / [Host=] "},
           {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET / [Connection=keep-alive] "},
           {"GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, Close\r\n\r\n",
            "GET / [Host=a,Connection=foo, Close]  (last)"},
           {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
            "GET / [Host=a,Connection=Upgrade,Upgrade=h2c] "},
           {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n",
            "POST / [Host=a,Transfer-Encoding=CHUNKED] "},
           {"GET / HTTP/1.1\r\nHost: a\r\nX: \xc3\xa4\r\n\r\n", "GET / [Host=a,X=\xc3\xa4] "},
           {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
            "GET / [Host=a,Content-Length=2] {}"}}) {
    EXPECT_EQ(Parsed(bytes), Lines{line});
  }
}

TEST(HttpRequestParser, ManyChunksAreALimitNotAMemory) {
  HttpLimits limits;
  limits.chunks = 10;
  std::string bytes = Post("Transfer-Encoding: chunked\r\n");
  for (int i = 0; i < 10; ++i) bytes += "1\r\na\r\n";
  EXPECT_EQ(Parsed(bytes + "0\r\n\r\n", limits).back(), "refused 413");
  limits.chunks = 11;  // the last one counts too
  EXPECT_EQ(Parsed(bytes + "0\r\n\r\n", limits),
            Lines{"POST / [Host=a,Transfer-Encoding=chunked] aaaaaaaaaa"});
}

TEST(HttpRequestParser, ChunksInAllMayNotPassTheLimit) {
  const std::string bytes =
      Post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n");
  EXPECT_EQ(Parsed(bytes, {}, 6).back(), "POST / [Host=a,Transfer-Encoding=chunked] abcdef");
  EXPECT_EQ(Parsed(bytes, {}, 5).back(), "refused 413");
}

TEST(HttpRequestParser, AWaitingParserKeepsLittle) {
  const HttpLimits limits;
  HttpRequestParser parser(&limits);
  const std::string bytes = Post("Content-Length: 500000\r\n", std::string(500'000, 'x'));
  for (size_t at = 0; at < bytes.size();) {
    const std::span<char> space = parser.Space();
    const size_t n = std::min(space.size(), bytes.size() - at);
    std::memcpy(space.data(), bytes.data() + at, n);
    parser.Commit(n);
    at += n;
    if (parser.Parse() == HttpRequestParser::Step::kHead) {
      parser.SetMaxBody(1 << 20);
      parser.Parse();
    }
  }
  EXPECT_GE(parser.capacity(), bytes.size());
  parser.Next();
  EXPECT_TRUE(parser.empty());
  parser.Reset(1 << 16);
  EXPECT_EQ(parser.capacity(), 0U);
}

}  // namespace
}  // namespace slipway
