// What `--help` prints: one layout for every command, with examples.
#pragma once

#include <CLI/CLI.hpp>

namespace slipway {

// Replaces CLI11's own layout. Call it before adding commands: they inherit it.
void UseHelpLayout(CLI::App* app);

}  // namespace slipway
