// DuckDB's C API, loaded with dlopen on first use, so that commands that read no data start at
// once. The only header of Slipway that includes duckdb.h. The table lives until the process ends;
// loading is thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <duckdb.h>

#include "slipway/base/result.h"

namespace slipway {

// Each entry X(name) is the C function duckdb_<name>.
// clang-format off
#define SLIPWAY_DUCKDB_FUNCTIONS(X) \
  X(open_ext) X(close) X(connect) X(disconnect) X(interrupt) X(query_progress) X(create_config) \
  X(set_config) X(destroy_config) X(free) X(query) X(destroy_result) X(result_error) \
  X(column_count) X(column_name) X(column_logical_type) X(fetch_chunk) X(prepare) \
  X(prepare_error) X(destroy_prepare) X(nparams) X(execute_prepared_streaming) \
  X(prepared_statement_type) X(prepared_statement_column_count) \
  X(prepared_statement_column_name) X(prepared_statement_column_logical_type) \
  X(extract_statements) X(extract_statements_error) X(prepare_extracted_statement) \
  X(destroy_extracted) X(get_type_id) X(create_logical_type) X(destroy_logical_type) \
  X(data_chunk_get_size) X(data_chunk_set_size) X(data_chunk_get_vector) X(destroy_data_chunk) \
  X(vector_get_data) X(vector_get_validity) X(vector_ensure_validity_writable) \
  X(vector_assign_string_element_len) X(create_table_function) X(destroy_table_function) \
  X(table_function_set_name) X(table_function_add_parameter) X(table_function_set_extra_info) \
  X(table_function_set_bind) X(table_function_set_init) X(table_function_set_function) \
  X(table_function_supports_projection_pushdown) X(register_table_function) \
  X(bind_get_extra_info) X(bind_add_result_column) X(bind_get_parameter) X(bind_set_bind_data) \
  X(bind_set_error) X(bind_set_cardinality) X(get_int64) X(destroy_value) X(init_get_extra_info) \
  X(init_get_bind_data) X(init_set_init_data) X(init_get_column_count) X(init_get_column_index) \
  X(init_set_max_threads) X(init_set_error) X(function_get_bind_data) X(function_get_init_data) \
  X(function_get_extra_info) X(function_set_error)
// clang-format on

struct DuckDbApi {
#define SLIPWAY_DECLARE(name) decltype(&duckdb_##name) name = nullptr;
  SLIPWAY_DUCKDB_FUNCTIONS(SLIPWAY_DECLARE)
#undef SLIPWAY_DECLARE
};

// Looks in $SLIPWAY_LIB_DIR, then <folder of the executable>/../lib, then the system's loader path.
// kUnavailable names what was tried.
Result<const DuckDbApi*> LoadDuckDb();
// REQUIRES: LoadDuckDb() was ok once.
const DuckDbApi& Duck();

// The RAII wrappers below own one handle each; movable; confined to one thread at a time. REQUIRE a
// loaded library.

class DuckResult {
 public:
  DuckResult() = default;
  DuckResult(DuckResult&& other) noexcept : result_(std::exchange(other.result_, {})) {}
  DuckResult& operator=(DuckResult&& other) noexcept {
    std::swap(result_, other.result_);
    return *this;
  }
  ~DuckResult() { Duck().destroy_result(&result_); }
  duckdb_result* get() { return &result_; }

 private:
  duckdb_result result_{};
};

class DuckChunk {
 public:
  explicit DuckChunk(duckdb_data_chunk chunk) : chunk_(chunk) {}
  DuckChunk(DuckChunk&& other) noexcept : chunk_(std::exchange(other.chunk_, nullptr)) {}
  DuckChunk& operator=(DuckChunk&& other) noexcept {
    std::swap(chunk_, other.chunk_);
    return *this;
  }
  ~DuckChunk() {
    if (chunk_ != nullptr) Duck().destroy_data_chunk(&chunk_);
  }
  duckdb_data_chunk get() const { return chunk_; }
  explicit operator bool() const { return chunk_ != nullptr; }
  int64_t size() const { return static_cast<int64_t>(Duck().data_chunk_get_size(chunk_)); }

 private:
  duckdb_data_chunk chunk_;
};

class DuckPrepared {
 public:
  DuckPrepared() = default;
  DuckPrepared(DuckPrepared&& other) noexcept
      : statement_(std::exchange(other.statement_, nullptr)) {}
  DuckPrepared& operator=(DuckPrepared&& other) noexcept {
    std::swap(statement_, other.statement_);
    return *this;
  }
  ~DuckPrepared() { Duck().destroy_prepare(&statement_); }
  duckdb_prepared_statement* get() { return &statement_; }
  duckdb_prepared_statement operator*() const { return statement_; }

 private:
  duckdb_prepared_statement statement_ = nullptr;
};

class DuckType {
 public:
  explicit DuckType(duckdb_logical_type type) : type_(type) {}
  explicit DuckType(duckdb_type id) : type_(Duck().create_logical_type(id)) {}
  DuckType(const DuckType&) = delete;
  DuckType& operator=(const DuckType&) = delete;
  ~DuckType() { Duck().destroy_logical_type(&type_); }
  duckdb_logical_type get() const { return type_; }
  duckdb_type id() const { return Duck().get_type_id(type_); }

 private:
  duckdb_logical_type type_;
};

// The text of a string in a vector; lives as long as the vector's chunk.
inline std::string_view DuckText(const duckdb_string_t& text) {
  const uint32_t length = text.value.inlined.length;
  const char* at = length <= 12 ? text.value.inlined.inlined : text.value.pointer.ptr;
  return {at, length};
}

}  // namespace slipway
