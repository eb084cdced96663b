#include "slipway/registry/deployments.h"

#include <cmath>

#include "slipway/base/clock.h"
#include "slipway/base/names.h"
#include "slipway/base/text.h"
#include "slipway/registry/sequence.h"

namespace slipway {
namespace {

constexpr size_t kMaxLogBytes = 256 << 10;
constexpr const char* kColumns =
    "SELECT id, name, service, infra, desired, applied, previous, revision, state, reason, epoch, "
    "created_at, created_by, updated_at FROM deployments ";

std::string SpecText(const DeploymentSpec& spec) { return DumpJson(SpecToJson(spec)); }
SqlValue SpecTextOrNull(const std::optional<DeploymentSpec>& spec) {
  return spec ? SqlValue(SpecText(*spec)) : SqlValue();
}

Result<DeploymentSpec> SpecFromText(const std::string& text) {
  ASSIGN_OR_RETURN(const Json json, ParseJson(text));
  return SpecFromJson(json);
}

Status ReadOptionalSpec(const SqlRow& row, size_t column, std::optional<DeploymentSpec>* out) {
  if (row.IsNull(column)) return {};
  ASSIGN_OR_RETURN(*out, SpecFromText(row.Text(column)));
  return {};
}

Result<DeploymentRecord> DeploymentFromRow(const SqlRow& row) {
  DeploymentRecord out;
  out.id = row.Int(0);
  out.name = row.Text(1);
  out.service = row.Text(2);
  out.infra = row.Text(3);
  ASSIGN_OR_RETURN(out.desired, SpecFromText(row.Text(4)));
  RETURN_IF_ERROR(ReadOptionalSpec(row, 5, &out.applied));
  RETURN_IF_ERROR(ReadOptionalSpec(row, 6, &out.previous));
  out.revision = row.Int(7);
  out.state = row.Text(8);
  out.reason = row.Text(9);
  out.epoch = row.Int(10);
  out.created_at = row.Text(11);
  out.created_by = row.Text(12);
  out.updated_at = row.Text(13);
  return out;
}

}  // namespace

Json SpecToJson(const DeploymentSpec& spec) {
  Json generations = Json::array();
  for (const auto& [generation, weight] : spec.generations)
    generations.push_back({{"generation", generation}, {"weight", weight}});
  return {{"generations", std::move(generations)},
          {"settings", spec.settings},
          {"enabled", spec.enabled}};
}

Result<DeploymentSpec> SpecFromJson(const Json& json) {
  DeploymentSpec spec;
  ASSIGN_OR_RETURN(const Json* generations, GetArray(json, "generations"));
  for (const Json& each : *generations) {
    ASSIGN_OR_RETURN(std::string generation, GetString(each, "generation"));
    ASSIGN_OR_RETURN(const double weight, GetDouble(each, "weight"));
    spec.generations.emplace_back(std::move(generation), weight);
  }
  ASSIGN_OR_RETURN(const Json* settings, GetObject(json, "settings"));
  spec.settings = *settings;
  ASSIGN_OR_RETURN(spec.enabled, GetBool(json, "enabled"));
  return spec;
}

std::string DescribeSpec(const DeploymentSpec& spec) {
  if (!spec.enabled) return "disabled";
  if (spec.generations.size() == 1) return spec.generations[0].first;
  std::vector<std::string> parts;
  for (const auto& [generation, weight] : spec.generations)
    parts.push_back(generation + " " + FormatDouble(std::round(weight * 1e6) / 1e4) + " %");
  return Join(parts, ", ");
}

Result<DeploymentRecord> Deployments::Create(std::string_view name, std::string_view service,
                                             std::string_view infra, const DeploymentSpec& desired,
                                             std::string_view who) {
  RETURN_IF_ERROR(CheckValidName(name));  // it names a file
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(const std::vector<DeploymentRecord> all, List());
  for (const DeploymentRecord& other : all) {
    if (other.name == name)
      return Conflict("deployment '" + other.name + "' exists already",
                      "change it with `slipway deployment update " + other.name + "`");
    if (other.service == service && other.infra == infra)
      return Conflict("service '" + other.service + "' is on infrastructure '" + other.infra +
                          "' already, as deployment '" + other.name + "'",
                      "change that one: slipway deployment update " + other.name);
  }
  const std::string now = NowText();
  RETURN_IF_ERROR(database_.Execute(
      "INSERT INTO deployments(name, service, infra, desired, revision, state, reason, created_at, "
      "created_by, updated_at) VALUES (?, ?, ?, ?, 1, 'new', '', ?, ?, ?)",
      {SqlText(name), SqlText(service), SqlText(infra), SpecText(desired), now, SqlText(who),
       now}));
  ASSIGN_OR_RETURN(DeploymentRecord record, Get(name));
  RETURN_IF_ERROR(transaction.Commit());
  return record;
}

Result<std::vector<DeploymentRecord>> Deployments::List() const {
  ASSIGN_OR_RETURN(auto rows, database_.Query(std::string(kColumns) + "ORDER BY name"));
  std::vector<DeploymentRecord> out;
  for (const SqlRow& row : rows) {
    ASSIGN_OR_RETURN(DeploymentRecord record, DeploymentFromRow(row));
    out.push_back(std::move(record));
  }
  return out;
}

Result<DeploymentRecord> Deployments::Get(std::string_view name) const {
  ASSIGN_OR_RETURN(auto rows,
                   database_.Query(std::string(kColumns) + "WHERE name = ?", {SqlText(name)}));
  if (!rows.empty()) return DeploymentFromRow(rows[0]);
  ASSIGN_OR_RETURN(rows, database_.Query("SELECT name FROM deployments ORDER BY name"));
  std::vector<std::string> names;
  for (const SqlRow& row : rows) names.push_back(row.Text(0));
  const std::string meant = DidYouMean(name, names);
  return NotFound("there is no deployment '" + std::string(name) + "'",
                  meant.empty() ? "`slipway deployment ls` lists them" : meant);
}

Status Deployments::SetDesired(std::string_view name, const DeploymentSpec& desired) {
  RETURN_IF_ERROR(database_.Execute(
      "UPDATE deployments SET desired = ?, revision = revision + 1, updated_at = ? WHERE name = ?",
      {SpecText(desired), NowText(), SqlText(name)}));
  return {};
}

Status Deployments::Delete(std::string_view name) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(const DeploymentRecord record, Get(name));
  RETURN_IF_ERROR(
      database_.Execute("DELETE FROM deployment_updates WHERE deployment = ?", {record.id}));
  RETURN_IF_ERROR(
      database_.Execute("DELETE FROM deployment_activity WHERE deployment = ?", {record.name}));
  RETURN_IF_ERROR(database_.Execute("DELETE FROM deployments WHERE id = ?", {record.id}));
  return transaction.Commit();
}

