// Registry: an opened home: its database, and the subjects in it. One process writes at a time
// (HomeLock; with a registry in PostgreSQL one hub, or any number of commands, one transaction at a
// time); any number read at the same time and see whole transactions. Thread-safe as Database is;
// not to be carried across fork(2).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/registry/accounts.h"
#include "slipway/registry/activity.h"
#include "slipway/registry/api_keys.h"
#include "slipway/registry/audit.h"
#include "slipway/registry/blobs.h"
#include "slipway/registry/datasets.h"
#include "slipway/registry/deployments.h"
#include "slipway/registry/home.h"
#include "slipway/registry/idempotency.h"
#include "slipway/registry/infras.h"
#include "slipway/registry/jobs.h"
#include "slipway/registry/models.h"
#include "slipway/registry/packages.h"
#include "slipway/registry/projects.h"
#include "slipway/registry/published.h"
#include "slipway/registry/secrets.h"
#include "slipway/store/database.h"

namespace slipway {

// One thing that doctor says.
struct Finding {
  bool error = true;    // false: a leftover that garbage collection will remove
  std::string message;  // what and where
  std::string hint;
};

class Registry {
 public:
  // Takes the home's lock (waiting up to `timeout_seconds`; kUnavailable names the holder) and
  // brings the schema up to date. `command` is what others are told meanwhile. Does not look for
  // dead jobs: call jobs().MarkInterruptedJobs().
  // `alone`: no other process may write, also where the registry is shared: a hub. It is fenced
  // there: once another one has opened the home alone, every change of this one is refused.
  static Result<std::unique_ptr<Registry>> OpenForWriting(const std::string& home,
                                                          std::string_view command,
                                                          double timeout_seconds = 10,
                                                          bool alone = false);
  // No lock; writes are refused.
  static Result<std::unique_ptr<Registry>> OpenForReading(const std::string& home);
  // Writes without the lock: safe (transactions), for tests and for tools that repair.
  static Result<std::unique_ptr<Registry>> OpenUnlocked(const std::string& home);

  // False: another process has opened the home alone since this one did. True when that cannot be
  // known now.
  bool StillAlone();

  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  const Home& home() const { return home_; }
  Database& database() { return *database_; }
  // Makes several changes one: every call of the subjects below on this thread is part of it until
  // Commit.
  Result<Transaction> Begin() { return Transaction::Begin(*database_); }

  Projects& projects() { return projects_; }
  Datasets& datasets() { return datasets_; }
  Models& models() { return models_; }
  Packages& packages() { return packages_; }
  Jobs& jobs() { return jobs_; }
  Blobs& blobs() { return blobs_; }
  Idempotency& idempotency() { return idempotency_; }
  Secrets& secrets() { return secrets_; }
  PublishedServices& published() { return published_; }
  Infras& infras() { return infras_; }
  Deployments& deployments() { return deployments_; }
  ActivityLog& activity() { return activity_; }
  Accounts& accounts() { return accounts_; }
  ApiKeys& keys() { return keys_; }
  Audit& audit() { return audit_; }

  // Blobs that nothing refers to, stray data files and temporary files, older than
  // `min_age_seconds`.
  Result<GarbageReport> CollectGarbage(double min_age_seconds = 3600);
  // doctor: the database's own check, every blob and data file present with its size (`deep`: and
  // its hash), leftovers, jobs that died.
  Result<std::vector<Finding>> CheckIntegrity(bool deep);

 private:
  Registry(Home home, std::unique_ptr<Database> database, std::optional<HomeLock> lock);
  static Result<std::unique_ptr<Registry>> OpenWith(Home home, std::optional<HomeLock> lock);
  Status TakeTerm();

  std::optional<HomeLock> lock_;  // first: released last
  Home home_;
  int64_t term_ =
      0;  // of the processes that opened the home alone, of a shared registry; 0: not so
  std::unique_ptr<Database> database_;
  Blobs blobs_;
  Projects projects_;
  Datasets datasets_;
  Models models_;
  Packages packages_;
  Jobs jobs_;
  Idempotency idempotency_;
  Secrets secrets_;
  PublishedServices published_;
  Infras infras_;
  Deployments deployments_;
  ActivityLog activity_;
  Accounts accounts_;
  ApiKeys keys_;
  Audit audit_;
};

}  // namespace slipway
