#include "slipway/store/database.h"

#include <algorithm>
#include <string>
#include <utility>

namespace slipway {

SqlValue SqlText(std::string_view text) { return SqlValue(std::string(text)); }

SqlValue SqlTextOrNull(std::string_view text) {
  return text.empty() ? SqlValue() : SqlValue(std::string(text));
}

SqlValue SqlIntOrNull(std::optional<int64_t> value) {
  return value.has_value() ? SqlValue(*value) : SqlValue();
}

bool SqlRow::IsNull(size_t column) const {
  return column >= values_.size() || std::holds_alternative<std::monostate>(values_[column]);
}

int64_t SqlRow::Int(size_t column) const {
  const int64_t* value = column < values_.size() ? std::get_if<int64_t>(&values_[column]) : nullptr;
  return value != nullptr ? *value : 0;
}

double SqlRow::Double(size_t column) const {
  if (column >= values_.size()) return 0;
  if (const double* value = std::get_if<double>(&values_[column])) return *value;
  return static_cast<double>(Int(column));
}

std::string SqlRow::Text(size_t column) const {
  const std::string* value =
      column < values_.size() ? std::get_if<std::string>(&values_[column]) : nullptr;
  return value != nullptr ? *value : std::string();
}

std::optional<int64_t> SqlRow::OptionalInt(size_t column) const {
  if (IsNull(column)) return std::nullopt;
  return Int(column);
}

// The mutex stays locked from Begin to the matching Commit or Rollback: other threads wait.
Status Database::Begin() {
  mutex_.lock();
  Status status = depth_ == 0 ? BeginOutermost() : Status();
  if (depth_ > 0) {
    auto savepoint = Execute("SAVEPOINT nested_" + std::to_string(depth_));
    if (!savepoint.ok()) status = std::move(savepoint).error();
  }
  if (!status.ok()) {
    mutex_.unlock();
    return status;
  }
  ++depth_;
  return {};
}

Status Database::Commit() {
  const std::string sql =
      depth_ == 1 ? "COMMIT" : "RELEASE SAVEPOINT nested_" + std::to_string(depth_ - 1);
  auto committed = Execute(sql);
  if (!committed.ok()) {
    Rollback();
    return std::move(committed).error();
  }
  --depth_;
  std::vector<AfterCommit> actions;
  if (depth_ == 0) actions.swap(after_commit_);
  for (AfterCommit& action : after_commit_) action.depth = std::min(action.depth, depth_);
  mutex_.unlock();
  for (const AfterCommit& action : actions) action.run();
  return {};
}

void Database::Rollback() {
  std::erase_if(after_commit_, [this](const AfterCommit& a) { return a.depth >= depth_; });
  // Nothing to undo when the database itself rolled back already.
  if (InTransaction()) {
    if (depth_ == 1) {
      (void)Execute("ROLLBACK").ok();
    } else {
      const std::string name = "nested_" + std::to_string(depth_ - 1);
      (void)Execute("ROLLBACK TO SAVEPOINT " + name).ok();
      (void)Execute("RELEASE SAVEPOINT " + name).ok();
    }
  }
  --depth_;
  mutex_.unlock();
}

Result<Transaction> Transaction::Begin(Database& database) {
  RETURN_IF_ERROR(database.Begin());
  return Transaction(database);
}

Transaction::Transaction(Transaction&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)) {}

Transaction::~Transaction() {
  if (database_ != nullptr) database_->Rollback();
}

namespace {
thread_local OnNextCommit* g_on_next_commit = nullptr;
}  // namespace

OnNextCommit::OnNextCommit(std::function<Status()> write) : write_(std::move(write)) {
  g_on_next_commit = this;
}

OnNextCommit::~OnNextCommit() {
  if (g_on_next_commit == this) g_on_next_commit = nullptr;
}

Status Transaction::Commit() {
  if (database_ == nullptr) return Internal("this transaction has ended already");
  if (g_on_next_commit != nullptr && database_->depth_ == 1) {
    OnNextCommit* const hook = std::exchange(g_on_next_commit, nullptr);
    if (Status written = hook->write_(); !written.ok()) {
      std::exchange(database_, nullptr)->Rollback();
      return written;
    }
    hook->done_ = true;
  }
  return std::exchange(database_, nullptr)->Commit();
}

void Transaction::AfterCommit(std::function<void()> action) {
  if (database_ == nullptr) return;
  database_->after_commit_.push_back({database_->depth_, std::move(action)});
}

}  // namespace slipway
