#include "slipway/registry/infras.h"

#include <algorithm>
#include <set>

#include "slipway/base/clock.h"
#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/registry/ended_rights.h"

namespace slipway {
namespace {

std::string SettingsText(const InfraSettings& settings) {
  return DumpJson({{"parallel", settings.parallel},
                   {"local_nodes", settings.local_nodes},
                   {"ca_file", settings.ca_file},
                   {"certificate_file", settings.certificate_file},
                   {"key_file", settings.key_file},
                   {"insecure", settings.insecure}});
}

Result<InfraSettings> SettingsFromText(const std::string& text) {
  ASSIGN_OR_RETURN(const Json json, ParseJson(text));
  InfraSettings out;
  ASSIGN_OR_RETURN(const int64_t parallel, GetInt(json, "parallel"));
  ASSIGN_OR_RETURN(const int64_t nodes, GetInt(json, "local_nodes"));
  out.parallel = static_cast<int>(parallel);
  out.local_nodes = static_cast<int>(nodes);
  ASSIGN_OR_RETURN(out.ca_file, GetString(json, "ca_file"));
  ASSIGN_OR_RETURN(out.certificate_file, GetString(json, "certificate_file"));
  ASSIGN_OR_RETURN(out.key_file, GetString(json, "key_file"));
  ASSIGN_OR_RETURN(out.insecure, GetBool(json, "insecure"));
  return out;
}

}  // namespace

Result<std::vector<Stage>> Infras::Stages() const {
  ASSIGN_OR_RETURN(auto rows,
                   database_.Query("SELECT name, description FROM stages ORDER BY position"));
  std::vector<Stage> stages;
  for (const SqlRow& row : rows) stages.push_back({row.Text(0), row.Text(1)});
  return stages;
}

Status Infras::SetStages(const std::vector<Stage>& stages) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(const std::vector<InfraRecord> infras, List());
  for (const InfraRecord& infra : infras) {
    bool kept = false;
    for (const Stage& stage : stages) kept |= stage.name == infra.stage;
    if (!kept)
      return Conflict("stage '" + infra.stage + "' is that of infrastructure '" + infra.name + "'",
                      "keep it, or remove the infrastructure first");
  }
  RETURN_IF_ERROR(database_.Execute("UPDATE stages SET position = -position"));
  int64_t position = 0;
  for (const Stage& stage : stages) {
    RETURN_IF_ERROR(database_.Execute(
        "INSERT INTO stages(name, position, description) VALUES (?, ?, ?) ON CONFLICT(name) DO "
        "UPDATE SET position = excluded.position, description = excluded.description",
        {stage.name, ++position, stage.description}));
  }
  RETURN_IF_ERROR(database_.Execute("DELETE FROM stages WHERE position < 0"));
  return transaction.Commit();
}

Result<InfraRecord> Infras::Add(const NewInfra& infra) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(const std::vector<Stage> stages, Stages());
  std::vector<std::string> names;
  for (const Stage& stage : stages) names.push_back(stage.name);
  if (std::find(names.begin(), names.end(), infra.stage) == names.end()) {
    const std::string meant = DidYouMean(infra.stage, names);
    return NotFound("there is no stage '" + infra.stage + "'",
                    meant.empty() ? "the stages are " + QuotedList(names) : meant);
  }
  ASSIGN_OR_RETURN(const std::vector<InfraRecord> all, List());
  for (const InfraRecord& other : all) {
    if (other.name == infra.name)
      return Conflict("infrastructure '" + infra.name + "' exists already");
    for (const InfraNode& node : other.nodes) {
      for (const NewInfra::Node& mine : infra.nodes) {
        if (mine.url == node.url)
          return Conflict("node " + node.url + " belongs to infrastructure '" + other.name + "'",
                          "a node is in one infrastructure only");
      }
    }
  }
  RETURN_IF_ERROR(database_.Execute(
      "INSERT INTO infras(name, type, stage, settings, created_at, created_by) VALUES (?, ?, ?, ?, "
      "?, ?)",
      {infra.name, infra.type, infra.stage, SettingsText(infra.settings), NowText(), infra.who}));
  int64_t position = 0;
  std::set<std::string> urls;
  for (const NewInfra::Node& node : infra.nodes) {
    if (!urls.insert(node.url).second) return Conflict("node " + node.url + " is named twice");
    SqlValue secret;
    if (!node.key.empty()) {
      ASSIGN_OR_RETURN(secret, secrets_.Put(node.key));
    }
    RETURN_IF_ERROR(database_.Execute(
        "INSERT INTO infra_nodes(infra, position, url, key_secret) VALUES (?, ?, ?, ?)",
        {infra.name, ++position, node.url, secret}));
  }
  ASSIGN_OR_RETURN(InfraRecord record, Get(infra.name));
  RETURN_IF_ERROR(transaction.Commit());
  return record;
}

