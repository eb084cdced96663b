// A disk that loses what was not synced when the power goes: for tests, in their process alone.
//
// lossy_disk.cc defines open, write, fsync, rename, unlink and their like, so that every call of
// the process comes through it: base's durable files, SQLite's VFS and the C++ library alike. The
// code under test is the production code, unchanged. Below one folder it keeps, beside the real
// files, what a disk surely has: contents as of the last fsync of the file, names as of the last
// fsync of the folder (a rename is whole or not at all). At the power loss the rest is dropped,
// kept, torn within a write or put in another order, at random from a seed, and the outcome is
// written elsewhere. fsync itself is not called: nothing of the test is to be durable. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace slipway {

inline constexpr int kPowerLost = 77;

struct PowerLoss {
  std::string root;   // all below it is on the disk from the beginning
  std::string image;  // the folder, new, that gets what was left
  int64_t after = 0;  // changes (writes, syncs, names) until the power goes
  uint64_t seed = 0;
  // A disk, or a bug, for which this sync does nothing: to show that a test would notice.
  std::function<bool(const std::string& path)> ignored_sync;
};

// From here on; the process ends with kPowerLost when its time has come.
void BeginPowerLoss(const PowerLoss& plan);
// Now, whatever was planned.
[[noreturn]] void LosePowerNow();

}  // namespace slipway
