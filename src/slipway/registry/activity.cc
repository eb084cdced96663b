#include "slipway/registry/activity.h"

namespace slipway {
namespace {

struct Resolution {
  int64_t seconds, kept;
};
constexpr Resolution kResolutions[] = {
    {5, 3600}, {60, 86'400}, {3600, 7 * 86'400}, {86'400, 90 * 86'400}};

}  // namespace

Status ActivityLog::Record(int64_t now, std::span<const ActivityPoint> points) {
  if (points.empty()) return {};
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  for (const ActivityPoint& point : points) {
    for (const Resolution& resolution : kResolutions) {
      const int64_t at = now - now % resolution.seconds;
      ASSIGN_OR_RETURN(
          const int64_t there,
          database_.Execute(
              "UPDATE deployment_activity SET requests = requests + ?, errors = errors + ?, p50 = "
              "?, p95 = CASE WHEN p95 > ? THEN p95 ELSE ? END, p99 = CASE WHEN p99 > ? THEN p99 "
              "ELSE ? END WHERE deployment = ? AND resolution = ? AND at = ? AND endpoint = ? AND "
              "generation = ?",
              {point.requests, point.errors, point.p50, point.p95, point.p95, point.p99, point.p99,
               point.deployment, resolution.seconds, at, point.endpoint, point.generation}));
      if (there > 0) continue;
      RETURN_IF_ERROR(database_.Execute(
          "INSERT INTO deployment_activity(deployment, resolution, at, endpoint, generation, "
          "requests, errors, p50, p95, p99) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
          {point.deployment, resolution.seconds, at, point.endpoint, point.generation,
           point.requests, point.errors, point.p50, point.p95, point.p99}));
    }
  }
  return transaction.Commit();
}

Result<std::vector<ActivityPoint>> ActivityLog::Since(int64_t since, int64_t now,
                                                      std::string_view deployment,
                                                      int64_t* resolution) const {
  *resolution = kResolutions[3].seconds;
  for (const Resolution& each : kResolutions) {
    if (now - since > each.kept) continue;
    *resolution = each.seconds;
    break;
  }
  // The span that `since` lies in counts as a whole.
  std::string sql =
      "SELECT deployment, endpoint, generation, at, requests, errors, p50, p95, p99 FROM "
      "deployment_activity WHERE resolution = ? AND at >= ?";
  std::vector<SqlValue> values = {*resolution, since - since % *resolution};
  if (!deployment.empty()) {
    sql += " AND deployment = ?";
    values.push_back(SqlText(deployment));
  }
  ASSIGN_OR_RETURN(auto rows,
                   database_.Query(sql + " ORDER BY deployment, endpoint, generation, at", values));
  std::vector<ActivityPoint> out;
  for (const SqlRow& row : rows)
    out.push_back({row.Text(0), row.Text(1), row.Text(2), row.Int(3), row.Int(4), row.Int(5),
                   row.Double(6), row.Double(7), row.Double(8)});
  return out;
}

Status ActivityLog::Expire(int64_t now) {
  for (const Resolution& resolution : kResolutions) {
    RETURN_IF_ERROR(
        database_.Execute("DELETE FROM deployment_activity WHERE resolution = ? AND at < ?",
                          {resolution.seconds, now - resolution.kept}));
  }
  return {};
}

}  // namespace slipway
