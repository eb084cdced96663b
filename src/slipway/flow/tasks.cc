#include "slipway/flow/tasks.h"

#include <cstdlib>
#include <exception>
#include <set>
#include <thread>
#include <utility>

#include <signal.h>
#include <sys/resource.h>

#include "slipway/base/file.h"
#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/bundle/model.h"
#include "slipway/dataset/dataset.h"
#include "slipway/flow/package_task.h"
#include "slipway/flow/score_run.h"
#include "slipway/table/cell.h"
#include "slipway/train/train.h"

namespace slipway {
namespace {

int Threads(const Json& task) {
  const int64_t asked = task.value("threads", int64_t{0});
  const int64_t cores = std::max(1u, std::thread::hardware_concurrency());
  return static_cast<int>(asked > 0 ? std::min<int64_t>(asked, 256) : cores);
}

Result<FilesSpec> Spec(const Json& task, std::string_view key) {
  ASSIGN_OR_RETURN(const Json* json, GetObject(task, key));
  return FilesSpecFromJson(*json);
}

Result<Json> TaskInspect(const Json& task) {
  ASSIGN_OR_RETURN(FilesSpec spec, Spec(task, "input"));
  ASSIGN_OR_RETURN(Inspection inspection, Inspect(spec));
  return Json{{"spec", FilesSpecToJson(inspection.spec)},
              {"files", inspection.files},
              {"bytes", inspection.bytes},
              {"warnings", inspection.warnings}};
}

Result<Json> TaskCount(const Json& task) {
  ASSIGN_OR_RETURN(FilesSpec spec, Spec(task, "input"));
  ASSIGN_OR_RETURN(int64_t rows, CountRows(spec));
  return Json{{"rows", rows}};
}

// A cell as JSON: what a person wants to see.
Json CellToJson(const ColumnView& column, int row) {
  if (!column.valid(row)) return nullptr;
  switch (column.type) {
    case Type::kBoolean:
      return column.booleans()[row] != 0;
    case Type::kInt64:
      return column.ints()[row];
    case Type::kDouble:
      return DoubleToJson(column.doubles()[row]);
    default: {
      std::string text;
      AppendCell(column, row, &text);
      return text;
    }
  }
}

Result<Json> TaskHead(const Json& task) {
  ASSIGN_OR_RETURN(FilesSpec spec, Spec(task, "input"));
  ASSIGN_OR_RETURN(int64_t limit, GetInt(task, "rows"));
  ASSIGN_OR_RETURN(std::unique_ptr<ChunkSource> source, OpenSource(spec, {}));
  Json rows = Json::array();
  std::vector<BadRow> bad;
  std::unique_ptr<ChunkDecoder> decoder = source->NewDecoder();
  Chunk chunk;
  while (static_cast<int64_t>(rows.size()) < limit) {
    ASSIGN_OR_RETURN(bool more, source->Next(&chunk));
    if (!more) break;
    RETURN_IF_ERROR(decoder->Decode(
        chunk,
        [&](const Batch& batch) -> Status {
          for (int r = 0; r < batch.rows && static_cast<int64_t>(rows.size()) < limit; ++r) {
            Json row = Json::object();
            for (int c = 0; c < batch.schema->size(); ++c) {
              row[batch.schema->fields[static_cast<size_t>(c)].name] =
                  CellToJson(batch.columns[static_cast<size_t>(c)], r);
            }
            rows.push_back(std::move(row));
          }
          return {};
        },
        &bad));
  }
  Json bad_rows = Json::array();
  for (const BadRow& row : bad) bad_rows.push_back(BadRowMessage(row));
  return Json{{"schema", SchemaToJson(source->schema())},
              {"rows", std::move(rows)},
              {"bad_rows", std::move(bad_rows)}};
}

Result<SqlTask> MakeSqlTask(const Json& task) {
  SqlTask sql;
  ASSIGN_OR_RETURN(sql.query, GetString(task, "query"));
  ASSIGN_OR_RETURN(const Json* inputs, GetArray(task, "inputs"));
  for (const Json& input : *inputs) {
    ASSIGN_OR_RETURN(std::string name, GetString(input, "name"));
    ASSIGN_OR_RETURN(FilesSpec spec, Spec(input, "spec"));
    sql.inputs.emplace_back(std::move(name), std::move(spec));
  }
  sql.output = task.value("output", "");
  sql.temp_dir = task.value("temp_dir", "");
  sql.threads = Threads(task);
  return sql;
}

Result<Json> TaskSql(const Json& task, WorkerReporter* reporter, const std::atomic<bool>* cancel) {
  ASSIGN_OR_RETURN(SqlTask sql, MakeSqlTask(task));
  sql.cancel = cancel;
  sql.progress = [&](double part) { reporter->Progress({"query", part, 0, ""}); };
  ASSIGN_OR_RETURN(SqlOutcome outcome, RunSql(sql));
  return Json{
      {"rows", outcome.rows}, {"schema", SchemaToJson(outcome.schema)}, {"path", sql.output}};
}

Result<Json> TaskCheckSql(const Json& task) {
  ASSIGN_OR_RETURN(SqlTask sql, MakeSqlTask(task));
  ASSIGN_OR_RETURN(Schema schema, CheckSql(sql));
  return Json{{"schema", SchemaToJson(schema)}};
}

Result<Json> TaskSync(const Json& task, WorkerReporter* reporter, const std::atomic<bool>* cancel) {
  ASSIGN_OR_RETURN(FilesSpec spec, Spec(task, "input"));
  ASSIGN_OR_RETURN(std::string output, GetString(task, "output"));
  ASSIGN_OR_RETURN(std::string quarantine_path, GetString(task, "quarantine"));
  ReadOptions read;
  read.threads = Threads(task);
  ASSIGN_OR_RETURN(std::unique_ptr<ChunkSource> source, OpenSource(spec, read));
  WriteOptions write;
  write.threads = read.threads;
  ASSIGN_OR_RETURN(std::unique_ptr<TableWriter> writer,
                   CreateWriter(output, Format::kParquet, source->schema(), write));
  QuarantineFile quarantine(quarantine_path);
  StreamOptions stream;
  stream.threads = read.threads;
  stream.on_bad_rows = spec.on_bad_rows;
  stream.quarantine = [&](const BadRow& row) { return quarantine.Add(row); };
  stream.progress = [&](double part, int64_t rows) {
    reporter->Progress({"copy", part, rows, ""});
  };
  stream.cancel = cancel;
  const auto copy = [] {
    return BatchTransform([](const Batch& b, const BatchConsumer& emit) { return emit(b); });
  };
  ASSIGN_OR_RETURN(StreamCounts counts, RunOrdered(*source, copy, writer.get(), stream));
  RETURN_IF_ERROR(quarantine.Finish());
  return Json{{"rows", counts.rows},
              {"bad_rows", counts.bad_rows},
              {"schema", SchemaToJson(source->schema())},
              {"quarantine", quarantine.rows() > 0 ? Json(quarantine_path) : Json()},
              {"path", output}};
}

Result<Json> TaskScore(const Json& task, WorkerReporter* reporter,
                       const std::atomic<bool>* cancel) {
  ASSIGN_OR_RETURN(std::string model_path, GetString(task, "model"));
  ModelOptions options;
  if (FindMember(task, "explain") != nullptr) {
    ASSIGN_OR_RETURN(const int64_t explain, GetInt(task, "explain"));
    options.explain = static_cast<int>(explain);
  }
  ASSIGN_OR_RETURN(std::unique_ptr<Model> model, Model::Open(model_path, options));
  if (const Json* threshold = FindMember(task, "threshold")) {
    ASSIGN_OR_RETURN(double value, DoubleFromJson(*threshold));
    RETURN_IF_ERROR(model->SetThreshold(value));
  }
  ScoreTask score;
  ASSIGN_OR_RETURN(score.input, Spec(task, "input"));
  ASSIGN_OR_RETURN(score.output, GetString(task, "output"));
  ASSIGN_OR_RETURN(score.quarantine_path, GetString(task, "quarantine"));
  score.output_format = Format::kParquet;
  if (FindMember(task, "keep") != nullptr) {
    ASSIGN_OR_RETURN(score.keep, GetStrings(task, "keep"));
    score.keep_none = score.keep.empty();
  }
  score.threads = Threads(task);
  score.cancel = cancel;
  score.progress = [&](double part, int64_t rows) {
    reporter->Progress({"score", part, rows, ""});
  };
  ASSIGN_OR_RETURN(ScoreOutcome outcome, ScoreTable(*model, score));
  return Json{
      {"rows", outcome.rows},
      {"predicted", outcome.predicted},
      {"bad_rows", outcome.bad_rows},
      {"schema", SchemaToJson(outcome.schema)},
      {"engine", model->engine_name()},
      {"quarantine", outcome.quarantine_path.empty() ? Json() : Json(outcome.quarantine_path)},
      {"path", score.output}};
}

Result<Json> TaskTrain(const Json& task, WorkerReporter* reporter,
                       const std::atomic<bool>* cancel) {
  TrainTask train;
  ASSIGN_OR_RETURN(const Json* spec, GetObject(task, "spec"));
  ASSIGN_OR_RETURN(train.spec, TrainSpecFromJson(*spec));
  ASSIGN_OR_RETURN(train.input, Spec(task, "input"));
  ASSIGN_OR_RETURN(train.output_dir, GetString(task, "output_dir"));
  ASSIGN_OR_RETURN(train.temp_dir, GetString(task, "temp_dir"));
  ASSIGN_OR_RETURN(const Json* lineage, GetObject(task, "lineage"));
  train.lineage_json = DumpJson(*lineage);
  train.threads = Threads(task);
  train.cancel = cancel;
  train.progress = [&](std::string_view stage, double part, std::string_view detail) {
    reporter->Progress({std::string(stage), part, 0, std::string(detail)});
  };
  QuarantineFile quarantine(task.value("quarantine", JoinPath(train.temp_dir, "quarantine.csv")));
  std::set<std::pair<std::string, int64_t>> aside;  // every fold meets the same rows
  train.quarantine = [&](const BadRow& row) -> Status {
    return aside.emplace(row.file, row.line).second ? quarantine.Add(row) : Status();
  };
  ASSIGN_OR_RETURN(Json info, TrainModel(train));
  RETURN_IF_ERROR(quarantine.Finish());
  Json result = {{"info", std::move(info)},
                 {"output_dir", train.output_dir},
                 {"bad_rows", quarantine.rows()},
                 {"quarantine", quarantine.rows() > 0 ? Json(quarantine.path()) : Json()}};
  // Activation policy `if_better`: the active version is scored again on the new hold-out.
  if (const Json* active = FindMember(task, "compare_bundle")) {
    auto metrics = EvaluateOnHoldout(active->get<std::string>(), train);
    if (metrics.ok()) {
      result["active_metrics"] = (*metrics)["metrics"];
    } else {
      result["active_metrics_error"] = metrics.error().message;
    }
  }
  return result;
}

std::atomic<bool> g_cancel{false};

}  // namespace

Result<Json> RunTask(const Json& task, WorkerReporter* reporter, const std::atomic<bool>* cancel) {
  ASSIGN_OR_RETURN(std::string kind, GetString(task, "kind"));
  if (kind == "inspect") return TaskInspect(task);
  if (kind == "count") return TaskCount(task);
  if (kind == "head") return TaskHead(task);
  if (kind == "check_sql") return TaskCheckSql(task);
  if (kind == "sql") return TaskSql(task, reporter, cancel);
  if (kind == "sync") return TaskSync(task, reporter, cancel);
  if (kind == "score") return TaskScore(task, reporter, cancel);
  if (kind == "train") return TaskTrain(task, reporter, cancel);
  if (kind == "package") return RunPackageTask(task, reporter, cancel);
  return InvalidArgument("unknown task kind '" + kind + "'");
}

int WorkerMain(const char* task_path) {
  ::signal(SIGTERM, [](int) { g_cancel = true; });
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // a file-size limit is a write error, not a death
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  // LightGBM meets at a barrier many times per tree. Threads that spin there cost several times the
  // work itself as soon as anything else runs on the machine. OpenMP reads this when it is loaded.
  if (std::getenv("GOMP_SPINCOUNT") == nullptr) ::setenv("OMP_WAIT_POLICY", "passive", 0);
  WorkerReporter reporter;
  auto run = [&]() -> Result<Json> {
    ASSIGN_OR_RETURN(std::string text, ReadFile(task_path, 64 << 20));
    ASSIGN_OR_RETURN(Json task, ParseJson(text));
    try {
      return RunTask(task, &reporter, &g_cancel);
    } catch (const std::bad_alloc&) {
      return Unavailable("the task ran out of memory");
    } catch (const std::exception& e) {
      return Internal(std::string("unexpected failure: ") + e.what());
    }
  };
  const Result<Json> result = run();
  reporter.Finish(result);
  return result.ok() ? 0 : 1;
}

}  // namespace slipway
