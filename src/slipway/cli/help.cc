#include "slipway/cli/help.h"

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/text.h"

namespace slipway {
namespace {

struct Example {
  std::string_view command;  // as typed after `slipway`
  std::string_view lines;    // one call a line
};

constexpr Example kExamples[] = {
    {"demo", "slipway demo\nslipway demo --rows 20000 --home /tmp/demo"},
    {"init",
     "slipway init\nslipway init /srv/models\n"
     "slipway init /srv/models --registry 'postgresql://slipway@db.example.org/ml?schema=team_a'"},
    {"apply", "slipway apply --plan -f project.yaml\nslipway apply -f project.yaml"},
    {"diff", "slipway diff -f project.yaml || echo differs"},
    {"export", "slipway export shop > project.yaml\nslipway export shop -o backup/"},
    {"project ls", "slipway project ls"},
    {"project show", "slipway project show shop"},
    {"project delete", "slipway project delete shop --force"},
    {"flow show", "slipway flow show shop\nslipway flow show shop --json"},
    {"schema project", "slipway schema project > slipway.schema.json"},
    {"dataset add",
     "slipway dataset add shop/orders orders.csv\n"
     "slipway dataset add shop/orders 'orders-*.csv.gz' --on-bad-rows quarantine"},
    {"dataset ls", "slipway dataset ls\nslipway dataset ls shop --json"},
    {"dataset show", "slipway dataset show shop/orders"},
    {"dataset head", "slipway dataset head shop/orders -n 3"},
    {"dataset schema", "slipway dataset schema shop/orders --refresh"},
    {"dataset clear", "slipway dataset clear shop/predictions"},
    {"dataset rm", "slipway dataset rm shop/orders"},
    {"recipe add train",
     "slipway recipe add train shop --input orders --target amount --output amount_model\n"
     "slipway recipe add train shop --input orders --target express --prediction binary --output "
     "express_model"},
    {"recipe add score",
     "slipway recipe add score shop --model amount_model --input orders --output predictions"},
    {"recipe add sql",
     "slipway recipe add sql shop --input orders --output big --query 'SELECT * FROM orders WHERE "
     "items > 5'"},
    {"recipe add sync", "slipway recipe add sync shop --input orders --output orders_copy"},
    {"recipe ls", "slipway recipe ls shop"},
    {"recipe show", "slipway recipe show shop/train_amount_model"},
    {"recipe rm", "slipway recipe rm shop/train_amount_model"},
    {"build",
     "slipway build --plan shop/predictions\nslipway build shop/predictions\n"
     "slipway build shop/amount_model --mode all"},
    {"job ls", "slipway job ls\nslipway job ls shop"},
    {"job show", "slipway job show 1"},
    {"job log", "slipway job log 1"},
    {"job abort", "slipway job abort 1"},
    {"model ls", "slipway model ls"},
    {"model versions",
     "slipway model versions shop/amount_model\nslipway model versions shop/amount_model --json"},
    {"model show", "slipway model show shop/amount_model@2"},
    {"model compare",
     "slipway model compare shop/amount_model 1 2\nslipway model compare shop/amount_model 1"},
    {"model activate", "slipway model activate shop/amount_model@2 --reason 'smaller error'"},
    {"model rollback", "slipway model rollback shop/amount_model --reason 'odd prices'"},
    {"model history", "slipway model history shop/amount_model"},
    {"model delete", "slipway model delete shop/amount_model@1"},
    {"model lineage", "slipway model lineage shop/amount_model@2"},
    {"lineage",
     "slipway lineage shop/amount_model@2\nslipway lineage --request c1f07a62\n"
     "slipway lineage --request c1f07a62 --query-log queries-20261123T054016Z-000001.jsonl.zst"},
    {"model export",
     "slipway model export shop/amount_model@2 -o amount.bundle\n"
     "slipway model export shop/amount_model --format lightgbm -o model.txt"},
    {"model import", "slipway model import shop/amount_model amount.bundle --note 'from staging'"},
    {"score",
     "slipway score --model shop/amount_model --input new.csv --output scored.csv\n"
     "slipway score --model model.txt --input new.parquet --output scored.parquet\n"
     "slipway score --model shop/amount_model@2 --input - --output - --keep order_id < new.csv"},
    {"service ls", "slipway service ls\nslipway service ls shop --json"},
    {"service create",
     "slipway service create shop/prices --description 'what an order will cost'"},
    {"service set",
     "slipway service set shop/prices --auth api_keys\nslipway service set shop/prices -f "
     "prices.yaml"},
    {"service delete", "slipway service delete shop/prices"},
    {"endpoint ls", "slipway endpoint ls shop/prices"},
    {"endpoint show", "slipway endpoint show shop/prices/amount"},
    {"endpoint create",
     "slipway endpoint create shop/prices/amount --model amount_model --from-dataset new_orders\n"
     "slipway endpoint create shop/prices/places --lookup places --key place"},
    {"endpoint set",
     "slipway endpoint set shop/prices/amount --model amount_model@3 --explanations 5\n"
     "slipway endpoint set shop/prices/amount -f amount.yaml"},
    {"endpoint delete", "slipway endpoint delete shop/prices/places"},
    {"endpoint queries",
     "slipway endpoint queries shop/prices/amount\n"
     "slipway endpoint queries shop/prices/amount -f queries.yaml"},
    {"endpoint add-query",
     "slipway endpoint add-query shop/prices/amount small --record '{\"items\": 1}' --expect "
     "'{\"prediction\": 46.1}'"},
    {"endpoint delete-query", "slipway endpoint delete-query shop/prices/amount small"},
    {"service show", "slipway service show shop/prices\nslipway service show prices-v1.zip"},
    {"service packages",
     "slipway service packages shop/prices\nslipway service packages shop/prices --changes"},
    {"service package",
     "slipway service package shop/prices\n"
     "slipway service package shop/prices -o prices.zip --notes 'with the new model'"},
    {"service export", "slipway service export shop/prices@v1 -o prices-v1.zip"},
    {"service test", "slipway service test shop/prices\nslipway service test prices-v1.zip"},
    {"service delete-package", "slipway service delete-package shop/prices@v1"},
    {"backup", "slipway backup home.tar\nslipway backup /srv/backups --logs"},
    {"restore",
     "slipway restore home.tar /srv/new-home\nslipway restore --check home.tar\n"
     "slipway restore home.tar /srv/shared --registry 'postgresql://slipway@db/ml'"},
    {"service publish",
     "slipway service publish shop/prices\nslipway service publish shop/prices@v1\n"
     "slipway service publish shop/prices --to https://hub.example:7600 --to-key-file live.key"},
    {"service published", "slipway service published"},
    {"service unpublish", "slipway service unpublish prices@v1\nslipway service unpublish prices"},
    {"infra add",
     "slipway infra add dev --type local\n"
     "slipway infra add live --stage Production --node http://10.0.0.7:12000 --key-file node7.key"},
    {"infra ls", "slipway infra ls"},
    {"infra show", "slipway infra show dev"},
    {"infra rm", "slipway infra rm dev"},
    {"infra nodes",
     "slipway infra nodes live --add http://10.0.0.8:12000 --key-file node8.key\n"
     "slipway infra nodes live --remove http://10.0.0.7:12000"},
    {"infra start", "slipway infra start dev"},
    {"infra stop", "slipway infra stop dev"},
    {"infra stages", "slipway infra stages\nslipway infra stages Development Test Production"},
    {"deployment ls", "slipway deployment ls"},
    {"deployment create", "slipway deployment create prices-dev --service prices --infra dev"},
    {"deployment show",
     "slipway deployment show prices-dev\nslipway deployment show prices-dev --json"},
    {"deployment update",
     "slipway deployment update prices-dev\n"
     "slipway deployment update prices-dev --version v2 --plan\n"
     "slipway deployment update prices-dev --weights v1=90,v2=10\n"
     "slipway deployment update prices-dev --version v2 --canary 10,50,100 --step-minutes 10"},
    {"deployment rollback", "slipway deployment rollback prices-dev"},
    {"deployment enable", "slipway deployment enable prices-dev"},
    {"deployment disable", "slipway deployment disable prices-dev"},
    {"deployment promote", "slipway deployment promote prices-dev --to live"},
    {"deployment test", "slipway deployment test prices-dev"},
    {"deployment query",
     "slipway deployment query prices-dev --endpoint price --record '{\"items\": 3}'"},
    {"deployment activity", "slipway deployment activity\nslipway deployment activity prices-dev"},
    {"deployment history",
     "slipway deployment history prices-dev\n"
     "slipway deployment history prices-dev --update last"},
    {"deployment delete", "slipway deployment delete prices-dev"},
    {"hub", "slipway hub\nslipway hub --listen 127.0.0.1:0 --allow-path /srv/data"},
    {"user add",
     "slipway user add ada --admin --password-file password.txt\n"
     "slipway user add bob --role write@project:shop --password-file password.txt"},
    {"user ls", "slipway user ls"},
    {"user show", "slipway user show bob"},
    {"user grant", "slipway user grant bob deploy --on infra:production"},
    {"user revoke", "slipway user revoke bob write --on project:shop"},
    {"user disable", "slipway user disable bob"},
    {"user password", "slipway user password bob --password-file password.txt"},
    {"key create", "slipway key create --label ci --role write --on project:shop --expires 90d"},
    {"key ls", "slipway key ls"},
    {"key revoke", "slipway key revoke key-0123456789"},
    {"audit ls", "slipway audit ls --project shop --since 24h\nslipway audit ls --who ada"},
    {"doctor", "slipway doctor --deep"},
    {"completion", "eval \"$(slipway completion bash)\""},
};

constexpr size_t kWidth = 100;

// "dataset add" for `slipway dataset add`.
std::string PathOf(const CLI::App* app) {
  std::string out;
  for (; app != nullptr && app->get_parent() != nullptr; app = app->get_parent())
    out = app->get_name() + (out.empty() ? "" : " " + out);
  return out;
}

std::string Upper(std::string text) {
  for (char& c : text) c = static_cast<char>(c == '-' ? '_' : c >= 'a' && c <= 'z' ? c - 32 : c);
  return text;
}

// "-o, --output OUTPUT", or a positional's name.
std::string OptionTitle(const CLI::Option* option) {
  if (option->get_positional())
    return option->get_name(true, false) + (option->get_expected_max() > 1 ? "..." : "");
  std::string out;
  for (const std::string& name : option->get_snames()) out += "-" + name + ", ";
  std::string value;
  for (const std::string& name : option->get_lnames()) {
    out += "--" + name + ", ";
    value = Upper(name);
  }
  out.resize(out.size() - 2);
  if (option->get_expected_min() == 0 || option->get_type_size() == 0) return out;  // a flag
  const std::string type = option->get_type_name();
  if (type.find("INT") != std::string::npos) value = "N";
  return out + " " + value + (option->get_expected_max() > 1 ? "..." : "");
}

// Rows of two columns; the second is wrapped.
std::string Columns(const std::vector<std::pair<std::string, std::string>>& rows) {
  size_t width = 0;
  for (const auto& [left, right] : rows) width = std::max(width, left.size());
  width = std::min<size_t>(width, 30);
  std::string out;
  for (const auto& [left, right] : rows) {
    std::string line =
        "  " + left + std::string(left.size() < width ? width - left.size() : 0, ' ');
    line += "  ";
    size_t column = line.size();
    for (const std::string& word : Split(right, ' ')) {
      if (column + word.size() > kWidth && column > width + 4) {
        while (line.back() == ' ') line.pop_back();
        line += "\n" + std::string(width + 4, ' ');
        column = width + 4;
      }
      line += word + " ";
      column += word.size() + 1;
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    out += line + "\n";
  }
  return out;
}

class HelpLayout : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode) const override {
    std::string out = app->get_description() + "\n\n" + Usage(app, name) + "\n";
    out += Options(app, true) + Commands(app) + Options(app, false);
    if (app->get_parent() == nullptr) return out + app->get_footer() + "\n";
    out +=
        "With every command: --home HOME or --server URL --key-file FILE [--ca-file FILE], --json, "
        "--quiet.\n";
    return out + Examples(PathOf(app));
  }

