// What brings services and generations to a node and takes them away.
#include <algorithm>

#include "slipway/base/clock.h"
#include "slipway/base/file.h"
#include "slipway/base/text.h"
#include "slipway/serve/log.h"
#include "slipway/serve/node_state_impl.h"

namespace slipway {
namespace {

Status CheckServiceId(const std::string& id) {
  if (IsValidName(id)) return {};
  return InvalidArgument("'" + id.substr(0, 200) + "' is no service's id",
                         "ids are letters, digits, '_', '.' and '-', at most 128 of them, and do "
                         "not begin with '.' or '-'");
}

// Errors about the open file name what the client asked for.
Error Shown(Error error, const std::string& path, const std::string& shown) {
  if (path == shown) return error;
  for (size_t at = error.message.find(path); at != std::string::npos;
       at = error.message.find(path, at + shown.size()))
    error.message.replace(at, path.size(), shown);
  // A package is named by the file's own name.
  const std::string quoted = "'" + BaseName(path) + "'";
  if (const size_t at = error.message.find(quoted); at != std::string::npos)
    error.message.replace(at, quoted.size(), "'" + BaseName(shown) + "'");
  return error;
}

DesiredGeneration ListEntry(const PackageManifest& manifest) {
  DesiredGeneration entry;
  entry.id = manifest.id;
  entry.created_at = manifest.created_at;
  entry.imported_at = NowText();
  entry.manifest_sha256 = ManifestSha256(manifest);
  for (const PackagePart& part : manifest.parts) entry.disk_bytes += part.bytes;
  return entry;
}

}  // namespace

Status NodeStateImpl::CreateService(const std::string& id, Epoch epoch) {
  RETURN_IF_ERROR(RaiseEpoch(epoch));
  RETURN_IF_ERROR(CheckServiceId(id));
  ServiceTurn turn(this, id);
  return Commit(epoch, [&](DesiredState* next) -> Status {
    if (next->Find(id) != nullptr) return Conflict("there is a service '" + id + "' already");
    next->services.emplace(id, DesiredService());
    return {};
  });
}

Status NodeStateImpl::DeleteService(const std::string& id, Epoch epoch) {
  ServiceTurn turn(this, id);
  RETURN_IF_ERROR(RaiseEpoch(epoch, Change::kDeletion));
  RETURN_IF_ERROR(Commit(
      epoch,
      [&](DesiredState* next) -> Status {
        if (next->Find(id) == nullptr) return UnknownService(*next, id);
        next->services.erase(id);
        return {};
      },
      {}, Change::kDeletion));
  store_.Remove(id, "");
  reserve_.Fill();
  return {};
}

Result<ImportedGeneration> NodeStateImpl::ImportPackage(const std::string& service,
                                                        const std::string& path, bool trusted,
                                                        Epoch epoch) {
  RETURN_IF_ERROR(RaiseEpoch(epoch));
  RETURN_IF_ERROR(CheckServiceId(service));
  ServiceTurn turn(this, service);
  if (trusted) return ImportNew(service, path, epoch);
  ASSIGN_OR_RETURN(const ImportFile file, ImportFile::Open(import_folder(), path));
  Result<ImportedGeneration> imported = ImportNew(service, file.path(), epoch);
  if (!imported.ok()) return Shown(imported.error(), file.path(), path);
  return imported;
}

Result<ImportedGeneration> NodeStateImpl::ImportNew(const std::string& service,
                                                    const std::string& path, Epoch epoch) {
  ASSIGN_OR_RETURN(const PackageManifest manifest, ReadPackageManifest(path));
  if (!IsValidName(manifest.id))
    return Corruption("the package's id '" + manifest.id.substr(0, 200) + "' is no id");
  const DesiredGeneration entry = ListEntry(manifest);
  const Result<DesiredService> found = Desired(service);
  if (found.ok()) {
    if (const DesiredGeneration* known = found->Find(manifest.id)) {
      if (known->manifest_sha256 != entry.manifest_sha256)
        return Conflict("service '" + service + "' has another generation '" + manifest.id + "'",
                        "a generation never changes: make the package again under a new id, or "
                        "delete the one on the node first");
      ASSIGN_OR_RETURN(const bool repaired, Repair(service, *known, path));
      return ImportedGeneration{manifest.id, true, repaired, manifest.auth};
    }
  }
  ASSIGN_OR_RETURN(const GenerationStore::Unpacked unpacked, store_.Unpack(path));
  Status status;
  if (ManifestSha256(unpacked.manifest) != entry.manifest_sha256)
    status = Conflict("the package changed while it was read", "import it again");
  if (status.ok()) status = store_.Place(unpacked.folder, service, manifest.id);
  if (!status.ok()) {
    store_.Discard(unpacked.folder);
    return std::move(status).error();
  }
  status = Commit(epoch, [&](DesiredState* next) -> Status {
    DesiredGeneration added = entry;
    added.sequence = ++next->sequence;
    next->services[service].generations.push_back(std::move(added));
    return {};
  });
  if (!status.ok()) {
    store_.Remove(service, manifest.id);
    return std::move(status).error();
  }
  return ImportedGeneration{.id = manifest.id, .auth = manifest.auth};
}

// The same package again: nothing to do, unless what lies on disk is no longer it.
Result<bool> NodeStateImpl::Repair(const std::string& service, const DesiredGeneration& known,
                                   const std::string& path) {
  const Key key{service, known.id};
  Result<PackageManifest> on_disk = VerifyPackageFolder(store_.Folder(service, known.id));
  if (on_disk.ok() && ManifestSha256(*on_disk) == known.manifest_sha256) return false;
  ASSIGN_OR_RETURN(const GenerationStore::Unpacked unpacked, store_.Unpack(path));
  if (Status status = store_.Place(unpacked.folder, service, known.id); !status.ok()) {
    store_.Discard(unpacked.folder);
    return std::move(status).error();
  }
  LogWarning("a damaged generation was replaced by the same package",
             {{"service", service}, {"generation", known.id}});
  SetError(key, "");
  ASSIGN_OR_RETURN(const DesiredService wanted, Desired(service));
  const DesiredGeneration* again = wanted.Find(known.id);
  if (again == nullptr || !wanted.WantsLoaded(*again)) return true;
  Prepared prepared;
  RETURN_IF_ERROR(Prepare(service, *again, &prepared));
  RETURN_IF_ERROR(
      Commit(std::nullopt, [](DesiredState*) -> Status { return {}; }, std::move(prepared)));
  return true;
}

Status NodeStateImpl::Unload(const std::string& service, const std::string& generation,
                             Epoch epoch) {
  ServiceTurn turn(this, service);
  RETURN_IF_ERROR(RaiseEpoch(epoch));
  return Commit(epoch, [&](DesiredState* next) -> Status {
    DesiredService* found = next->Find(service);
    if (found == nullptr) return UnknownService(*next, service);
    DesiredGeneration* wanted = found->Find(generation);
    if (wanted == nullptr) return UnknownGeneration(service, *found, generation);
    wanted->preloaded = false;
    if (!found->WantsLoaded(*wanted)) return {};
    return Conflict("generation '" + generation + "' of service '" + service + "' is " +
                        (found->Maps(generation) ? "in its mapping" : "its shadow"),
                    found->Maps(generation) ? "switch to another generation first"
                                            : "take it out of the settings first");
  });
}

Status NodeStateImpl::DeleteOne(const std::string& service, const std::string& generation,
                                Epoch epoch) {
  const auto erase = [&](DesiredState* next) -> Status {
    DesiredService* found = next->Find(service);
    if (found == nullptr) return UnknownService(*next, service);
    if (found->Find(generation) == nullptr) return UnknownGeneration(service, *found, generation);
    if (found->Maps(generation))
      return Conflict(
          "generation '" + generation + "' of service '" + service + "' is in its mapping",
          "switch to another generation first");
    if (found->settings.shadow == generation)
      return Conflict("generation '" + generation + "' is the shadow of service '" + service + "'",
                      "take it out of the settings first");
    std::erase_if(found->generations,
                  [&](const DesiredGeneration& each) { return each.id == generation; });
    return {};
  };
  RETURN_IF_ERROR(Commit(epoch, erase, {}, Change::kDeletion));
  store_.Remove(service, generation);
  reserve_.Fill();
  return {};
}

Status NodeStateImpl::DeleteGeneration(const std::string& service, const std::string& generation,
                                       Epoch epoch) {
  ServiceTurn turn(this, service);
  RETURN_IF_ERROR(RaiseEpoch(epoch, Change::kDeletion));
  return DeleteOne(service, generation, epoch);
}

Result<std::vector<std::string>> NodeStateImpl::CleanUnused(Epoch epoch) {
  RETURN_IF_ERROR(RaiseEpoch(epoch, Change::kDeletion));
  std::vector<std::string> services, removed;
  {
    MutexLock lock(mutex_);
    for (const auto& [id, service] : desired_.services) services.push_back(id);
  }
  for (const std::string& id : services) {
    ServiceTurn turn(this, id);
    const Result<DesiredService> service = Desired(id);
    if (!service.ok()) continue;  // deleted meanwhile
    for (size_t i = 0; i < service->generations.size(); ++i) {
      const DesiredGeneration& generation = service->generations[i];
      const bool newest = i + 1 == service->generations.size();
      if (newest || generation.preloaded || service->Maps(generation.id) ||
          service->settings.shadow == generation.id)
        continue;
      RETURN_IF_ERROR(DeleteOne(id, generation.id, epoch));
      removed.push_back(id + "/" + generation.id);
    }
  }
  return removed;
}

}  // namespace slipway
