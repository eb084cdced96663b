#include "slipway/hub/dss_wire.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "slipway/base/text.h"

namespace slipway {
namespace {

// One slash for several; none at the end.
std::string Collapse(std::string_view path) {
  std::string out;
  for (const char c : path) {
    if (c != '/' || out.empty() || out.back() != '/') out += c;
  }
  if (out.size() > 1 && out.ends_with('/')) out.pop_back();
  return out;
}

constexpr std::string_view kPrefixes[] = {"/dip/publicapi", "/public/api"};

// Of a collapsed path; 0: none.
size_t PrefixLength(std::string_view path) {
  for (const std::string_view prefix : kPrefixes) {
    if (path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/'))
      return prefix.size();
  }
  return 0;
}

std::string_view ErrorTypeOf(int status) {
  switch (status) {
    case 400:
      return "IllegalArgumentException";
    case 401:
    case 403:
      return "UnauthorizedException";
    case 404:
      return "NotFoundException";
    case 409:
    case 412:
      return "ConflictException";
    case 413:
    case 414:
      return "TooLargeException";
    case 501:
      return "NotSupportedException";
    case 503:
    case 504:
      return "UnavailableException";
    default:
      return status >= 500 ? "InternalException" : "IllegalArgumentException";
  }
}

}  // namespace

bool IsDssPath(std::string_view path) {
  // Most requests are for something else: no copy for them.
  if (path.find("/dip") == std::string_view::npos && path.find("/public") == std::string_view::npos)
    return false;
  return PrefixLength(Collapse(path)) > 0;
}

std::string DssPath(std::string_view path) {
  const std::string collapsed = Collapse(path);
  std::string rest = collapsed.substr(PrefixLength(collapsed));
  return rest.empty() ? "/" : rest;
}

Result<bool> DssFlag(std::string_view name, std::string_view text) {
  const std::string lower = ToLower(text);
  if (lower == "true") return true;
  if (lower == "false") return false;
  return InvalidArgument("'" + std::string(name) +
                         "' in the request's query must be True or False");
}

Json DssErrorJson(int status, const Error& error) {
  return {{"errorType", ErrorTypeOf(status)},
          {"message", error.message},
          {"detailedMessage",
           error.hint.empty() ? error.message : error.message + " (" + error.hint + ")"},
          {"code", ErrorCodeName(error.code)},
          {"hint", error.hint}};
}

Response DssError(const Error& error) { return DssErrorOf(ErrorResponse(error)); }

Response DssErrorOf(Response response) {
  if (response.status < 400 || response.content_type != "application/problem+json") return response;
  const Error error = ErrorFromResponse(response);
  response.body = DumpJson(DssErrorJson(response.status, error));
  response.content_type = "application/json";
  return response;
}

Response DssNotSupported(const std::string& what, const std::string& instead) {
  return JsonResponse(
      DssErrorJson(501, InvalidArgument(
                            "Slipway does not support " + what,
                            instead.empty() ? "docs/dss-clients.md lists what it does" : instead)),
      501);
}

std::string DssUpper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

int64_t DssMillis(std::string_view time) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0;
  double second = 0;
  const std::string text(time);
  if (std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%lf", &year, &month, &day, &hour, &minute,
                  &second) != 6) {
    return 0;
  }
  std::tm parts{};
  parts.tm_year = year - 1900;
  parts.tm_mon = month - 1;
  parts.tm_mday = day;
  parts.tm_hour = hour;
  parts.tm_min = minute;
  return int64_t{::timegm(&parts)} * 1000 + static_cast<int64_t>(second * 1000);
}

Result<std::string> DssLocalName(std::string_view project, std::string_view reference) {
  // Names may have dots themselves: only the project's own prefix is one.
  const std::string prefix = std::string(project) + ".";
  if (reference.starts_with(prefix) && reference.size() > prefix.size())
    return std::string(reference.substr(prefix.size()));
  if (reference.empty()) return InvalidArgument("a reference is empty", "write the thing's id");
  return std::string(reference);
}

Status DssOnlyChanges(const Json& read, const Json& sent,
                      const std::vector<std::string_view>& changeable, const std::string& place) {
  if (!sent.is_object()) return InvalidArgument(place + " must be a JSON object");
  for (const auto& [key, value] : sent.items()) {
    if (std::find(changeable.begin(), changeable.end(), key) != changeable.end()) continue;
    const Json* known = FindMember(read, key);
    if (known != nullptr ? *known == value : value.is_null()) continue;
    return InvalidArgument(
        "Slipway does not support changing '" + key + "' of " + place,
        changeable.empty() ? "send the settings back as they were read"
                           : "what can be changed: " + QuotedList(std::vector<std::string>(
                                                           changeable.begin(), changeable.end())));
  }
  return {};
}

}  // namespace slipway