 private:
  static bool HasCommands(const CLI::App* app) { return app->get_require_subcommand_min() > 0; }

  static std::string Usage(const CLI::App* app, const std::string& name) {
    std::string out = "Usage: " + name;
    if (HasCommands(app)) return out + " COMMAND\n";
    bool optional = false;
    for (const CLI::Option* option : app->get_options()) {
      if (option->get_positional() || option == app->get_help_ptr()) continue;
      if (option->get_required()) {
        out += " " + OptionTitle(option);
      } else {
        optional = true;
      }
    }
    if (optional) out += " [OPTIONS]";
    for (const CLI::Option* option : app->get_options()) {
      if (!option->get_positional()) continue;
      const std::string title = OptionTitle(option);
      out += " " + (option->get_required() ? title : "[" + title + "]");
    }
    return out + "\n";
  }

  static std::string Options(const CLI::App* app, bool positional) {
    std::vector<std::pair<std::string, std::string>> rows;
    for (const CLI::Option* option : app->get_options()) {
      if (option->get_positional() != positional || option == app->get_help_ptr()) continue;
      rows.emplace_back(OptionTitle(option), option->get_description());
    }
    if (rows.empty()) return "";
    return (positional ? "Arguments:\n" : "Options:\n") + Columns(rows) + "\n";
  }

