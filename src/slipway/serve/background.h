// Threads that must not be felt by the loops: workers, loading generations, the query
// log.
#pragma once

namespace slipway {

// The calling thread gets a small share while loops want the core, and never preempts one that
// wakes up. It is not starved: admin calls are answered under any load.
// `nice`: 0 to 19.
void EnterBackground(const char* name, int nice);

}  // namespace slipway