Result<int64_t> Deployments::NextEpoch(int64_t at_least) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(int64_t epoch, NextNumber(database_, "deployer-epoch"));
  if (epoch <= at_least) {
    epoch = at_least + 1;
    RETURN_IF_ERROR(
        database_.Execute("UPDATE sequences SET last = ? WHERE name = 'deployer-epoch'", {epoch}));
  }
  RETURN_IF_ERROR(transaction.Commit());
  return epoch;
}

Result<int64_t> Deployments::SharedEpoch() {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(auto rows,
                   database_.Query("SELECT last FROM sequences WHERE name = 'deployer-epoch'"));
  int64_t epoch = rows.empty() ? 0 : rows[0].Int(0);
  if (epoch == 0) {
    ASSIGN_OR_RETURN(epoch, NextEpoch());
  }
  RETURN_IF_ERROR(transaction.Commit());
  return epoch;
}

Result<int64_t> Deployments::BeginUpdate(std::string_view name, std::string_view kind,
                                         std::string_view requester,
                                         const std::optional<DeploymentSpec>& before,
                                         const DeploymentSpec& after, int64_t epoch,
                                         std::string_view job,
                                         const std::optional<DeploymentSpec>& saved) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(const DeploymentRecord record, Get(name));
  ASSIGN_OR_RETURN(auto running,
                   database_.Query("SELECT id FROM deployment_updates WHERE deployment = ? AND "
                                   "status = 'running'",
                                   {record.id}));
  if (!running.empty())
    return Conflict("an update of deployment '" + record.name + "' is running",
                    "wait until it has ended: slipway deployment show " + record.name);
  ASSIGN_OR_RETURN(auto rows,
                   database_.Query("INSERT INTO deployment_updates(deployment, kind, status, "
                                   "requester, started_at, before, after, job, saved) VALUES "
                                   "(?, ?, 'running', ?, ?, ?, ?, ?, ?) RETURNING id",
                                   {record.id, SqlText(kind), SqlText(requester), NowText(),
                                    SpecTextOrNull(before), SpecText(after), SqlText(job),
                                    SpecTextOrNull(saved)}));
  RETURN_IF_ERROR(
      database_.Execute("UPDATE deployments SET state = 'updating', reason = '', epoch = "
                        "?, updated_at = ? WHERE id = ?",
                        {epoch, NowText(), record.id}));
  const int64_t id = rows[0].Int(0);
  RETURN_IF_ERROR(transaction.Commit());
  return id;
}

Status Deployments::SetEpoch(std::string_view name, int64_t epoch) {
  ASSIGN_OR_RETURN(const DeploymentRecord record, Get(name));
  RETURN_IF_ERROR(
      database_.Execute("UPDATE deployments SET epoch = ? WHERE id = ?", {epoch, record.id}));
  return {};
}