  static std::string Commands(const CLI::App* app) {
    std::vector<std::pair<std::string, std::string>> rows;
    std::string later;
    for (const CLI::App* sub : app->get_subcommands([](const CLI::App*) { return true; })) {
      if (sub->get_group() == "Later") {
        later += (later.empty() ? "" : ", ") + sub->get_name();
      } else if (!sub->get_group().empty()) {
        std::string about = sub->get_description();
        if (const auto subs = sub->get_subcommands([](const CLI::App*) { return true; });
            !subs.empty() && app->get_parent() == nullptr) {
          std::vector<std::string> names;
          for (const CLI::App* s : subs) names.push_back(s->get_name());
          about += " (" + Join(names, ", ") + ")";
        }
        rows.emplace_back(sub->get_name(), about);
      }
    }
    if (rows.empty()) return "";
    return "Commands:\n" + Columns(rows) + (later.empty() ? "" : "  (later: " + later + ")\n") +
           "\n";
  }

  static std::string Examples(const std::string& path) {
    std::string out;
    for (const Example& example : kExamples) {
      const bool below = example.command.substr(0, path.size() + 1) == path + " ";
      if (example.command != path && !below) continue;
      const std::vector<std::string> lines = Split(example.lines, '\n');
      // A group shows the first example of each of its commands.
      for (size_t i = 0; i < (below ? 1 : lines.size()); ++i) out += "  " + lines[i] + "\n";
    }
    return out.empty() ? "" : "\nExamples:\n" + out;
  }
};

}  // namespace

void UseHelpLayout(CLI::App* app) {
  app->formatter(std::make_shared<HelpLayout>());
  app->set_help_flag("-h,--help", "this help");
}

}  // namespace slipway