Result<std::vector<InfraRecord>> Infras::List() const {
  ASSIGN_OR_RETURN(auto rows, database_.Query("SELECT i.name, i.type, i.stage, i.settings, "
                                              "i.created_at, i.created_by FROM infras i JOIN "
                                              "stages s ON s.name = i.stage ORDER BY s.position, "
                                              "i.name"));
  std::vector<InfraRecord> infras;
  for (const SqlRow& row : rows) {
    InfraRecord infra{row.Text(0), row.Text(1), row.Text(2), {}, {}, row.Text(4), row.Text(5)};
    ASSIGN_OR_RETURN(infra.settings, SettingsFromText(row.Text(3)));
    infras.push_back(std::move(infra));
  }
  ASSIGN_OR_RETURN(rows, database_.Query("SELECT infra, url, key_secret FROM infra_nodes ORDER BY "
                                         "infra, position"));
  for (const SqlRow& row : rows) {
    for (InfraRecord& infra : infras) {
      if (infra.name == row.Text(0)) infra.nodes.push_back({row.Text(1), row.OptionalInt(2)});
    }
  }
  return infras;
}

Result<InfraRecord> Infras::Get(std::string_view name) const {
  ASSIGN_OR_RETURN(const std::vector<InfraRecord> all, List());
  std::vector<std::string> names;
  for (const InfraRecord& infra : all) {
    if (infra.name == name) return infra;
    names.push_back(infra.name);
  }
  const std::string meant = DidYouMean(name, names);
  return NotFound(
      "there is no infrastructure '" + std::string(name) + "'",
      meant.empty() ? "`slipway infra ls` lists them; `slipway infra add` makes one" : meant);
}

Status Infras::Delete(std::string_view name, std::string_view who) {
  ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(database_));
  ASSIGN_OR_RETURN(const InfraRecord infra, Get(name));
  ASSIGN_OR_RETURN(auto rows,
                   database_.Query("SELECT name FROM deployments WHERE infra = ? ORDER BY "
                                   "name",
                                   {infra.name}));
  if (!rows.empty()) {
    std::vector<std::string> names;
    for (const SqlRow& row : rows) names.push_back(row.Text(0));
    return Conflict("infrastructure '" + infra.name + "' has deployments: " + QuotedList(names),
                    "delete them first: slipway deployment delete " + names[0]);
  }
  RETURN_IF_ERROR(database_.Execute("DELETE FROM infra_nodes WHERE infra = ?", {infra.name}));
  RETURN_IF_ERROR(database_.Execute("DELETE FROM infras WHERE name = ?", {infra.name}));
  for (const InfraNode& node : infra.nodes) {
    if (node.key_secret) RETURN_IF_ERROR(secrets_.Delete(*node.key_secret));
  }
  RETURN_IF_ERROR(EndRights(database_, "infra:" + infra.name, who));
  return transaction.Commit();
}

}  // namespace slipway
