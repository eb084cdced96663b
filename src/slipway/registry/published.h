// Published services: what the API Deployer can deploy. A version is a package under its id ("v3"):
// immutable, with its own reference to the blob, so that the package it came from may be deleted.
// Thread-safe as Database is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/registry/blobs.h"
#include "slipway/store/database.h"

namespace slipway {

struct PublishedVersion {
  std::string service, version;
  int64_t position = 0;  // in the order of publication, from 1
  std::string blob;
  int64_t bytes = 0;
  std::string manifest_json;
  std::string published_at, published_by;
};

struct PublishedService {
  std::string name, project;
  std::string created_at, created_by;
  std::vector<PublishedVersion> versions;  // oldest first
};

class PublishedServices {
 public:
  PublishedServices(Database& database, Blobs& blobs) : database_(database), blobs_(blobs) {}

  // A service without versions. `project` "": of the first project that publishes it, if one does.
  Result<PublishedService> Create(std::string_view project, std::string_view service,
                                  std::string_view who);
  // With its versions; kConflict while a deployment is of it.
  Status Delete(std::string_view service);
  // The service's name belongs to the project that published it first (kConflict for another). The
  // same version again is no error; another content under its id is kConflict.
  Result<PublishedVersion> Publish(std::string_view project, std::string_view service,
                                   std::string_view version, const Blob& blob,
                                   std::string_view manifest_json, std::string_view who);
  Result<std::vector<PublishedService>> List() const;
  // kNotFound with a suggestion.
  Result<PublishedService> Get(std::string_view service) const;
  // `version` "" = the newest.
  Result<PublishedVersion> GetVersion(std::string_view service, std::string_view version) const;
  Result<std::string> Path(const PublishedVersion& version) const;
  // Whatever uses it is the caller's to check.
  Status DeleteVersion(std::string_view service, std::string_view version);

 private:
  Database& database_;
  Blobs& blobs_;
};

}  // namespace slipway
