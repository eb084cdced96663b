#include "slipway/dataset/stream_function.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <utility>

#include "slipway/base/mutex.h"

namespace slipway {
namespace {

void FillVector(const ColumnView& column, int rows, duckdb_vector vector) {
  const auto count = static_cast<size_t>(rows);
  if (column.data == nullptr || column.validity != nullptr) {
    Duck().vector_ensure_validity_writable(vector);
    uint64_t* validity = Duck().vector_get_validity(vector);
    const size_t bytes = (count + 63) / 64 * 8;
    if (column.data == nullptr) {
      std::memset(validity, 0, bytes);
      return;
    }
    std::memcpy(validity, column.validity, bytes);
  }
  if (column.type == Type::kString) {
    auto* const texts = static_cast<duckdb_string_t*>(Duck().vector_get_data(vector));
    for (int row = 0; row < rows; ++row) {
      if (!column.valid(row)) continue;
      const std::string_view text = column.strings()[row];
      // Short texts stand in the vector itself; the rest needs its heap.
      if (duckdb_string_t inlined{}; text.size() <= sizeof inlined.value.inlined.inlined) {
        inlined.value.inlined.length = static_cast<uint32_t>(text.size());
        std::memcpy(inlined.value.inlined.inlined, text.data(), text.size());
        texts[row] = inlined;
      } else {
        Duck().vector_assign_string_element_len(vector, static_cast<idx_t>(row), text.data(),
                                                text.size());
      }
    }
    return;
  }
  static constexpr size_t kWidth[] = {1, 8, 8, 16, 4, 8};
  std::memcpy(Duck().vector_get_data(vector), column.data,
              kWidth[static_cast<size_t>(column.type)] * count);
}

}  // namespace

void FillChunk(const Batch& batch, const std::vector<int>& from, duckdb_data_chunk out) {
  for (size_t i = 0; i < from.size(); ++i) {
    if (from[i] < 0) continue;
    FillVector(batch.columns[static_cast<size_t>(from[i])], batch.rows,
               Duck().data_chunk_get_vector(out, i));
  }
  Duck().data_chunk_set_size(out, static_cast<idx_t>(batch.rows));
}

struct FeedTables::Impl {
  std::vector<FeedTable> tables;
  mutable Mutex mutex;
  Status error GUARDED_BY(mutex);

  void Keep(const Error& failure) {
    MutexLock lock(mutex);
    if (error.ok()) error = failure;
  }
};

namespace {

// One scan: the open feed and which of its columns the query wants.
struct Scan {
  std::unique_ptr<BatchFeed> feed;
  std::vector<int> columns;
};

}  // namespace

struct FeedTables::Callbacks {
  // Runs `f`, which returns a Status; a failure or an exception is kept whole and told to DuckDB
  // through `tell`.
  template <typename F, typename Tell>
  static void Guard(Impl* impl, F&& f, Tell&& tell) noexcept {
    try {
      const Status status = f();
      if (status.ok()) return;
      impl->Keep(status.error());
      tell(status.error().message.c_str());
    } catch (const std::exception& e) {
      tell(e.what());
    }
  }

  static void Bind(duckdb_bind_info info) noexcept {
    auto* impl = static_cast<Impl*>(Duck().bind_get_extra_info(info));
    Guard(
        impl,
        [&]() -> Status {
          duckdb_value value = Duck().bind_get_parameter(info, 0);
          const int64_t number = Duck().get_int64(value);
          Duck().destroy_value(&value);
          if (number < 0 || number >= static_cast<int64_t>(impl->tables.size())) {
            return InvalidArgument("slipway_rows: there is no table " + std::to_string(number));
          }
          const FeedTable& table = impl->tables[static_cast<size_t>(number)];
          for (const Field& field : table.schema.fields) {
            const DuckType type(DuckTypeId(field.type));
            Duck().bind_add_result_column(info, field.name.c_str(), type.get());
          }
          if (table.rows >= 0)
            Duck().bind_set_cardinality(info, static_cast<idx_t>(table.rows), false);
          Duck().bind_set_bind_data(info, new size_t(static_cast<size_t>(number)),
                                    [](void* data) { delete static_cast<size_t*>(data); });
          return {};
        },
        [&](const char* message) { Duck().bind_set_error(info, message); });
  }

  static void Init(duckdb_init_info info) noexcept {
    auto* impl = static_cast<Impl*>(Duck().init_get_extra_info(info));
    Guard(
        impl,
        [&]() -> Status {
          const FeedTable& table =
              impl->tables[*static_cast<size_t*>(Duck().init_get_bind_data(info))];
          auto scan = std::make_unique<Scan>();
          const idx_t count = Duck().init_get_column_count(info);
          for (idx_t i = 0; i < count; ++i) {
            const idx_t column = Duck().init_get_column_index(info, i);
            // A query that only counts asks for a row id, which we do not have: its vector stays as
            // it is.
            scan->columns.push_back(
                column < static_cast<idx_t>(table.schema.size()) ? static_cast<int>(column) : -1);
          }
          std::vector<int> needed = scan->columns;
          std::sort(needed.begin(), needed.end());
          needed.erase(std::unique(needed.begin(), needed.end()), needed.end());
          std::erase(needed, -1);
          ASSIGN_OR_RETURN(scan->feed, table.open(needed));
          Duck().init_set_max_threads(info, 1);
          Duck().init_set_init_data(info, scan.release(),
                                    [](void* data) { delete static_cast<Scan*>(data); });
          return {};
        },
        [&](const char* message) { Duck().init_set_error(info, message); });
  }

  static void Run(duckdb_function_info info, duckdb_data_chunk out) noexcept {
    auto* impl = static_cast<Impl*>(Duck().function_get_extra_info(info));
    Guard(
        impl,
        [&]() -> Status {
          auto* scan = static_cast<Scan*>(Duck().function_get_init_data(info));
          Batch batch;
          ASSIGN_OR_RETURN(const bool more, scan->feed->Next(&batch));
          if (more) {
            FillChunk(batch, scan->columns, out);
          } else {
            Duck().data_chunk_set_size(out, 0);
          }
          return {};
        },
        [&](const char* message) { Duck().function_set_error(info, message); });
  }
};

FeedTables::FeedTables(std::vector<FeedTable> tables) : impl_(std::make_unique<Impl>()) {
  impl_->tables = std::move(tables);
}
FeedTables::~FeedTables() = default;

Status FeedTables::Register(DuckConnection* connection) {
  duckdb_table_function function = Duck().create_table_function();
  Duck().table_function_set_name(function, "slipway_rows");
  {
    const DuckType number(DUCKDB_TYPE_BIGINT);
    Duck().table_function_add_parameter(function, number.get());
  }
  Duck().table_function_set_extra_info(function, impl_.get(), nullptr);
  Duck().table_function_set_bind(function, Callbacks::Bind);
  Duck().table_function_set_init(function, Callbacks::Init);
  Duck().table_function_set_function(function, Callbacks::Run);
  Duck().table_function_supports_projection_pushdown(function, true);
  const duckdb_state state = Duck().register_table_function(connection->get(), function);
  Duck().destroy_table_function(&function);
  if (state != DuckDBSuccess) return Internal("the data engine takes no table function");
  return {};
}

Status FeedTables::error() const {
  MutexLock lock(impl_->mutex);
  return impl_->error;
}

}  // namespace slipway
