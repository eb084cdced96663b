// The service package: one immutable version of an API service as a zip (docs/package-format.md):
// manifest.json (format, service, id, endpoints, parts with size and SHA-256), a bundle per model,
// lookup tables, openapi.json, test_queries.json. Reproducible bytes: the same content gives the
// same file. An API node unpacks it into a folder once and reads the folder from then on.
// Foreign bytes: names are flat and listed in the manifest, sizes and the ratio are bounded, every
// part's hash is checked while it is unpacked and again when the folder is opened.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/base/result.h"

namespace slipway {

inline constexpr int kPackageFormat = 1;

enum class EndpointType { kPrediction, kLookup };      // functions and SQL will come here
std::string_view EndpointTypeName(EndpointType type);  // "prediction", "lookup"

// What happens to a record whose lookup fails (DSS: policies of an enrichment).
enum class LookupPolicy {
  kError,     // the record's answer is an error (400 for a single record)
  kIgnore,    // answered, with ignored: true and the reason
  kContinue,  // go on: the columns are missing; of several matches, the first row's
};
std::string_view LookupPolicyName(LookupPolicy policy);  // "error", "ignore", "continue"

// The `ignoreReason`s.
inline constexpr std::string_view kMissingLookupKey = "MISSING_LOOKUP_KEY";
inline constexpr std::string_view kNoLookupMatch = "NO_LOOKUP_MATCH";
inline constexpr std::string_view kMultipleLookupMatches = "MULTIPLE_LOOKUP_MATCHES";
inline constexpr std::string_view kDroppedByModel = "DROPPED_BY_MODEL";  // a filter of the pipeline

// One table and how records meet it: an enrichment of a prediction endpoint, or one of a lookup
// endpoint's tables.
struct TableUse {
  std::string part;   // the manifest's part that holds the LookupTable
  std::string table;  // its dataset's name, for people
  struct Pair {
    std::string column;  // of the table
    std::string field;   // of the record (key), or of the enriched record / the answer (column)
  };
  std::vector<Pair> keys;     // in the table's key order
  std::vector<Pair> columns;  // what is looked up
  LookupPolicy missing_key = LookupPolicy::kContinue;
  LookupPolicy no_match = LookupPolicy::kContinue;
  LookupPolicy several_matches = LookupPolicy::kError;
};

struct PackageEndpoint {
  std::string id;
  EndpointType type = EndpointType::kPrediction;
  std::string description;
  // prediction:
  std::string model_part;  // a bundle
  std::string model;       // "PROJECT/MODEL@N", for people and for lineage
  bool explain_by_default = false;
  int explanations = 5;  // how many features, unless the request says
  std::vector<TableUse> enrichments;
  // lookup:
  std::vector<TableUse> tables;
};

struct PackagePart {
  std::string name;  // a plain file name, unique without regard to case
  int64_t bytes = 0;
  std::string sha256;
};

struct PackageManifest {
  std::string service;  // the id that requests use
  std::string id;       // "v3": the generation's name on a node
  std::string created_at, created_by, notes;
  std::string auth;  // "" (the node's rule), "public" or "api_keys"
  std::vector<PackageEndpoint> endpoints;
  std::vector<PackagePart> parts;  // in the file's order, without manifest.json

  const PackageEndpoint* Find(std::string_view endpoint) const;
  const PackagePart* FindPart(std::string_view name) const;
};
Json ManifestToJson(const PackageManifest& manifest);
// Strict: unknown keys, wrong types, names that are no names, parts that nothing lists:
// kCorruption.
Result<PackageManifest> ManifestFromJson(const Json& json);
// Of the manifest, hence of every part: the same package, wherever it lies.
std::string ManifestSha256(const PackageManifest& manifest);

// What goes into a package, by file: bundles, tables.
struct PackageContent {
  PackageManifest manifest;                  // without parts: WritePackage lists them
  std::map<std::string, std::string> files;  // part name -> path of the file to take
  Json openapi;                              // openapi.json
  Json test_queries;                         // test_queries.json (test_query.h)
};
// Durable and atomic. Streams: memory does not grow with the parts.
Status WritePackage(const std::string& path, const PackageContent& content);

struct PackageLimits {
  int64_t package_bytes = int64_t{4} << 30;
  int64_t part_bytes = int64_t{4} << 30;
  int64_t total_bytes = int64_t{8} << 30;
  int parts = 1000;
  double ratio = 200;  // of a part of more than 1 MB
};
// The manifest alone, without reading the parts.
Result<PackageManifest> ReadPackageManifest(const std::string& path,
                                            const PackageLimits& limits = {});
// One of its files, "openapi.json" for example, checked against the manifest; kNotFound.
Result<std::string> ReadPackagePart(const std::string& path, std::string_view name, size_t limit);
// Unpacks and verifies into `folder`, which must be new or empty; every file is durable when it
// returns. On an error the folder holds leftovers that the caller removes.
Result<PackageManifest> UnpackPackage(const std::string& path, const std::string& folder,
                                      const PackageLimits& limits = {});
// An unpacked folder: the manifest, and every part there with its size and hash.
Result<PackageManifest> VerifyPackageFolder(const std::string& folder);

}  // namespace slipway
