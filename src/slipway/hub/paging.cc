#include "slipway/hub/paging.h"

#include <algorithm>

#include "slipway/base/hash.h"
#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/http/client.h"

namespace slipway {
namespace {

constexpr int64_t kDefaultLimit = 100;

// Which list it is: the path and all that chooses its items.
std::string TagOf(const Request& request) {
  std::string text = request.path;
  for (const auto& [name, value] : request.query) {
    if (name != "limit" && name != "cursor") text += "\n" + name + "=" + value;
  }
  return Sha256Hex(text).substr(0, 12);
}

std::string ToHex(std::string_view text) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    out += kDigits[static_cast<unsigned char>(c) >> 4];
    out += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

std::optional<std::string> FromHex(std::string_view text) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  if (text.size() % 2 != 0) return std::nullopt;
  std::string out;
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = digit(text[i]), low = digit(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
  }
  return out;
}

// "c" and, in hexadecimal: the tag, where the item stood, its key.
std::string MakeCursor(const Request& request, int64_t position, const std::string& key) {
  return "c" + ToHex(TagOf(request) + " " + std::to_string(position) + " " + key);
}

Result<PageWish> ReadCursor(const Request& request, const std::string& cursor) {
  const Error foreign = InvalidArgument("this 'cursor' is none of ours",
                                        "take it from the Link header of the page before");
  const auto text =
      cursor.starts_with("c") ? FromHex(std::string_view(cursor).substr(1)) : std::nullopt;
  if (!text) return foreign;
  const size_t first = text->find(' ');
  const size_t second = first == std::string::npos ? first : text->find(' ', first + 1);
  if (second == std::string::npos) return foreign;
  const auto position = ParseInt64(text->substr(first + 1, second - first - 1));
  if (!position || *position < 0) return foreign;
  if (text->substr(0, first) != TagOf(request))
    return InvalidArgument("this 'cursor' is of another list, or of other filters",
                           "take it from the Link header of this list");
  return PageWish{kDefaultLimit, true, text->substr(second + 1), *position};
}

std::string KeyOf(const ListKey& key, const Json& item) {
  const Json* value = item.is_object() ? FindMember(item, key.member) : nullptr;
  if (value == nullptr) return "-";
  return value->is_string() ? value->get<std::string>() : DumpJson(*value);
}

// Where the page begins in what the handler gave.
size_t FindStart(const ListKey& key, const PageWish& wish, const Json& list) {
  if (!wish.follows) return 0;
  if (key.member.empty()) return static_cast<size_t>(wish.position) + 1;  // nothing ever goes
  if (key.order == ListOrder::kListed) {
    for (size_t i = 0; i < list.size(); ++i) {
      if (KeyOf(key, list[i]) == wish.after) return i + 1;
    }
    return std::min(static_cast<size_t>(wish.position), list.size());  // it is gone: what followed
  }
  const auto next = std::find_if(list.begin(), list.end(), [&](const Json& item) {
    return ComesAfter(key.order, KeyOf(key, item), wish.after);
  });
  return static_cast<size_t>(next - list.begin());
}

}  // namespace

Result<std::optional<PageWish>> ReadPageWish(const Route& route, const Request& request) {
  std::optional<PageWish> wish;
  const auto limit = request.query.find("limit"), cursor = request.query.find("cursor");
  if (!route.details.paged || (limit == request.query.end() && cursor == request.query.end()))
    return wish;
  wish.emplace();
  if (cursor != request.query.end()) {
    ASSIGN_OR_RETURN(wish, ReadCursor(request, cursor->second));
  }
  wish->limit = kDefaultLimit;
  if (limit != request.query.end())  // in its range: declared
    wish->limit = ParseInt64(limit->second).value_or(kDefaultLimit);
  return wish;
}

Response CutPage(const Route& route, const Request& request, Response response) {
  auto list = ParseJson(response.body, {.max_bytes = size_t{1} << 30, .max_depth = 256});
  if (!list.ok() || !list->is_array()) return response;
  const ListKey& key = *route.details.paged;
  const PageWish& wish = *request.page;
  const size_t from = std::min(FindStart(key, wish, *list), list->size());
  const size_t to = std::min(list->size(), from + static_cast<size_t>(wish.limit));
  Json page = Json::array();
  for (size_t i = from; i < to; ++i) page.push_back(std::move((*list)[i]));
  response.body = DumpJson(page);
  if (to == list->size() || page.empty()) return response;
  response.headers["Link"] =
      LinkToNextPage(request, wish.limit, KeyOf(key, page.back()), static_cast<int64_t>(to) - 1);
  return response;
}

Result<std::string> KeyOfCursor(const Request& request, const std::string& cursor) {
  ASSIGN_OR_RETURN(PageWish wish, ReadCursor(request, cursor));
  return std::move(wish.after);
}

std::string LinkToNextPage(const Request& request, int64_t limit, const std::string& key,
                           int64_t position) {
  std::string query =
      "limit=" + std::to_string(limit) + "&cursor=" + MakeCursor(request, position, key);
  for (const auto& [name, value] : request.query) {
    if (name != "limit" && name != "cursor") query += "&" + name + "=" + UrlEncode(value);
  }
  return "<" + request.path + "?" + query + ">; rel=\"next\"";
}

}  // namespace slipway
