#include "slipway/serve/log.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>

#include <unistd.h>

#include "slipway/base/clock.h"
#include "slipway/base/text.h"
#include "slipway/serve/json_text.h"

namespace slipway {
namespace {

constexpr std::array<std::string_view, 4> kLogLevels = {"debug", "info", "warning", "error"};
std::atomic<int> log_level{static_cast<int>(LogLevel::kInfo)};
std::atomic<int> log_descriptor{STDERR_FILENO};

// Of NewToken: API keys, sign-ins, invitations, launchers.
constexpr std::array<std::string_view, 4> kSecretPrefixes = {"swk_", "sws_", "swi_", "swl_"};

bool IsSecretCharacter(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         c == '-';
}

bool BeginsSecret(std::string_view text) {
  return std::any_of(kSecretPrefixes.begin(), kSecretPrefixes.end(),
                     [text](std::string_view prefix) { return text.starts_with(prefix); });
}

void AppendMasked(std::string_view text, std::string* line) {
  if (text.find("sw") == std::string_view::npos) return AppendJsonText(text, line);
  AppendJsonText(MaskSecrets(text), line);
}

void AppendFieldValue(const LogField& field, std::string* line) {
  if (const auto* text = std::get_if<std::string_view>(&field.value)) {
    AppendMasked(*text, line);
  } else if (const auto* integer = std::get_if<int64_t>(&field.value)) {
    AppendJsonInt(*integer, line);
  } else if (const auto* number = std::get_if<double>(&field.value)) {
    if (std::isfinite(*number)) {
      AppendDouble(*number, line);
    } else {
      line->append("null");
    }
  } else {
    line->append(std::get<bool>(field.value) ? "true" : "false");
  }
}

}  // namespace

bool IsLogLevel(std::string_view name) {
  for (std::string_view known : kLogLevels)
    if (name == known) return true;
  return false;
}

void SetLogLevel(std::string_view name) {
  for (size_t i = 0; i < kLogLevels.size(); ++i)
    if (name == kLogLevels[i]) log_level.store(static_cast<int>(i), std::memory_order_relaxed);
}

void SetLogDescriptor(int fd) { log_descriptor.store(fd, std::memory_order_relaxed); }

std::string MaskSecrets(std::string_view text) {
  std::string out;
  size_t i = 0;
  while (i < text.size()) {
    if (!BeginsSecret(text.substr(i))) {
      out.push_back(text[i++]);
      continue;
    }
    out.append(text.substr(i, 4)).push_back('*');
    while (i < text.size() && IsSecretCharacter(text[i])) ++i;
  }
  return out;
}

void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
  const int number = static_cast<int>(level);
  if (number < log_level.load(std::memory_order_relaxed)) return;
  std::string line = "{\"time\":\"";
  AppendMicrosText(NowMicros(), &line);
  line.append("\",\"level\":\"").append(kLogLevels[static_cast<size_t>(number)]);
  line.append("\",\"message\":");
  AppendMasked(message, &line);
  for (const LogField& field : fields) {
    line.push_back(',');
    AppendJsonText(field.name, &line);
    line.push_back(':');
    AppendFieldValue(field, &line);
  }
  line.append("}\n");
  // A log that cannot be written must not stop the node.
  [[maybe_unused]] const ssize_t written =
      ::write(log_descriptor.load(std::memory_order_relaxed), line.data(), line.size());
}

}  // namespace slipway
