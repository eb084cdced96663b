// The migration steps of what the API Deployer keeps. Never edited once released.
#pragma once

#include <string_view>

namespace slipway {

inline constexpr std::string_view kDeploymentsStep = R"sql(
CREATE TABLE secrets(
  id INTEGER PRIMARY KEY,
  sealed TEXT NOT NULL,
  created_at TEXT NOT NULL
) STRICT;

CREATE TABLE stages(
  name TEXT PRIMARY KEY,
  position INTEGER NOT NULL,
  description TEXT NOT NULL
) STRICT;
INSERT INTO stages(name, position, description) VALUES
  ('Development', 1, ''), ('Test', 2, ''), ('Production', 3, '');

CREATE TABLE infras(
  name TEXT PRIMARY KEY,
  type TEXT NOT NULL,
  stage TEXT NOT NULL REFERENCES stages(name),
  settings TEXT NOT NULL,
  created_at TEXT NOT NULL,
  created_by TEXT NOT NULL
) STRICT;
CREATE TABLE infra_nodes(
  infra TEXT NOT NULL REFERENCES infras(name) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  url TEXT NOT NULL UNIQUE,
  key_secret INTEGER REFERENCES secrets(id),
  PRIMARY KEY(infra, position)
) STRICT;

CREATE TABLE published_services(
  name TEXT PRIMARY KEY,
  project TEXT NOT NULL,
  created_at TEXT NOT NULL,
  created_by TEXT NOT NULL
) STRICT;
CREATE TABLE published_versions(
  service TEXT NOT NULL REFERENCES published_services(name),
  version TEXT NOT NULL,
  position INTEGER NOT NULL,
  blob_hash TEXT NOT NULL REFERENCES blobs(hash),
  bytes INTEGER NOT NULL,
  manifest TEXT NOT NULL,
  published_at TEXT NOT NULL,
  published_by TEXT NOT NULL,
  PRIMARY KEY(service, version)
) STRICT;
CREATE INDEX published_versions_blob ON published_versions(blob_hash);

CREATE TABLE deployments(
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  service TEXT NOT NULL REFERENCES published_services(name),
  infra TEXT NOT NULL REFERENCES infras(name),
  desired TEXT NOT NULL,
  applied TEXT,
  previous TEXT,
  revision INTEGER NOT NULL,
  state TEXT NOT NULL,
  reason TEXT NOT NULL,
  epoch INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL,
  created_by TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  UNIQUE(service, infra)
) STRICT;

CREATE TABLE deployment_updates(
  id INTEGER PRIMARY KEY,
  deployment INTEGER NOT NULL REFERENCES deployments(id) ON DELETE CASCADE,
  kind TEXT NOT NULL,
  status TEXT NOT NULL CHECK(status IN ('running', 'done', 'failed', 'partial', 'interrupted')),
  requester TEXT NOT NULL,
  started_at TEXT NOT NULL,
  ended_at TEXT NOT NULL DEFAULT '',
  before TEXT,
  after TEXT NOT NULL,
  error TEXT NOT NULL DEFAULT '',
  code TEXT NOT NULL DEFAULT '',
  hint TEXT NOT NULL DEFAULT '',
  log TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX deployment_updates_deployment ON deployment_updates(deployment, id);
CREATE INDEX deployment_updates_running ON deployment_updates(status) WHERE status = 'running';

CREATE TABLE deployment_activity(
  deployment TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  generation TEXT NOT NULL,
  resolution INTEGER NOT NULL,
  at INTEGER NOT NULL,
  requests INTEGER NOT NULL,
  errors INTEGER NOT NULL,
  p50 REAL NOT NULL,
  p95 REAL NOT NULL,
  p99 REAL NOT NULL,
  PRIMARY KEY(deployment, resolution, at, endpoint, generation)
) STRICT;
CREATE INDEX deployment_activity_age ON deployment_activity(resolution, at);
)sql";

// Latencies as counts by bucket (latency_buckets.h) in place of percentiles, which do not add up.
inline constexpr std::string_view kActivityBucketsStep = R"sql(
ALTER TABLE deployment_activity DROP COLUMN p50;
ALTER TABLE deployment_activity DROP COLUMN p95;
ALTER TABLE deployment_activity DROP COLUMN p99;
ALTER TABLE deployment_activity ADD COLUMN b0 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deployment_activity ADD COLUMN b1 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deployment_activity ADD COLUMN b2 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deployment_activity ADD COLUMN b3 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deployment_activity ADD COLUMN b4 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deployment_activity ADD COLUMN b5 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deployment_activity ADD COLUMN b6 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deployment_activity ADD COLUMN b7 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deployment_activity ADD COLUMN b8 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deployment_activity ADD COLUMN b9 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deployment_activity ADD COLUMN b10 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deployment_activity ADD COLUMN b11 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deployment_activity ADD COLUMN b12 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deployment_activity ADD COLUMN b13 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deployment_activity ADD COLUMN b14 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deployment_activity ADD COLUMN b15 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deployment_activity ADD COLUMN b16 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deployment_activity ADD COLUMN b17 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deployment_activity ADD COLUMN b18 INTEGER NOT NULL DEFAULT 0;
)sql";

}  // namespace slipway
