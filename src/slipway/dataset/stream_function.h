// A DuckDB table function of one thread whose rows come from our own code. Its callbacks let no
// exception reach DuckDB.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "slipway/base/result.h"
#include "slipway/dataset/duckdb_connection.h"
#include "slipway/table/batch.h"

namespace slipway {

// Gives batches one after the other. Confined to one thread.
class BatchFeed {
 public:
  virtual ~BatchFeed() = default;
  // The next rows (never none), valid until the next call; false at the end. Columns that were not
  // asked for may have data == nullptr.
  virtual Result<bool> Next(Batch* batch) = 0;
};

// Tables that a connection can scan as slipway_rows(NUMBER). Every scan opens its own feed.
struct FeedTable {
  Schema schema;
  int64_t rows = -1;  // for the query planner; -1: not known
  // `columns`: indexes of the columns that the query needs (sorted, perhaps none).
  std::function<Result<std::unique_ptr<BatchFeed>>(const std::vector<int>& columns)> open;
};

// Owns the tables; must outlive the connection. `error` keeps the first error of a feed in full, as
// DuckDB passes on its message only. Thread-safe.
class FeedTables {
 public:
  explicit FeedTables(std::vector<FeedTable> tables);
  ~FeedTables();
  FeedTables(const FeedTables&) = delete;
  FeedTables& operator=(const FeedTables&) = delete;

  Status Register(DuckConnection* connection);
  // The first error of a feed; ok when none failed.
  Status error() const;

 private:
  struct Impl;
  struct Callbacks;
  std::unique_ptr<Impl> impl_;
};

// Copies the batch into DuckDB's output: column `from[i]` of the batch to vector i (-1: left
// alone).
void FillChunk(const Batch& batch, const std::vector<int>& from, duckdb_data_chunk out);

}  // namespace slipway
