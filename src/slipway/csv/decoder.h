// Turns blocks of CSV into batches: tokenises a tile of rows, then converts it column by column.
// Internal to module csv; see reader.h for the rules.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/csv/cutter.h"
#include "slipway/csv/dialect.h"
#include "slipway/csv/scan.h"
#include "slipway/table/stream.h"

namespace slipway {

// How one file's cells map to the schema. Immutable once shared.
struct CsvFileMap {
  std::string name;
  std::vector<int> fields;  // cell -> field of the schema
  bool in_order = true;     // the cells are the schema's fields in its order
};

// What a chunk carries.
struct CsvPayload {
  CsvBlock block;
  std::shared_ptr<const CsvFileMap> file;
};

// What all decoders of a source share; must outlive them.
struct CsvPlan {
  CsvDialect dialect;
  Schema schema;
  std::vector<bool> wanted;  // per field
};

class CsvDecoder final : public ChunkDecoder {
 public:
  explicit CsvDecoder(const CsvPlan* plan);
  Status Decode(const Chunk& chunk, const BatchConsumer& consume,
                std::vector<BadRow>* bad) override;

 private:
  static constexpr int kTileCells = 4096;

  bool FillTile(CsvTokeniser* tokeniser, const CsvPayload& payload, bool clean_text,
                std::vector<BadRow>* bad);
  void ConvertTile();
  void DropBadRows(const CsvPayload& payload, std::vector<BadRow>* bad);
  Status Emit(const CsvPayload& payload, const BatchConsumer& consume);

  const CsvPlan* plan_;
  int width_;                            // cells of a row
  int tile_rows_;                        // capacity
  std::vector<std::string_view> cells_;  // of the tile, row after row
  std::vector<CsvRecord> records_;
  std::vector<int> bad_cell_;  // per row of the tile: its first cell that is not of its type, or -1
  bool any_bad_ = false;
  int rows_in_tile_ = 0;
  std::vector<int> wanted_cells_;  // of the present file
  const CsvFileMap* mapped_ = nullptr;
  std::vector<Column> columns_;  // per field; only the wanted ones have memory
  std::vector<ColumnView> views_;
  std::vector<std::string_view> row_text_;
  Column arena_;
  int batch_rows_ = 0;
};

}  // namespace slipway