Status Deployments::AppendLog(int64_t update, std::string_view line) {
  RETURN_IF_ERROR(database_.Execute(
      "UPDATE deployment_updates SET log = log || ? WHERE id = ? AND length(log) < ?",
      {NowText() + " " + std::string(line) + "\n", update, static_cast<int64_t>(kMaxLogBytes)}));
  return {};
}

Status Deployments::EndUpdate(int64_t update, std::string_view status,
                              const std::optional<Error>& error,
                              const std::optional<DeploymentSpec>& applied) {
  const std::string message = error ? error->message : "";
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(
      auto rows,
      database_.Query("UPDATE deployment_updates SET status = ?, error = ?, code = ?, "
                      "hint = ?, ended_at = ? WHERE id = ? RETURNING deployment",
                      {SqlText(status), message, SqlText(error ? ErrorCodeName(error->code) : ""),
                       error ? error->hint : "", NowText(), update}));
  if (rows.empty()) return NotFound("there is no update " + std::to_string(update));
  const int64_t id = rows[0].Int(0);
  if (applied) {
    ASSIGN_OR_RETURN(auto old,
                     database_.Query("SELECT applied FROM deployments WHERE id = ?", {id}));
    std::optional<DeploymentSpec> last;
    if (!old.empty()) RETURN_IF_ERROR(ReadOptionalSpec(old[0], 0, &last));
    if (last) {
      DeploymentSpec now = *applied;
      last->enabled = now.enabled = true;
      if (SpecText(*last) != SpecText(now))
        RETURN_IF_ERROR(database_.Execute("UPDATE deployments SET previous = ? WHERE id = ?",
                                          {SpecText(*last), id}));
    }
    RETURN_IF_ERROR(database_.Execute("UPDATE deployments SET applied = ? WHERE id = ?",
                                      {SpecText(*applied), id}));
  }
  const std::string state = status == "done" ? "deployed" : std::string(status);
  RETURN_IF_ERROR(
      database_.Execute("UPDATE deployments SET state = ?, reason = ?, updated_at = ? WHERE id = ?",
                        {state, message, NowText(), id}));
  return transaction.Commit();
}

Result<std::vector<UpdateRecord>> Deployments::MarkInterrupted(
    const std::function<bool(const std::string& deployment)>& runs) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(auto rows, database_.Query("SELECT u.id, d.name FROM deployment_updates u JOIN "
                                              "deployments d ON d.id = u.deployment WHERE "
                                              "u.status = 'running' ORDER BY u.id"));
  std::vector<UpdateRecord> out;
  for (const SqlRow& row : rows) {
    if (runs && runs(row.Text(1))) continue;
    RETURN_IF_ERROR(EndUpdate(row.Int(0), "interrupted",
                              Unavailable("the process that ran it ended in the middle",
                                          "a hub brings it to an end by itself: slipway deployment "
                                          "show " +
                                              row.Text(1)),
                              {}));
    ASSIGN_OR_RETURN(std::vector<UpdateRecord> updates, Updates(row.Text(1), 1));
    if (!updates.empty()) out.push_back(std::move(updates[0]));
  }
  RETURN_IF_ERROR(transaction.Commit());
  return out;
}

Result<std::vector<UpdateRecord>> Deployments::Updates(std::string_view name, int64_t limit) const {
  ASSIGN_OR_RETURN(const DeploymentRecord record, Get(name));
  ASSIGN_OR_RETURN(
      auto rows, database_.Query("SELECT id, kind, status, requester, started_at, "
                                 "ended_at, before, after, error, code, hint, log, job, saved FROM "
                                 "deployment_updates WHERE deployment = ? ORDER BY id "
                                 "DESC LIMIT ?",
                                 {record.id, limit}));
  std::vector<UpdateRecord> out;
  for (const SqlRow& row : rows) {
    UpdateRecord update;
    update.id = row.Int(0);
    update.deployment = record.name;
    update.kind = row.Text(1);
    update.status = row.Text(2);
    update.requester = row.Text(3);
    update.started_at = row.Text(4);
    update.ended_at = row.Text(5);
    RETURN_IF_ERROR(ReadOptionalSpec(row, 6, &update.before));
    ASSIGN_OR_RETURN(update.after, SpecFromText(row.Text(7)));
    if (!row.Text(8).empty())
      update.error = Error{ErrorCodeFromName(row.Text(9)), row.Text(8), row.Text(10)};
    update.log = row.Text(11);
    update.job = row.Text(12);
    RETURN_IF_ERROR(ReadOptionalSpec(row, 13, &update.saved));
    out.push_back(std::move(update));
  }
  return out;
}

}  // namespace slipway
