#include "slipway/dataset/source_feed.h"

#include <deque>
#include <utility>

namespace slipway {
namespace {

class SourceFeed : public BatchFeed {
 public:
  SourceFeed(std::unique_ptr<ChunkSource> source, OnBadRows on_bad_rows,
             const std::atomic<bool>* cancel)
      : source_(std::move(source)),
        decoder_(source_->NewDecoder()),
        on_bad_rows_(on_bad_rows),
        cancel_(cancel) {}

  Result<bool> Next(Batch* batch) override {
    if (!ready_.empty()) {
      spare_.push_back(std::move(ready_.front()));
      ready_.pop_front();
    }
    while (ready_.empty()) {
      if (cancel_ != nullptr && cancel_->load()) return Cancelled("interrupted");
      Chunk chunk;
      ASSIGN_OR_RETURN(const bool more, source_->Next(&chunk));
      if (!more) return false;
      RETURN_IF_ERROR(DecodeChunk(chunk));
    }
    *batch = ready_.front()->View();
    return true;
  }

 private:
  Status DecodeChunk(const Chunk& chunk) {
    std::vector<BadRow> bad;
    const BatchConsumer keep = [&](const Batch& rows) -> Status {
      if (rows.rows == 0) return {};
      std::unique_ptr<OwnedBatch> copy;
      if (spare_.empty()) {
        copy = std::make_unique<OwnedBatch>(source_->schema());
      } else {
        copy = std::move(spare_.back());
        spare_.pop_back();
      }
      copy->CopyFrom(rows);
      ready_.push_back(std::move(copy));
      return {};
    };
    RETURN_IF_ERROR(decoder_->Decode(chunk, keep, &bad));
    if (!bad.empty() && on_bad_rows_ == OnBadRows::kFail) {
      return InvalidArgument(
          BadRowMessage(bad.front()),
          "mend the row, or say what to do with such rows: on_bad_rows: skip | quarantine");
    }
    return {};
  }

  std::unique_ptr<ChunkSource> source_;
  std::unique_ptr<ChunkDecoder> decoder_;
  const OnBadRows on_bad_rows_;
  const std::atomic<bool>* cancel_;
  std::deque<std::unique_ptr<OwnedBatch>> ready_;  // the first is what the caller has
  std::vector<std::unique_ptr<OwnedBatch>> spare_;
};

}  // namespace

FeedTable SourceTable(const std::string& name, const FilesSpec& spec,
                      const std::atomic<bool>* cancel) {
  FeedTable table;
  table.schema = spec.schema;
  table.open = [name, spec,
                cancel](const std::vector<int>& columns) -> Result<std::unique_ptr<BatchFeed>> {
    ReadOptions options;
    for (int i : columns)
      options.columns.push_back(spec.schema.fields[static_cast<size_t>(i)].name);
    // A scan that needs no column still needs the number of rows.
    if (options.columns.empty()) options.columns.push_back(spec.schema.fields.front().name);
    options.memory_limit = 128 << 20;
    Result<std::unique_ptr<ChunkSource>> source = OpenSource(spec, options);
    if (!source.ok()) return source.error().Within("input '" + name + "'");
    return std::unique_ptr<BatchFeed>(
        new SourceFeed(std::move(source).value(), spec.on_bad_rows, cancel));
  };
  return table;
}

}  // namespace slipway
