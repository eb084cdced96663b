#include "slipway/score/engine.h"

#include "slipway/score/reference_engine.h"

namespace slipway {

Result<std::unique_ptr<Engine>> CompileEngine(const Forest& forest, const EngineHints&) {
  return CompileReferenceEngine(forest);
}

}  // namespace slipway
