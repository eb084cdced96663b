// Any bytes, cut anywhere: the parser answers or refuses, the same however they were cut, whether
// bodies are kept or taken away, and within its memory. The first byte chooses limits, the second
// the cuts.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "slipway/http/parser_testing.h"

namespace slipway {
namespace {

void Check(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

constexpr size_t kMaxBody = 5000;

// Cuts that follow from a seed: mostly small, sometimes all the rest.
void FeedInPieces(std::string_view bytes, uint32_t seed, HttpParserRun* run) {
  while (!bytes.empty()) {
    seed = seed * 1664525 + 1013904223;
    const uint32_t kind = seed >> 28;
    const size_t n = kind < 8 ? 1 : kind < 15 ? (seed >> 16) % 64 + 1 : bytes.size();
    run->Feed(bytes.substr(0, n));
    bytes.remove_prefix(std::min(n, bytes.size()));
  }
}

void Run(std::string_view bytes, const HttpLimits& limits, uint32_t seed) {
  HttpParserRun whole(&limits, kMaxBody);
  whole.Feed(bytes);
  HttpParserRun pieces(&limits, kMaxBody);
  FeedInPieces(bytes, seed, &pieces);
  HttpParserRun spooled(&limits, kMaxBody, true);
  FeedInPieces(bytes, seed ^ 0x5bd1e995, &spooled);
  // A refusal for size may name one limit or another, depending on how far the bytes had come.
  const auto requests = [](const HttpParserRun& run) {
    std::vector<std::string> lines = run.lines();
    if (run.refused()) lines.back() = "refused";
    return lines;
  };
  Check(requests(whole) == requests(pieces), "the cuts change the requests");
  Check(requests(whole) == requests(spooled), "taking bodies away changes the requests");
  for (const HttpParserRun* run : {&whole, &pieces, &spooled}) {
    Check(run->parser().capacity() <=
              4 * (HttpRequestParser::kInitialBytes + limits.request_line_bytes +
                   limits.header_bytes + kMaxBody + bytes.size()),
          "too much memory");
  }
}

}  // namespace
}  // namespace slipway

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace slipway;
  if (size < 2) return 0;
  HttpLimits limits;
  if ((data[0] & 1) != 0) limits.chunks = 4;
  if ((data[0] & 2) != 0) limits.chunk_extension_bytes = 8;
  if ((data[0] & 4) != 0) limits.headers = 3;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  Run(bytes, limits, data[1]);
  return 0;
}
