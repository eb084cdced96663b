#include "slipway/registry/audit.h"

#include "slipway/base/clock.h"

namespace slipway {

Status Audit::Append(const AuditRecord& record) {
  RETURN_IF_ERROR(database_.Execute(
      "INSERT INTO audit(at, who, how, action, project, path, status, request_id, before, after) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      {record.at != 0 ? record.at : NowMicros(), record.who, record.how, record.action,
       record.project, record.path, int64_t{record.status}, record.request_id, record.before_json,
       record.after_json}));
  return {};
}

Result<std::vector<AuditRecord>> Audit::List(const AuditFilter& filter) const {
  std::string sql =
      "SELECT id, at, who, how, action, project, path, status, request_id, before, after FROM "
      "audit WHERE at >= ?";
  std::vector<SqlValue> values = {filter.since};
  if (!filter.project.empty()) {
    sql += " AND project = ?";
    values.emplace_back(filter.project);
  }
  if (!filter.who.empty()) {
    sql += " AND who = ?";
    values.emplace_back(filter.who);
  }
  if (filter.before > 0) {
    sql += " AND id < ?";
    values.emplace_back(filter.before);
  }
  sql += " ORDER BY id DESC LIMIT ?";
  values.emplace_back(filter.limit);
  ASSIGN_OR_RETURN(auto rows, database_.Query(sql, std::move(values)));
  std::vector<AuditRecord> out;
  for (const SqlRow& row : rows) {
    out.push_back({row.Int(0), row.Int(1), row.Text(2), row.Text(3), row.Text(4), row.Text(5),
                   row.Text(6), static_cast<int>(row.Int(7)), row.Text(8), row.Text(9),
                   row.Text(10)});
  }
  return out;
}

Result<int64_t> Audit::LastId() const {
  ASSIGN_OR_RETURN(const auto rows, database_.Query("SELECT coalesce(max(id), 0) FROM audit"));
  return rows[0].Int(0);
}

}  // namespace slipway
