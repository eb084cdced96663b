// Result<T>: a value or an Error. Every fallible function of Slipway returns one; exceptions stay
// inside the wrappers of libraries that throw. A value type: copy and move as T does; no thread
// affinity.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace slipway {

// What a caller can decide on. Each maps to one exit code (cli) and one HTTP status (hub).
enum class ErrorCode {
  kInvalidArgument,   // the input is wrong; the message says what, where and the fix
  kNotFound,          // a named thing does not exist
  kConflict,          // it exists already, is in use, or changed meanwhile
  kPermissionDenied,  // not allowed
  kCorruption,        // stored or foreign bytes are not what they claim to be
  kUnavailable,       // a lock, disk space or a service could not be had; trying later may work
  kDeadlineExceeded,
  kCancelled,
  kInternal,  // our own bug
};

// "invalid_argument", "not_found", ...: the `code` of JSON errors.
std::string_view ErrorCodeName(ErrorCode code);
// The inverse; kInternal for an unknown name.
ErrorCode ErrorCodeFromName(std::string_view name);

// `message` says what and where, lower case, no full stop. `hint` says how to put it right, or is
// empty.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
  std::string hint;

  // The same error with "context: " before the message.
  Error Within(std::string_view context) const;
};

Error InvalidArgument(std::string message, std::string hint = "");
Error NotFound(std::string message, std::string hint = "");
Error Conflict(std::string message, std::string hint = "");
Error PermissionDenied(std::string message, std::string hint = "");
Error Corruption(std::string message, std::string hint = "");
Error Unavailable(std::string message, std::string hint = "");
Error DeadlineExceeded(std::string message, std::string hint = "");
Error Cancelled(std::string message, std::string hint = "");
Error Internal(std::string message, std::string hint = "");

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit by design
  Result(Error error)
      : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit by design

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  // REQUIRES: ok().
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  // By value, so that `for (auto& x : *F())` does not look into a temporary that is gone.
  T value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  // REQUIRES: !ok().
  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : failed_(true), error_(std::move(error)) {}  // NOLINT: implicit by design

  bool ok() const { return !failed_; }
  explicit operator bool() const { return ok(); }
  // REQUIRES: !ok().
  const Error& error() const& { return error_; }
  Error&& error() && { return std::move(error_); }

 private:
  bool failed_ = false;
  Error error_;
};

using Status = Result<void>;

}  // namespace slipway

#define SLIPWAY_CONCAT_(a, b) a##b
#define SLIPWAY_CONCAT(a, b) SLIPWAY_CONCAT_(a, b)

// Returns the error of a Status or Result expression, if it has one.
#define RETURN_IF_ERROR(expression)                                                    \
  do {                                                                                 \
    if (auto status_ = (expression); !status_.ok()) return std::move(status_).error(); \
  } while (false)

// `target` is a declaration or an lvalue: ASSIGN_OR_RETURN(auto x, F());
#define ASSIGN_OR_RETURN(target, expression) \
  ASSIGN_OR_RETURN_(SLIPWAY_CONCAT(result_, __LINE__), target, expression)
#define ASSIGN_OR_RETURN_(result, target, expression) \
  auto result = (expression);                         \
  if (!result.ok()) return std::move(result).error(); \
  target = std::move(result).value()
