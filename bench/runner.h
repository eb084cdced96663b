// What the benches measure from C++: one loaded model of one library. bench/runner.py loads this as
// a shared library into the process in which the Python peers run, so that all are interleaved.
// Not part of the product; nothing here is installed.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

namespace slipway::bench {

// Scores for one thread, with whatever the library wants prepared once.
class Caller {
 public:
  virtual ~Caller() = default;
  // Row-major rows, as wide as the model's features.
  virtual void Score(const double* rows, int64_t count, double* out) = 0;
};

// Thread-safe once opened; one Caller a thread.
class Runner {
 public:
  virtual ~Runner() = default;
  virtual int features() const = 0;
  virtual int outputs() const = 0;
  virtual std::string name() const = 0;
  virtual std::string reason() const { return ""; }
  virtual int64_t memory_bytes() const { return 0; }  // 0: the library does not say
  // Seconds of reading the file, parsing it and compiling the engine; 0 where unknown.
  virtual std::array<double, 3> open_seconds() const { return {}; }
  // A caller for one row (`single`), or for any number of rows at a time.
  virtual std::unique_ptr<Caller> MakeCaller(bool single) = 0;
  virtual void PredictParallel(const double* rows, int64_t count, int threads, double* out) = 0;
  // features() + 1 numbers a row and output. `false` and `*error` when it cannot.
  virtual bool Explain(const double* rows, int64_t count, int threads, double* out,
                       std::string* error) = 0;
};

// nullptr and `*error` when it cannot be opened.
std::unique_ptr<Runner> OpenSlipway(const std::string& path, const std::string& engine,
                                    std::string* error);
// `library`: lib_lightgbm.so.
std::unique_ptr<Runner> OpenLightGbm(const std::string& library, const std::string& path,
                                     std::string* error);

}  // namespace slipway::bench
