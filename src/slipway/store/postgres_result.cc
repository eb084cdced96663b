#include "slipway/store/postgres_result.h"

#include <bit>
#include <cmath>
#include <utility>

#include "slipway/base/text.h"

namespace slipway {
namespace {

// Of the server's pg_type: they never change.
constexpr Oid kBool = 16, kInt8 = 20, kInt2 = 21, kInt4 = 23, kText = 25, kFloat4 = 700,
              kFloat8 = 701, kNumeric = 1700;

std::string BigEndian(uint64_t bits) {
  std::string out(8, '\0');
  for (int i = 7; i >= 0; --i, bits >>= 8)
    out[static_cast<size_t>(i)] = static_cast<char>(bits & 0xff);
  return out;
}

SqlValue FromText(Oid type, std::string_view text) {
  switch (type) {
    case kBool:
      return int64_t{text == "t"};
    case kInt2:
    case kInt4:
    case kInt8:
      return ParseInt64(text).value_or(0);
    case kNumeric:  // sum() of integers
      if (const auto whole = ParseInt64(text)) return *whole;
      return ParseDouble(text).value_or(0);
    case kFloat4:
    case kFloat8:
      return ParseDouble(text).value_or(0);
    default:
      return std::string(text);
  }
}

std::string PercentDecoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto hex = [&](size_t at) {
      const std::string_view digits = "0123456789abcdef";
      return at < text.size() ? digits.find(ToLower(text.substr(at, 1))) : std::string_view::npos;
    };
    if (text[i] == '%' && hex(i + 1) < 16 && hex(i + 2) < 16) {
      out += static_cast<char>(hex(i + 1) * 16 + hex(i + 2));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

PgValues::PgValues(const std::vector<SqlValue>& values) {
  numbers_.reserve(values.size());  // their addresses are handed out
  for (const SqlValue& value : values) {
    formats_.push_back(1);
    if (const std::string* text = std::get_if<std::string>(&value)) {
      types_.push_back(kText);
      bytes_.push_back(text->data());
      lengths_.push_back(static_cast<int>(text->size()));
      continue;
    }
    const double* number = std::get_if<double>(&value);
    if (const int64_t* whole = std::get_if<int64_t>(&value)) {
      types_.push_back(kInt8);
      numbers_.push_back(BigEndian(static_cast<uint64_t>(*whole)));
    } else if (number != nullptr && !std::isnan(*number)) {
      types_.push_back(kFloat8);
      numbers_.push_back(BigEndian(std::bit_cast<uint64_t>(*number)));
    } else {  // NULL; SQLite has no NaN either
      types_.push_back(0);
      bytes_.push_back(nullptr);
      lengths_.push_back(0);
      continue;
    }
    bytes_.push_back(numbers_.back().data());
    lengths_.push_back(8);
  }
}

std::vector<SqlRow> PgRows(const Libpq& api, const PGresult* answer) {
  std::vector<SqlRow> rows;
  const int count = api.ntuples(answer), columns = api.nfields(answer);
  rows.reserve(static_cast<size_t>(count));
  for (int r = 0; r < count; ++r) {
    std::vector<SqlValue> row;
    row.reserve(static_cast<size_t>(columns));
    for (int c = 0; c < columns; ++c) {
      if (api.getisnull(answer, r, c) != 0) {
        row.emplace_back();
        continue;
      }
      const std::string_view text(api.getvalue(answer, r, c),
                                  static_cast<size_t>(api.getlength(answer, r, c)));
      row.push_back(FromText(api.ftype(answer, c), text));
    }
    rows.emplace_back(std::move(row));
  }
  return rows;
}

std::string PgMessage(std::string message, const PostgresUrl& url) {
  for (const std::string& secret : {url.password, PercentDecoded(url.password)}) {
    for (size_t at; !secret.empty() && (at = message.find(secret)) != std::string::npos;)
      message.replace(at, secret.size(), secret == "***" ? "" : "***");
  }
  std::string out;
  for (const std::string& line : Split(message, '\n')) {
    const std::string_view trimmed = Trim(line);
    if (trimmed.empty() || trimmed.starts_with("LINE ") || trimmed.starts_with("^")) continue;
    out += (out.empty() ? "" : "; ") + std::string(trimmed);
  }
  return out;
}

Error PgConnectError(const std::string& message, const PostgresUrl& url) {
  const std::string text =
      "registry '" + url.shown + "' cannot be opened: " + PgMessage(message, url);
  for (const char* refused :
       {"authentication failed", "no password supplied", "no pg_hba.conf entry",
        "permission denied", "is not permitted to log in"}) {
    if (message.find(refused) != std::string::npos) {
      return PermissionDenied(
          text,
          "give the password by the file ~/.pgpass, $PGPASSFILE or $PGPASSWORD, "
          "or in the URL of $SLIPWAY_REGISTRY");
    }
  }
  if (message.find("invalid URI") != std::string::npos ||
      message.find("invalid connection option") != std::string::npos) {
    return InvalidArgument(text, "write it as postgresql://user@host:5432/database");
  }
  if (message.find("does not exist") != std::string::npos) {
    return NotFound(text, "make the database first, for example with `createdb`");
  }
  return Unavailable(text, "check that the server runs and can be reached from here");
}

Error PgLost(const PostgresUrl& url) {
  return Unavailable(
      "the connection to the registry '" + url.shown + "' was lost",
      "what was being changed is undone, unless its last answer was on its way; look, "
      "and run the command again");
}

bool PgIsLost(const Libpq& api, const PGresult* answer) {
  const char* field = answer != nullptr ? api.resultErrorField(answer, PG_DIAG_SQLSTATE) : nullptr;
  if (field == nullptr) return true;  // the server did not say anything
  const std::string_view state = field;
  for (const char* lost : {"57P01", "57P02", "57P03", "57P05", "25P03"}) {
    if (state == lost) return true;
  }
  return state.starts_with("08");
}

Error PgError(const Libpq& api, const PGresult* answer, const PostgresUrl& url,
              std::string_view sql) {
  const char* field = answer != nullptr ? api.resultErrorField(answer, PG_DIAG_SQLSTATE) : nullptr;
  const std::string state = field != nullptr ? field : "";
  const char* raw = answer != nullptr ? api.resultErrorMessage(answer) : "";
  const std::string message = "registry '" + url.shown + "': " + PgMessage(raw, url);
  const std::string_view group = std::string_view(state).substr(0, 2);
  if (PgIsLost(api, answer)) return PgLost(url);
  if (state == "55P03" || state == "40001" || state == "40P01") {
    return Unavailable("registry '" + url.shown + "' is busy: another process is writing to it",
                       "try again when that process has finished");
  }
  if (state == "25P02") {
    return Unavailable("the transaction on '" + url.shown + "' was rolled back after an error");
  }
  if (state == "57014") return Unavailable(message, "the server took too long; try again later");
  if (group == "53") {
    return Unavailable(message,
                       "the server is out of disk space, memory or connections; nothing "
                       "was changed");
  }
  if (state == "25006") {
    return PermissionDenied(message,
                            "this was opened for reading, or the server is a read-only copy");
  }
  if (state == "42501" || group == "28") {
    return PermissionDenied(message, "grant the rights to the user of the registry's URL");
  }
  if (group == "23") return Conflict(message);
  if (state == "22021" || state == "22P05") {
    return InvalidArgument(message, "PostgreSQL keeps UTF-8 without zero bytes");
  }
  if (group == "XX") return Corruption(message, "restore the database from a backup");
  return Internal(message + " in: " + std::string(sql));
}

}  // namespace slipway
