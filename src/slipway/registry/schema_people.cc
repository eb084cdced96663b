#include "slipway/registry/schema_people.h"

namespace slipway {

// What opens something (passwords, keys, sessions, links) is there as a hash only. `audit` takes
// rows and gives none up: not even this program can change one.
constinit const Migration kPeopleStep = {"people", R"sql(
CREATE TABLE accounts(
  name TEXT PRIMARY KEY,
  password TEXT NOT NULL,
  admin INTEGER NOT NULL,
  disabled INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL,
  created_by TEXT NOT NULL
) STRICT;

CREATE TABLE grants(
  account TEXT NOT NULL REFERENCES accounts(name),
  scope TEXT NOT NULL,
  role TEXT NOT NULL CHECK(role IN ('read', 'write', 'deploy', 'admin')),
  at TEXT NOT NULL,
  made_by TEXT NOT NULL,
  PRIMARY KEY(account, scope, role)
) STRICT;

CREATE TABLE api_keys(
  id TEXT PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE,
  label TEXT NOT NULL,
  account TEXT REFERENCES accounts(name),
  role TEXT NOT NULL,
  scope TEXT NOT NULL,
  created_at TEXT NOT NULL,
  created_by TEXT NOT NULL,
  expires_at INTEGER,
  revoked_at TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX api_keys_account ON api_keys(account);

CREATE TABLE sessions(
  hash TEXT PRIMARY KEY,
  account TEXT NOT NULL REFERENCES accounts(name),
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_account ON sessions(account);

CREATE TABLE invitations(
  hash TEXT PRIMARY KEY,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE audit(
  id INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  who TEXT NOT NULL,
  how TEXT NOT NULL,
  action TEXT NOT NULL,
  project TEXT NOT NULL,
  path TEXT NOT NULL,
  status INTEGER NOT NULL,
  request_id TEXT NOT NULL,
  before TEXT NOT NULL,
  after TEXT NOT NULL
) STRICT;
CREATE INDEX audit_project ON audit(project, id);
CREATE INDEX audit_who ON audit(who, id);
--@ sqlite
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN
  SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_rows_stay BEFORE INSERT ON audit
WHEN EXISTS(SELECT 1 FROM audit WHERE id = NEW.id)
BEGIN
  SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit
BEGIN
  SELECT RAISE(ABORT, 'the audit log is append-only');
END;
--@ postgres
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation',
    MESSAGE = 'the audit log is append-only';
END $body$;
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
  FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit
  FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER audit_rows_stay BEFORE TRUNCATE ON audit
  FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
--@ both
)sql"};

}  // namespace slipway
