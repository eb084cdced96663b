// Text of others on a terminal: control characters are shown, not obeyed. Pure; thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace slipway {

// Whether the text has control characters (C0, DEL, C1).
bool HasControls(std::string_view text);
// The text with control characters as \n, \t, \r, \x1b, \u009b. `lines`: line feeds and tabs stay.
std::string VisibleText(std::string_view text, bool lines = false);

}  // namespace slipway
