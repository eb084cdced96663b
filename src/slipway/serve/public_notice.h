// Lines of the log about scoring without keys off loopback: what a package asks for and does not
// get, what the settings open. Thread-safe.
#pragma once

#include <string>

#include "slipway/serve/node.h"

namespace slipway {

// Of a package that came in; `auth`: what it says.
void NotePublicPackage(const NodeParts& parts, const std::string& service,
                       const std::string& generation, const std::string& auth);
// Of the generations that take a service's traffic now; empty: of every service.
void NotePublicTraffic(const NodeParts& parts, const std::string& service = {});
// Of settings that are `public` themselves.
void NotePublicSettings(const NodeParts& parts, const std::string& service,
                        const ServiceSettings& settings);

}  // namespace slipway
