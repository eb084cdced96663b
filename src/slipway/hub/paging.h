// Pages of lists: ?limit and ?cursor. A cursor is opaque to callers: it remembers the list, its
// filters and the last item of the page before it. The next page begins after that item by the
// list's order, so that what is added or deleted meanwhile shifts nothing. Pure functions.
#pragma once

#include "slipway/base/result.h"
#include "slipway/http/router.h"

namespace slipway {

// The page that the request asks for; nullopt: the whole list. kInvalidArgument for a cursor that
// is none of ours, of another list, or of other filters.
Result<std::optional<PageWish>> ReadPageWish(const Route& route, const Request& request);

// Cuts the page (request.page) out of what the handler gave, and says in Link where the next is.
Response CutPage(const Route& route, const Request& request, Response response);

// The same for a list that cuts its pages itself: the place after the item `key`.
Result<std::string> KeyOfCursor(const Request& request, const std::string& cursor);
std::string LinkToNextPage(const Request& request, int64_t limit, const std::string& key,
                           int64_t position = 0);

}  // namespace slipway
