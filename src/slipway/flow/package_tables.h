// The lookup tables of a package being made: which dataset goes in with which keys and columns, and
// the files. Confined to one thread.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/dataset/dataset.h"
#include "slipway/lookup/lookup_table.h"
#include "slipway/package/package.h"
#include "slipway/project/service.h"

namespace slipway {

struct PackageTable {
  std::string part, dataset;
  std::vector<std::string> keys;     // in the table's key order
  std::vector<std::string> columns;  // all, in the dataset's order
  std::string path;                  // once built
  std::shared_ptr<const LookupTable> table;
};

class PackageTables {
 public:
  // `datasets`: pinned, by name. Borrowed.
  explicit PackageTables(const std::map<std::string, FilesSpec>& datasets) : datasets_(datasets) {}

  // Writes the short forms out and finds, or adds, the table that serves the use. `wanted`: fields
  // that are taken when the use names no columns, and of which those it names must be; nullptr: all
  // columns that are no keys, under any name. `who` begins messages: "endpoint 'price'".
  Result<TableUse> Add(const TableUseDefinition& use, const Schema* wanted,
                       const std::vector<std::string>& later_keys, const std::string& who);

  // Streams every dataset into its table below `folder`.
  Status Build(
      const std::string& folder,
      const std::function<void(const std::string& dataset, double part, int64_t rows)>& progress,
      const std::atomic<bool>* cancel, std::vector<std::string>* warnings);

  const std::vector<PackageTable>& tables() const { return tables_; }
  const LookupTable* Find(const std::string& part) const;

 private:
  Status BuildOne(PackageTable* table, const std::string& folder,
                  const std::function<void(const std::string&, double, int64_t)>& progress,
                  const std::atomic<bool>* cancel, std::vector<std::string>* warnings);
  const std::map<std::string, FilesSpec>& datasets_;
  std::vector<PackageTable> tables_;
};

// `name` plus `ending`, numbered when another part has the name already (without regard to case).
std::string PartName(const std::string& name, const std::string& ending,
                     const std::vector<std::string>& taken);

}  // namespace slipway
