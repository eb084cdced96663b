#include "slipway/store/postgres_url.h"

#include <algorithm>
#include <vector>

#include "slipway/base/text.h"

namespace slipway {
namespace {

constexpr std::string_view kDefaultSchema = "slipway";

bool IsSchemaName(std::string_view name) {
  return !name.empty() && name.size() < 64 &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") ==
             std::string_view::npos &&
         (name[0] < '0' || name[0] > '9') && !name.starts_with("pg_");
}

}  // namespace

Result<PostgresUrl> ParsePostgresUrl(std::string_view url) {
  const size_t scheme_end = url.find("://");
  const std::string_view scheme =
      url.substr(0, scheme_end == std::string_view::npos ? 0 : scheme_end);
  if (scheme != "postgresql" && scheme != "postgres") {
    return InvalidArgument(
        "the registry's URL does not begin with postgresql://",
        "write it as postgresql://user@host:5432/database, or leave it out for a "
        "registry in the home itself");
  }
  std::string_view rest = url.substr(scheme_end + 3);
  const size_t question = rest.find('?');
  const std::string_view query =
      question == std::string_view::npos ? "" : rest.substr(question + 1);
  rest = rest.substr(0, question);
  const size_t slash = rest.find('/');
  std::string_view authority = rest.substr(0, slash);
  const std::string_view path = slash == std::string_view::npos ? "" : rest.substr(slash);

  PostgresUrl out;
  out.schema = kDefaultSchema;
  std::string user, account_with_password;
  if (const size_t at = authority.rfind('@'); at != std::string_view::npos) {
    const std::string_view account = authority.substr(0, at);
    const size_t colon = account.find(':');
    account_with_password = std::string(account) + "@";
    user = account.substr(0, colon);
    if (colon != std::string_view::npos) out.password = account.substr(colon + 1);
    authority = authority.substr(at + 1);
  }
  const std::string place = std::string(authority) + std::string(path);
  std::vector<std::string> connect, shown;
  for (const std::string& pair : query.empty() ? std::vector<std::string>() : Split(query, '&')) {
    const size_t equals = pair.find('=');
    const std::string name = pair.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : pair.substr(equals + 1);
    if (name == "schema") {
      if (!IsSchemaName(value)) {
        return InvalidArgument("'" + value + "' is not a name for the registry's schema",
                               "use lower-case letters, digits and '_', not first a digit or pg_");
      }
      out.schema = value;
      continue;
    }
    connect.push_back(pair);
    if (name == "password" || name == "sslpassword") {
      if (name == "password") out.password = value;
      continue;
    }
    shown.push_back(pair);
  }
  if (out.schema != kDefaultSchema) shown.push_back("schema=" + out.schema);
  const auto with_query = [](std::string text, const std::vector<std::string>& pairs) {
    return pairs.empty() ? text : text + "?" + Join(pairs, "&");
  };
  out.connect = with_query("postgresql://" + account_with_password + place, connect);
  out.shown = with_query("postgresql://" + user + (user.empty() ? "" : "@") + place, shown);
  return out;
}

std::string WithoutPasswords(std::string text) {
  for (const std::string_view scheme : {"postgresql://", "postgres://"}) {
    for (size_t at = text.find(scheme); at != std::string::npos; at = text.find(scheme, at)) {
      const size_t end = std::min(text.find_first_of(" \t\n\"'", at), text.size());
      auto url = ParsePostgresUrl(std::string_view(text).substr(at, end - at));
      const std::string shown = url.ok() ? url->shown : std::string(scheme) + "***";
      text.replace(at, end - at, shown);
      at += shown.size();
    }
  }
  return text;
}

}  // namespace slipway
