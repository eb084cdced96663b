// Internal to package: SHA-256 of what streams by. Confined to one thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace slipway {

class PartHash {
 public:
  PartHash();
  ~PartHash();
  PartHash(const PartHash&) = delete;
  PartHash& operator=(const PartHash&) = delete;
  void Update(std::string_view bytes);
  // Lower-case hex, 64 characters. Once.
  std::string Hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace slipway
