#include "slipway/registry/schema.h"

#include "slipway/registry/schema_deployments.h"
#include "slipway/registry/schema_people.h"

namespace slipway {
namespace {

// Numbers that never go back: job ids, version numbers, data versions. Rows stay when what they
// count is deleted.
constexpr Migration kRegistryStep = {"registry", R"sql(
CREATE TABLE sequences(
  name TEXT PRIMARY KEY,
  last INTEGER NOT NULL
) STRICT;

CREATE TABLE projects(
  name TEXT PRIMARY KEY,
  definition TEXT NOT NULL,
  revision INTEGER NOT NULL,
  etag TEXT NOT NULL,
  created_at TEXT NOT NULL,
  created_by TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  updated_by TEXT NOT NULL
) STRICT;

CREATE TABLE dataset_data(
  project TEXT NOT NULL REFERENCES projects(name),
  dataset TEXT NOT NULL,
  version INTEGER NOT NULL,
  file TEXT NOT NULL,
  schema TEXT NOT NULL,
  row_count INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  fingerprint TEXT NOT NULL,
  build TEXT NOT NULL,
  at TEXT NOT NULL,
  made_by TEXT NOT NULL,
  previous_version INTEGER NOT NULL,
  previous_file TEXT NOT NULL,
  PRIMARY KEY(project, dataset)
) STRICT;

CREATE TABLE dataset_files(
  project TEXT NOT NULL REFERENCES projects(name),
  dataset TEXT NOT NULL,
  definition_hash TEXT NOT NULL,
  inspection TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  fingerprint_state TEXT NOT NULL,
  row_count INTEGER,
  bytes INTEGER NOT NULL,
  at TEXT NOT NULL,
  PRIMARY KEY(project, dataset)
) STRICT;

CREATE TABLE blobs(
  hash TEXT PRIMARY KEY,
  bytes INTEGER NOT NULL,
  stored_at INTEGER NOT NULL
) STRICT;

CREATE TABLE models(
  id INTEGER PRIMARY KEY,
  project TEXT NOT NULL REFERENCES projects(name),
  name TEXT NOT NULL,
  active_version INTEGER,
  created_at TEXT NOT NULL,
  created_by TEXT NOT NULL,
--@ postgres
  UNIQUE(project, name)
);
--@ sqlite
  UNIQUE(project, name),
  FOREIGN KEY(id, active_version) REFERENCES versions(model_id, number)
    DEFERRABLE INITIALLY DEFERRED
) STRICT;
--@ both

CREATE TABLE versions(
  model_id INTEGER NOT NULL REFERENCES models(id),
  number INTEGER NOT NULL CHECK(number > 0),
  origin TEXT NOT NULL CHECK(origin IN ('train', 'import')),
  info TEXT NOT NULL,
  bundle_hash TEXT NOT NULL REFERENCES blobs(hash),
  reference_hash TEXT REFERENCES blobs(hash),
  holdout_hash TEXT REFERENCES blobs(hash),
  dataset_fingerprint TEXT NOT NULL,
  build TEXT NOT NULL,
  note TEXT NOT NULL,
  created_at TEXT NOT NULL,
  created_by TEXT NOT NULL,
  PRIMARY KEY(model_id, number)
) STRICT;
CREATE INDEX versions_bundle ON versions(bundle_hash);
CREATE INDEX versions_reference ON versions(reference_hash);
CREATE INDEX versions_holdout ON versions(holdout_hash);

--@ sqlite
CREATE TRIGGER first_version_is_active AFTER INSERT ON versions
BEGIN
  UPDATE models SET active_version = NEW.number WHERE id = NEW.model_id AND active_version IS NULL;
END;
CREATE TRIGGER a_model_with_versions_has_an_active_one BEFORE UPDATE OF active_version ON models
WHEN NEW.active_version IS NULL AND EXISTS(SELECT 1 FROM versions WHERE model_id = NEW.id)
BEGIN
  SELECT RAISE(ABORT, 'a model with versions must have an active one');
END;
--@ postgres
ALTER TABLE models ADD FOREIGN KEY(id, active_version) REFERENCES versions(model_id, number)
  DEFERRABLE INITIALLY DEFERRED;
CREATE FUNCTION first_version_is_active() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  UPDATE models SET active_version = NEW.number WHERE id = NEW.model_id AND active_version IS NULL;
  RETURN NULL;
END $body$;
CREATE TRIGGER first_version_is_active AFTER INSERT ON versions
  FOR EACH ROW EXECUTE FUNCTION first_version_is_active();
CREATE FUNCTION a_model_with_versions_has_an_active_one() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  IF EXISTS(SELECT 1 FROM versions WHERE model_id = NEW.id) THEN
    RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation',
      MESSAGE = 'a model with versions must have an active one';
  END IF;
  RETURN NEW;
END $body$;
CREATE TRIGGER a_model_with_versions_has_an_active_one BEFORE UPDATE OF active_version ON models
  FOR EACH ROW WHEN (NEW.active_version IS NULL)
  EXECUTE FUNCTION a_model_with_versions_has_an_active_one();
--@ both

CREATE TABLE activations(
  id INTEGER PRIMARY KEY,
  model_id INTEGER NOT NULL REFERENCES models(id),
  kind TEXT NOT NULL CHECK(kind IN ('activate', 'rollback', 'train', 'import')),
  from_version INTEGER,
  to_version INTEGER NOT NULL,
  who TEXT NOT NULL,
  why TEXT NOT NULL,
  at TEXT NOT NULL
) STRICT;
CREATE INDEX activations_model ON activations(model_id, id);

CREATE TABLE jobs(
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  project TEXT NOT NULL,
  targets TEXT NOT NULL,
  mode TEXT NOT NULL,
  status TEXT NOT NULL CHECK(status IN ('queued', 'running', 'done', 'failed', 'aborted')),
  interrupted INTEGER NOT NULL DEFAULT 0,
  error TEXT NOT NULL DEFAULT '',
  who TEXT NOT NULL,
  created_at TEXT NOT NULL,
  started_at TEXT NOT NULL DEFAULT '',
  finished_at TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX jobs_open ON jobs(status) WHERE status IN ('queued', 'running');
CREATE INDEX jobs_project ON jobs(project, id);

CREATE TABLE activities(
  job_id INTEGER NOT NULL REFERENCES jobs(id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  recipe TEXT NOT NULL,
  output TEXT NOT NULL,
  status TEXT NOT NULL,
  reason TEXT NOT NULL,
  row_count INTEGER,
  seconds REAL NOT NULL,
  error TEXT NOT NULL,
  details TEXT NOT NULL,
  PRIMARY KEY(job_id, position)
) STRICT;

CREATE TABLE idempotency(
  scope TEXT NOT NULL,
  key TEXT NOT NULL,
  request_hash TEXT NOT NULL,
  status INTEGER NOT NULL,
  body TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY(scope, key)
) STRICT;
)sql"};

constexpr Migration kPackagesStep = {"packages", R"sql(
CREATE TABLE packages(
  project TEXT NOT NULL REFERENCES projects(name),
  service TEXT NOT NULL,
  number INTEGER NOT NULL CHECK(number > 0),
  blob_hash TEXT NOT NULL REFERENCES blobs(hash),
  bytes INTEGER NOT NULL,
  content_hash TEXT NOT NULL,
  definition TEXT NOT NULL,
  summary TEXT NOT NULL,
  notes TEXT NOT NULL,
  created_at TEXT NOT NULL,
  created_by TEXT NOT NULL,
  PRIMARY KEY(project, service, number)
) STRICT;
CREATE INDEX packages_blob ON packages(blob_hash);

CREATE TABLE package_models(
  project TEXT NOT NULL,
  service TEXT NOT NULL,
  number INTEGER NOT NULL,
  endpoint TEXT NOT NULL,
  model_project TEXT NOT NULL,
  model TEXT NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY(project, service, number, endpoint),
  FOREIGN KEY(project, service, number) REFERENCES packages(project, service, number)
    DEFERRABLE INITIALLY DEFERRED
) STRICT;
CREATE INDEX package_models_version ON package_models(model_project, model, version);
)sql"};

// Which home the metadata belongs to: home.json has the same id.
constexpr Migration kHomeStep = {"home", R"sql(
CREATE TABLE home(
  id TEXT PRIMARY KEY,
  created_at TEXT NOT NULL
) STRICT;
)sql"};

// What a job works on, as in a grant. Jobs of deployments that are gone stay their project's.
constexpr Migration kJobScopesStep = {"job scopes", R"sql(
ALTER TABLE jobs ADD COLUMN scope TEXT NOT NULL DEFAULT '';
UPDATE jobs SET scope = 'project:' || project;
UPDATE jobs SET scope = 'service:' || project || '/' || substr(targets, 3, length(targets) - 4)
  WHERE kind = 'package';
UPDATE jobs SET scope = 'infra:' ||
    (SELECT infra FROM deployments d WHERE targets = '["' || d.name || '"]')
  WHERE kind = 'deploy' AND
    EXISTS(SELECT 1 FROM deployments d WHERE targets = '["' || d.name || '"]');
CREATE INDEX jobs_scope ON jobs(scope, id);
)sql"};

// The job that an update ran in, and what was wanted before a canary.
constexpr Migration kUpdateJobsStep = {"jobs of updates", R"sql(
ALTER TABLE deployment_updates ADD COLUMN job TEXT NOT NULL DEFAULT '';
ALTER TABLE deployment_updates ADD COLUMN saved TEXT;
)sql"};

}  // namespace

// Released steps stay as they are; new ones are added at the end.
std::span<const Migration> RegistrySchema() {
  static const Migration kSteps[] = {kRegistryStep,
                                     kPackagesStep,
                                     kHomeStep,
                                     kPeopleStep,
                                     {"deployments", kDeploymentsStep},
                                     {"activity buckets", kActivityBucketsStep},
                                     kJobScopesStep,
                                     kUpdateJobsStep};
  return kSteps;
}

}  // namespace slipway
