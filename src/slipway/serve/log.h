// The node's log: one JSON line per event on stderr, `{"time", "level", "message", ...fields}`, in
// one write, so that lines of several threads do not mix. Keys are named by label or id; what a
// client sends may hold one all the same, so every text goes through MaskSecrets. Not for the hot
// path (a line is a system call).
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace slipway {

// A member of a line; the views live for the call.
struct LogField {
  template <typename Text>
    requires std::convertible_to<Text, std::string_view>
  LogField(std::string_view field, const Text& text) : name(field), value(std::string_view(text)) {}
  template <std::integral Number>
    requires(!std::same_as<Number, bool>)
  LogField(std::string_view field, Number number)
      : name(field), value(static_cast<int64_t>(number)) {}
  LogField(std::string_view field, double number) : name(field), value(number) {}
  LogField(std::string_view field, bool flag) : name(field), value(flag) {}

  std::string_view name;
  std::variant<std::string_view, int64_t, double, bool> value;
};

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Thread-safe, as all of these. Names: debug, info, warning, error; another one is ignored.
void SetLogLevel(std::string_view name);
bool IsLogLevel(std::string_view name);
// Where lines go instead of stderr; for tests.
void SetLogDescriptor(int fd);

// Every API key and token of ours ("swk_...", "sws_...") as "swk_*".
std::string MaskSecrets(std::string_view text);

void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {});
inline void LogDebug(std::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kDebug, message, fields);
}
inline void LogInfo(std::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kInfo, message, fields);
}
inline void LogWarning(std::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kWarning, message, fields);
}
inline void LogError(std::string_view message, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kError, message, fields);
}

}  // namespace slipway
