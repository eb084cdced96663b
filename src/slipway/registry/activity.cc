#include "slipway/registry/activity.h"

#include <string>
#include <utility>

namespace slipway {
namespace {

struct Resolution {
  int64_t seconds, kept;
};
constexpr Resolution kResolutions[] = {
    {5, 3600}, {60, 86'400}, {3600, 7 * 86'400}, {86'400, 90 * 86'400}};

// "b0, b1, ...": the columns of LatencyBuckets.
std::string BucketColumns() {
  std::string out;
  for (size_t i = 0; i < LatencyBuckets::kCount; ++i)
    out += (i == 0 ? "b" : ", b") + std::to_string(i);
  return out;
}

std::string AddSql() {
  std::string sql =
      "INSERT INTO deployment_activity(deployment, resolution, at, endpoint, "
      "generation, requests, errors, " +
      BucketColumns() + ") VALUES (?, ?, ?, ?, ?, ?, ?";
  for (size_t i = 0; i < LatencyBuckets::kCount; ++i) sql += ", ?";
  sql += ") ON CONFLICT(deployment, resolution, at, endpoint, generation) DO UPDATE SET ";
  const auto add = [&](const std::string& column) {
    sql += column + " = deployment_activity." + column + " + excluded." + column;
  };
  add("requests");
  sql += ", ";
  add("errors");
  for (size_t i = 0; i < LatencyBuckets::kCount; ++i) {
    sql += ", ";
    add("b" + std::to_string(i));
  }
  return sql;
}

}  // namespace

Status ActivityLog::Record(int64_t now, std::span<const ActivityPoint> points) {
  if (points.empty()) return {};
  static const std::string kSql = AddSql();
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  for (const ActivityPoint& point : points) {
    for (const Resolution& resolution : kResolutions) {
      std::vector<SqlValue> values = {
          point.deployment, resolution.seconds, now - now % resolution.seconds,
          point.endpoint,   point.generation,   point.requests,
          point.errors};
      for (const int64_t count : point.latencies.counts) values.emplace_back(count);
      RETURN_IF_ERROR(database_.Execute(kSql, std::move(values)));
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
  std::string sql = "SELECT deployment, endpoint, generation, at, requests, errors, " +
                    BucketColumns() + " FROM deployment_activity WHERE resolution = ? AND at >= ?";
  std::vector<SqlValue> values = {*resolution, since - since % *resolution};
  if (!deployment.empty()) {
    sql += " AND deployment = ?";
    values.push_back(SqlText(deployment));
  }
  ASSIGN_OR_RETURN(auto rows,
                   database_.Query(sql + " ORDER BY deployment, endpoint, generation, at", values));
  std::vector<ActivityPoint> out;
  for (const SqlRow& row : rows) {
    ActivityPoint& point = out.emplace_back();
    point.deployment = row.Text(0);
    point.endpoint = row.Text(1);
    point.generation = row.Text(2);
    point.at = row.Int(3);
    point.requests = row.Int(4);
    point.errors = row.Int(5);
    for (size_t i = 0; i < LatencyBuckets::kCount; ++i) point.latencies.counts[i] = row.Int(6 + i);
  }
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
