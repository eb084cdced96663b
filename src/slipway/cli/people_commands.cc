// user, key and audit: who may do what, and who did.
#include <cstdio>
#include <iostream>

#include <termios.h>
#include <unistd.h>

#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/base/visible_text.h"
#include "slipway/cli/commands.h"
#include "slipway/http/client.h"

namespace slipway {
namespace {

struct PeopleOptions {
  std::string name, role, scope = "*", label, account, expires, password_file, id, project, who,
                          since;
  std::vector<std::string> grants;
  bool admin = false, enable = false;
  int64_t limit = 100;
};

std::string UserPath(const std::string& name, const std::string& rest = "") {
  return "/api/v1/users/" + UrlEncode(name) + rest;
}

// From a file or standard input ("-"), or typed unseen; nullopt: none was given.
Result<std::optional<std::string>> ReadPassword(const PeopleOptions& options, bool ask) {
  if (!options.password_file.empty()) {
    std::string text;
    if (options.password_file == "-") {
      std::getline(std::cin, text);
    } else {
      ASSIGN_OR_RETURN(text, ReadFile(options.password_file, 4096));
    }
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    return std::optional<std::string>(std::move(text));
  }
  if (!ask || ::isatty(STDIN_FILENO) == 0) return std::optional<std::string>();
  std::fprintf(stderr, "password (empty: none): ");
  termios before{};
  ::tcgetattr(STDIN_FILENO, &before);
  termios silent = before;
  silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
  std::string text;
  std::getline(std::cin, text);
  ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
  std::fprintf(stderr, "\n");
  if (text.empty()) return std::optional<std::string>();
  return std::optional<std::string>(std::move(text));
}

std::string RolesText(const Json& account) {
  std::vector<std::string> out;
  if (account["admin"].get<bool>()) out.push_back("administrator");
  for (const Json& grant : account["grants"])
    out.push_back(grant["role"].get<std::string>() + "@" + grant["scope"].get<std::string>());
  return out.empty() ? "-" : Join(out, ", ");
}

std::string AccountText(const Json& account) {
  return account["name"].get<std::string>() +
         (account["disabled"].get<bool>() ? " (disabled)" : "") + ": " + RolesText(account) + "\n";
}

void WarnOf(Context& context, const Json& answer) {
  const Json* warnings = FindMember(answer, "warnings");
  if (warnings == nullptr) return;
  for (const Json& warning : *warnings) context.Warn(warning.get<std::string>());
}

Result<int> AddUser(Context& context, const PeopleOptions& options) {
  Json body = {{"name", options.name}, {"admin", options.admin}, {"grants", options.grants}};
  ASSIGN_OR_RETURN(const auto password, ReadPassword(options, true));
  if (password) body["password"] = *password;
  ASSIGN_OR_RETURN(const Json account, context.Call("POST", "/api/v1/users", body));
  WarnOf(context, account);
  if (!password)
    context.Say("without a password: make a key for it, slipway key create --account " +
                options.name + " --label LABEL");
  RETURN_IF_ERROR(context.Print(AccountText(account), account));
  return kExitDone;
}

Result<int> ListUsers(Context& context) {
  ASSIGN_OR_RETURN(const Json accounts, context.Call("GET", "/api/v1/users"));
  TextTable table({"ACCOUNT", "STATE", "ROLES", "CREATED", "BY"});
  for (const Json& a : accounts) {
    table.Add({a["name"].get<std::string>(), a["disabled"].get<bool>() ? "disabled" : "enabled",
               RolesText(a), a["created_at"].get<std::string>(),
               a["created_by"].get<std::string>()});
  }
  RETURN_IF_ERROR(context.Print(
      table.empty() ? "no accounts yet: slipway user add NAME --admin\n" : table.ToString(),
      accounts));
  return kExitDone;
}

Result<int> ShowUser(Context& context, const PeopleOptions& options) {
  ASSIGN_OR_RETURN(const Json account, context.Call("GET", UserPath(options.name)));
  RETURN_IF_ERROR(context.Print(AccountText(account), account));
  return kExitDone;
}

Result<int> GrantRole(Context& context, const PeopleOptions& options) {
  ASSIGN_OR_RETURN(const Json account,
                   context.Call("POST", UserPath(options.name, "/grants"),
                                {{"role", options.role}, {"scope", options.scope}}));
  WarnOf(context, account);
  RETURN_IF_ERROR(context.Print(AccountText(account), account));
  return kExitDone;
}

Result<int> RevokeRole(Context& context, const PeopleOptions& options) {
  ASSIGN_OR_RETURN(
      const Json account,
      context.Call("DELETE", UserPath(options.name, "/grants?role=") + UrlEncode(options.role) +
                                 "&scope=" + UrlEncode(options.scope)));
  RETURN_IF_ERROR(context.Print(AccountText(account), account));
  return kExitDone;
}

Result<int> DisableUser(Context& context, const PeopleOptions& options) {
  ASSIGN_OR_RETURN(const Json account,
                   context.Call("PATCH", UserPath(options.name), {{"disabled", !options.enable}}));
  RETURN_IF_ERROR(context.Print(AccountText(account), account));
  return kExitDone;
}

Result<int> SetPassword(Context& context, const PeopleOptions& options) {
  ASSIGN_OR_RETURN(const auto password, ReadPassword(options, true));
  if (!password)
    return Usage("no password was given", "--password-file FILE, or - for standard input");
  ASSIGN_OR_RETURN(const Json account, context.Call("PUT", UserPath(options.name, "/password"),
                                                    {{"password", *password}}));
  RETURN_IF_ERROR(context.Print("the password of " + options.name + " is set\n", account));
  return kExitDone;
}

Result<int64_t> Seconds(const std::string& text) {
  const auto number = ParseInt64(text.substr(0, text.size() - 1));
  const int64_t unit = text.ends_with("d")   ? 86'400
                       : text.ends_with("h") ? 3600
                       : text.ends_with("m") ? 60
                                             : 0;
  if (!number || *number < 1 || unit == 0)
    return Usage("'" + text + "' is no span of time", "30d, 12h or 90m, for example");
  if (*number > int64_t{3660} * 86'400 / unit)
    return Usage("'" + text.substr(0, 40) + "' is too long a span of time",
                 "at most 3660d; without --expires a key lasts until it is revoked");
  return *number * unit;
}

Result<int> CreateKey(Context& context, const PeopleOptions& options) {
  if (HasControls(options.label))
    return Usage("--label has control characters: '" + VisibleText(options.label) + "'",
                 "write it on one line");
  Json body = {{"label", options.label}, {"scope", options.scope}};
  if (!options.role.empty()) body["role"] = options.role;
  if (!options.account.empty()) body["account"] = options.account;
  if (!options.expires.empty()) {
    ASSIGN_OR_RETURN(body["expires_in_seconds"], Seconds(options.expires));
  }
  ASSIGN_OR_RETURN(const Json key, context.Call("POST", "/api/v1/keys", body));
  WarnOf(context, key);
  context.Say("this is the only time that the key is shown");
  RETURN_IF_ERROR(context.Print(key["key"].get<std::string>() + "\n", key));
  return kExitDone;
}

Result<int> ListKeys(Context& context) {
  ASSIGN_OR_RETURN(const Json keys, context.Call("GET", "/api/v1/keys"));
  TextTable table({"KEY", "LABEL", "ACCOUNT", "AT MOST", "STATE", "EXPIRES", "CREATED", "BY"});
  const auto text = [](const Json& v) { return v.is_string() ? v.get<std::string>() : "-"; };
  for (const Json& k : keys) {
    table.Add({text(k["id"]), text(k["label"]), text(k["account"]),
               text(k["role"]) + "@" + text(k["scope"]), text(k["state"]), text(k["expires_at"]),
               text(k["created_at"]), text(k["created_by"])});
  }
  RETURN_IF_ERROR(context.Print(
      table.empty() ? "no keys yet: slipway key create --label LABEL\n" : table.ToString(), keys));
  return kExitDone;
}

Result<int> RevokeKey(Context& context, const PeopleOptions& options) {
  ASSIGN_OR_RETURN(const Json key, context.Call("DELETE", "/api/v1/keys/" + UrlEncode(options.id)));
  RETURN_IF_ERROR(context.Print("revoked " + options.id + "\n", key));
  return kExitDone;
}

Result<int> ListAudit(Context& context, const PeopleOptions& options) {
  std::string path = "/api/v1/audit?limit=" + std::to_string(options.limit);
  const auto add = [&](const char* key, const std::string& value) {
    if (!value.empty()) path += std::string("&") + key + "=" + UrlEncode(value);
  };
  add("project", options.project);
  add("who", options.who);
  add("since", options.since);
  ASSIGN_OR_RETURN(const Json records, context.Call("GET", path));
  TextTable table({"AT", "WHO", "HOW", "ACTION", "BEFORE", "AFTER"});
  const auto brief = [](const Json& v) {
    const std::string text = v.is_null() ? "-" : DumpJson(v);
    return text.size() <= 60 ? text : text.substr(0, 57) + "...";
  };
  for (const Json& r : records) {
    // "DELETE /api/v1/projects/shop"; "job ended", "rights ended".
    const std::string action = r["action"].get<std::string>();
    const bool of_route = action.find(" /") != std::string::npos;
    table.Add({r["at"].get<std::string>(), r["who"].get<std::string>(), r["how"].get<std::string>(),
               of_route ? action.substr(0, action.find(' ')) + " " + r["path"].get<std::string>()
                        : action,
               brief(r["before"]), brief(r["after"])});
  }
  RETURN_IF_ERROR(context.Print(table.empty() ? "no changes\n" : table.ToString(), records));
  return kExitDone;
}

}  // namespace

void AddPeopleCommands(CLI::App* app, Invocation* invocation) {
  static PeopleOptions options;
  CLI::App* user = app->add_subcommand("user", "accounts and their roles")->require_subcommand(1);
  const auto add = [&](const char* name, const char* about) {
    CLI::App* command = user->add_subcommand(name, about);
    command->add_option("NAME", options.name, "the account")->required();
    return command;
  };
  const auto password = [&](CLI::App* command) {
    command->add_option("--password-file", options.password_file,
                        "a file with the password; - for standard input");
  };
  CLI::App* make = add("add", "makes an account");
  make->add_flag("--admin", options.admin, "an administrator of the instance: every right");
  make->add_option("--role", options.grants, "ROLE or ROLE@SCOPE, such as write@project:shop");
  password(make);
  Handle(make, invocation, [](Context& c) { return AddUser(c, options); });
  Handle(user->add_subcommand("ls", "accounts"), invocation,
         [](Context& c) { return ListUsers(c); });
  Handle(add("show", "one account with its roles"), invocation,
         [](Context& c) { return ShowUser(c, options); });
  const auto role = [&](CLI::App* command) {
    command->add_option("ROLE", options.role, "read, write, deploy or admin")
        ->required()
        ->check(CLI::IsMember({"read", "write", "deploy", "admin"}));
    command->add_option("--on", options.scope,
                        "project:NAME, service:PROJECT/NAME or infra:NAME (default: everything)");
  };
  CLI::App* grant = add("grant", "grants a role");
  role(grant);
  Handle(grant, invocation, [](Context& c) { return GrantRole(c, options); });
  CLI::App* revoke = add("revoke", "takes a role away");
  role(revoke);
  Handle(revoke, invocation, [](Context& c) { return RevokeRole(c, options); });
  CLI::App* disable = add("disable", "closes an account: neither password nor key opens anything");
  disable->add_flag("--enable", options.enable, "opens it again");
  Handle(disable, invocation, [](Context& c) { return DisableUser(c, options); });
  CLI::App* set = add("password", "sets an account's password; ends its sessions");
  password(set);
  Handle(set, invocation, [](Context& c) { return SetPassword(c, options); });

  CLI::App* key = app->add_subcommand("key", "API keys for programs")->require_subcommand(1);
  CLI::App* create = key->add_subcommand("create", "makes a key and prints it, once");
  create->add_option("--label", options.label, "what it is for")->required();
  create->add_option("--role", options.role, "no more than this: read, write, deploy or admin")
      ->check(CLI::IsMember({"read", "write", "deploy", "admin"}));
  create->add_option("--on", options.scope,
                     "only there: project:NAME, service:PROJECT/NAME or infra:NAME");
  create->add_option("--account", options.account, "whose it is (default: yours)");
  create->add_option("--expires", options.expires, "30d, 12h, 90m (default: never)");
  Handle(create, invocation, [](Context& c) { return CreateKey(c, options); });
  Handle(key->add_subcommand("ls", "keys, newest first"), invocation,
         [](Context& c) { return ListKeys(c); });
  CLI::App* end = key->add_subcommand("revoke", "ends a key");
  end->add_option("KEY", options.id, "its id, as key ls shows it")->required();
  Handle(end, invocation, [](Context& c) { return RevokeKey(c, options); });

  CLI::App* audit = app->add_subcommand("audit", "who changed what")->require_subcommand(1);
  CLI::App* ls = audit->add_subcommand("ls", "changes, newest first");
  ls->add_option("--project", options.project, "only this project's");
  ls->add_option("--who", options.who, "only this one's");
  ls->add_option("--since", options.since, "24h, 7d, 90m");
  ls->add_option("--limit", options.limit, "at most so many (100)")->check(CLI::Range(1, 1000));
  Handle(ls, invocation, [](Context& c) { return ListAudit(c, options); });
}

}  // namespace slipway
