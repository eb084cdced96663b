#include "slipway/package/package.h"

#include <cerrno>
#include <set>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "slipway/base/file.h"
#include "slipway/base/hash.h"
#include "slipway/bundle/zip.h"
#include "slipway/package/package_parts.h"
#include "slipway/package/part_hash.h"

namespace slipway {
namespace {

constexpr int64_t kSmallPart = int64_t{1} << 20;  // whose ratio is not looked at

Error InPart(std::string_view name, Error error) {
  return error.Within(fmt::format("part '{}'", name.substr(0, 130)));
}

Error Altered(std::string_view name) {
  return InPart(name,
                Corruption("its SHA-256 differs from the manifest's: it was altered or damaged"));
}

// A file descriptor with its path for messages. Movable.
class PartFile {
 public:
  PartFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  PartFile(PartFile&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}
  PartFile& operator=(PartFile&&) = delete;
  ~PartFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const { return fd_; }

  Status Write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return FileError("write", path_, errno);
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return {};
  }

  Status Close() {
    if (::fsync(fd_) != 0) return FileError("fsync", path_, errno);
    if (::close(std::exchange(fd_, -1)) != 0) return FileError("close", path_, errno);
    return {};
  }

  // The content in pieces; the hash of all of it.
  Result<std::string> ReadAll(const ZipSink& sink) {
    PartHash hash;
    std::string buffer(size_t{256} << 10, '\0');
    for (off_t at = 0;;) {
      const ssize_t n = ::pread(fd_, buffer.data(), buffer.size(), at);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return FileError("read", path_, errno);
      if (n == 0) return hash.Hex();
      const std::string_view bytes = std::string_view(buffer).substr(0, static_cast<size_t>(n));
      hash.Update(bytes);
      RETURN_IF_ERROR(sink(bytes));
      at += n;
    }
  }

 private:
  int fd_;
  std::string path_;
};

// Of a plain file only: no link, no pipe that never ends.
Result<PartFile> OpenPart(const std::string& path, int64_t* bytes, int more_flags = 0) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | more_flags);
  if (fd < 0 && errno == ELOOP) return Corruption(fmt::format("'{}' is a link", path));
  if (fd < 0) return FileError("open", path, errno);
  PartFile file(fd, path);
  struct stat info{};
  if (::fstat(fd, &info) != 0) return FileError("read", path, errno);
  if (!S_ISREG(info.st_mode)) return InvalidArgument(fmt::format("'{}' is not a file", path));
  *bytes = info.st_size;
  return file;
}

// ---- Writing ----

bool IsText(std::string_view name) {
  return name.ends_with(".json") || name.ends_with(".txt") || name.ends_with(".model");
}

// One part: from memory, or from a file.
struct PartSource {
  std::string name;
  std::string bytes;  // when `file` is empty
  std::string file;

  // Gives the content to the sink; its hash.
  Result<std::string> Feed(const ZipSink& sink) const {
    if (file.empty()) {
      RETURN_IF_ERROR(sink(bytes));
      return Sha256Hex(bytes);
    }
    int64_t size = 0;
    ASSIGN_OR_RETURN(PartFile part, OpenPart(file, &size));
    return part.ReadAll(sink);
  }
};

Status AddEntry(const PartSource& source, const std::string& sha256, bool deflate,
                ZipFileWriter* zip, size_t* packed) {
  RETURN_IF_ERROR(zip->Begin(source.name, deflate));
  ASSIGN_OR_RETURN(const std::string hash,
                   source.Feed([&](std::string_view bytes) { return zip->Write(bytes); }));
  if (hash != sha256) return Conflict("it changed while it was packed");
  return zip->End(packed);
}

// Texts are deflated where that helps and no reader could take the result for a bomb; bundles are
// packed already, and tables are stored so that unpacking them is a copy.
Status AddPart(const PartSource& source, const PackagePart& part, ZipFileWriter* zip) {
  size_t packed = 0;
  if (!IsText(source.name)) return AddEntry(source, part.sha256, false, zip, &packed);
  RETURN_IF_ERROR(AddEntry(source, part.sha256, true, zip, &packed));
  const size_t size = static_cast<size_t>(part.bytes);
  const size_t least = part.bytes > kSmallPart ? size / 100 : 0;
  if (packed < size && packed >= least) return {};
  RETURN_IF_ERROR(zip->Cancel());
  return AddEntry(source, part.sha256, false, zip, &packed);
}

Error TooMuch() {
  return InvalidArgument("with it the package has more than 4 GiB",
                         "package fewer or smaller tables: a package holds up to 4 GiB");
}

// `most`: the bytes that it may have; more is told before they are read.
Result<PackagePart> Measured(const PartSource& source, int64_t most) {
  PackagePart part;
  part.name = source.name;
  if (!source.file.empty()) {
    int64_t size = 0;
    RETURN_IF_ERROR(OpenPart(source.file, &size));
    if (size > most) return TooMuch();
  }
  ASSIGN_OR_RETURN(part.sha256, source.Feed([&](std::string_view bytes) -> Status {
    part.bytes += static_cast<int64_t>(bytes.size());
    return {};
  }));
  if (part.bytes > most) return TooMuch();
  return part;
}

std::vector<PartSource> SourcesOf(const PackageContent& content) {
  const Json openapi = content.openapi.is_null() ? Json::object() : content.openapi;
  const Json queries = content.test_queries.is_null() ? Json::array() : content.test_queries;
  std::vector<PartSource> sources = {{std::string(kPackageOpenApi), DumpJson(openapi, 1), ""},
                                     {std::string(kPackageTestQueries), DumpJson(queries, 1), ""}};
  for (const auto& [name, path] : content.files) sources.push_back({name, "", path});
  return sources;
}

Status WriteParts(const std::string& path, const PackageContent& content) {
  if (!content.openapi.is_null() && !content.openapi.is_object())
    return InvalidArgument("the OpenAPI description is not an object");
  if (!content.test_queries.is_null() && !content.test_queries.is_array())
    return InvalidArgument("the test queries are not a list");
  const std::vector<PartSource> sources = SourcesOf(content);
  PackageManifest manifest = content.manifest;
  manifest.parts.clear();
  const PackageLimits limits;
  int64_t total = 0;
  for (const PartSource& source : sources) {
    Result<PackagePart> part = Measured(source, limits.package_bytes - 1 - total);
    if (!part.ok()) return InPart(source.name, part.error());
    total += part->bytes;
    manifest.parts.push_back(std::move(*part));
  }
  const Json json = ManifestToJson(manifest);
  if (Result<PackageManifest> read = ManifestFromJson(json); !read.ok()) {
    Error error = read.error();
    error.code = ErrorCode::kInvalidArgument;
    return error;
  }
  if (manifest.parts.size() > static_cast<size_t>(limits.parts))
    return InvalidArgument(
        fmt::format("{} parts, at most {} may be", manifest.parts.size(), limits.parts));
  ASSIGN_OR_RETURN(const std::unique_ptr<ZipFileWriter> zip, ZipFileWriter::Create(path));
  const PartSource head = {std::string(kPackageManifest), DumpJson(json, 1), ""};
  if (static_cast<int64_t>(head.bytes.size()) > kMaxPackageManifestBytes)
    return InvalidArgument("the manifest is larger than 4 MiB");
  RETURN_IF_ERROR(
      AddPart(head, {head.name, static_cast<int64_t>(head.bytes.size()), Sha256Hex(head.bytes)},
              zip.get()));
  for (size_t i = 0; i < sources.size(); ++i) {
    if (Status status = AddPart(sources[i], manifest.parts[i], zip.get()); !status.ok())
      return InPart(sources[i].name, status.error());
  }
  return zip->Finish();
}

// ---- Reading ----

Result<PackageManifest> ParseManifest(std::string_view text) {
  Result<Json> json = ParseJson(text, {static_cast<size_t>(kMaxPackageManifestBytes), 16});
  if (!json.ok()) {
    Error error = json.error();
    error.code = ErrorCode::kCorruption;
    return error.Within(kPackageManifest);
  }
  return ManifestFromJson(*json);
}

Status CheckSizes(const PackageManifest& manifest, const PackageLimits& limits) {
  if (manifest.parts.size() > static_cast<size_t>(limits.parts))
    return Corruption(
        fmt::format("{} parts, at most {} may be", manifest.parts.size(), limits.parts));
  int64_t total = 0;
  for (const PackagePart& part : manifest.parts) {
    if (part.bytes > limits.part_bytes)
      return InPart(part.name, Corruption(fmt::format("{} bytes, at most {} may be", part.bytes,
                                                      limits.part_bytes)));
    total += part.bytes;  // at most kMaxPackageManifestBytes parts of 4 GiB each: no overflow
  }
  if (total > limits.total_bytes)
    return Corruption(fmt::format("{} bytes in all, at most {} may be", total, limits.total_bytes));
  return {};
}

// The entry that Next went to is the manifest's part: by name and size, and no bomb.
Status CheckEntry(const ZipReader& zip, const std::string& name, const PackagePart& part,
                  const PackageLimits& limits) {
  if (name != part.name)
    return Corruption(fmt::format("part '{}' where '{}' belongs", name.substr(0, 60), part.name));
  if (zip.size() != static_cast<size_t>(part.bytes))
    return InPart(part.name,
                  Corruption(fmt::format("{} bytes instead of {}", zip.size(), part.bytes)));
  if (part.bytes > kSmallPart &&
      static_cast<double>(part.bytes) > limits.ratio * static_cast<double>(zip.packed())) {
    return InPart(part.name, Corruption(fmt::format("{} bytes in {} are too many: a zip bomb",
                                                    part.bytes, zip.packed())));
  }
  return {};
}

struct OpenedPackage {
  ZipReader zip;  // after the manifest
  PackageManifest manifest;
  std::string manifest_text;
};

Result<OpenedPackage> OpenPackage(const std::string& path, const PackageLimits& limits) {
  ASSIGN_OR_RETURN(ZipReader zip, ZipReader::OpenFile(path));
  if (zip.file_bytes() > static_cast<size_t>(limits.package_bytes))
    return Corruption(
        fmt::format("{} bytes, at most {} may be", zip.file_bytes(), limits.package_bytes));
  if (zip.entries() > static_cast<size_t>(limits.parts) + 1)
    return Corruption(
        fmt::format("{} entries, at most {} may be", zip.entries(), limits.parts + 1));
  std::string name;
  ASSIGN_OR_RETURN(const bool more, zip.Next(&name));
  if (!more || name != kPackageManifest)
    return Corruption("it does not begin with 'manifest.json': it is no package");
  Result<std::string> text = zip.Read(static_cast<size_t>(kMaxPackageManifestBytes));
  if (!text.ok()) return text.error().Within(kPackageManifest);
  ASSIGN_OR_RETURN(PackageManifest manifest, ParseManifest(*text));
  RETURN_IF_ERROR(CheckSizes(manifest, limits));
  RETURN_IF_ERROR(zip.CheckExact());
  return OpenedPackage{std::move(zip), std::move(manifest), std::move(*text)};
}

// Goes through the entries, which must be the manifest's parts in its order.
Status EachPart(OpenedPackage* package, const PackageLimits& limits,
                const std::function<Status(const PackagePart&)>& visit) {
  std::string name;
  for (const PackagePart& part : package->manifest.parts) {
    ASSIGN_OR_RETURN(const bool more, package->zip.Next(&name));
    if (!more) return Corruption(fmt::format("part '{}' is missing", part.name));
    RETURN_IF_ERROR(CheckEntry(package->zip, name, part, limits));
    RETURN_IF_ERROR(visit(part));
  }
  ASSIGN_OR_RETURN(const bool more, package->zip.Next(&name));
  if (more) return Corruption(fmt::format("unexpected entry '{}'", name.substr(0, 60)));
  return {};
}

Result<PartFile> CreatePart(int folder, const std::string& path, const std::string& name) {
  const int fd =
      ::openat(folder, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (fd < 0) return FileError("create", JoinPath(path, name), errno);
  return PartFile(fd, JoinPath(path, name));
}

Status UnpackPart(const ZipReader& zip, const PackagePart& part, int folder,
                  const std::string& path) {
  ASSIGN_OR_RETURN(PartFile file, CreatePart(folder, path, part.name));
  PartHash hash;
  const Status status =
      zip.Extract(static_cast<size_t>(part.bytes), [&](std::string_view bytes) -> Status {
        hash.Update(bytes);
        return file.Write(bytes);
      });
  if (!status.ok()) return InPart(part.name, status.error());
  if (hash.Hex() != part.sha256) return Altered(part.name);
  return file.Close();
}

Result<PackageManifest> Unpack(const std::string& path, const std::string& folder,
                               const PackageLimits& limits) {
  ASSIGN_OR_RETURN(OpenedPackage package, OpenPackage(path, limits));
  RETURN_IF_ERROR(MakeDirs(folder));
  ASSIGN_OR_RETURN(const std::vector<std::string> there, ListDir(folder));
  if (!there.empty()) return Conflict(fmt::format("the folder '{}' is not empty", folder));
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FileError("open", folder, errno);
  const PartFile closer(fd, folder);
  RETURN_IF_ERROR(EachPart(&package, limits, [&](const PackagePart& part) {
    return UnpackPart(package.zip, part, fd, folder);
  }));
  // Last: a folder with a manifest is whole.
  ASSIGN_OR_RETURN(PartFile file, CreatePart(fd, folder, std::string(kPackageManifest)));
  RETURN_IF_ERROR(file.Write(package.manifest_text));
  RETURN_IF_ERROR(file.Close());
  if (::fsync(fd) != 0) return FileError("fsync", folder, errno);
  RETURN_IF_ERROR(FsyncDir(DirName(folder)));
  return std::move(package.manifest);
}

Result<PackageManifest> ReadManifestAlone(const std::string& path, const PackageLimits& limits) {
  ASSIGN_OR_RETURN(OpenedPackage package, OpenPackage(path, limits));
  RETURN_IF_ERROR(EachPart(&package, limits, [](const PackagePart&) -> Status { return {}; }));
  return std::move(package.manifest);
}

Result<PackageManifest> VerifyFolder(const std::string& folder) {
  std::string text;
  int64_t bytes = 0;
  {
    ASSIGN_OR_RETURN(PartFile file,
                     OpenPart(JoinPath(folder, kPackageManifest), &bytes, O_NOFOLLOW));
    if (bytes > kMaxPackageManifestBytes) return Corruption("the manifest is too large");
    RETURN_IF_ERROR(file.ReadAll([&](std::string_view piece) -> Status {
      text += piece;
      return {};
    }));
  }
  ASSIGN_OR_RETURN(PackageManifest manifest, ParseManifest(text));
  for (const PackagePart& part : manifest.parts) {
    const std::string path = JoinPath(folder, part.name);
    Result<PartFile> file = OpenPart(path, &bytes, O_NOFOLLOW);
    if (!file.ok()) {
      if (file.error().code == ErrorCode::kNotFound)
        return Corruption(fmt::format("part '{}' is missing", part.name));
      return InPart(part.name, file.error());
    }
    if (bytes != part.bytes)
      return InPart(part.name,
                    Corruption(fmt::format("{} bytes instead of {}", bytes, part.bytes)));
    ASSIGN_OR_RETURN(const std::string hash,
                     file->ReadAll([](std::string_view) -> Status { return {}; }));
    if (hash != part.sha256) return Altered(part.name);
  }
  return manifest;
}

}  // namespace

Status WritePackage(const std::string& path, const PackageContent& content) {
  if (Status status = WriteParts(path, content); !status.ok())
    return status.error().Within("package");
  return {};
}

Result<PackageManifest> ReadPackageManifest(const std::string& path, const PackageLimits& limits) {
  Result<PackageManifest> manifest = ReadManifestAlone(path, limits);
  if (!manifest.ok()) return manifest.error().Within(fmt::format("package '{}'", BaseName(path)));
  return manifest;
}

Result<std::string> ReadPackagePart(const std::string& path, std::string_view name, size_t limit) {
  ASSIGN_OR_RETURN(OpenedPackage package, OpenPackage(path, {}));
  const PackagePart* part = package.manifest.FindPart(name);
  if (part == nullptr)
    return NotFound(fmt::format("package '{}' has no file '{}'", BaseName(path), name));
  std::string entry;
  for (;;) {
    ASSIGN_OR_RETURN(const bool more, package.zip.Next(&entry));
    if (!more) return Corruption(fmt::format("package '{}' lacks '{}'", BaseName(path), name));
    if (entry == name) break;
  }
  ASSIGN_OR_RETURN(std::string bytes, package.zip.Read(limit));
  if (std::ssize(bytes) != part->bytes || Sha256Hex(bytes) != part->sha256)
    return Corruption(fmt::format("'{}' of package '{}' is damaged", name, BaseName(path)));
  return bytes;
}

Result<PackageManifest> UnpackPackage(const std::string& path, const std::string& folder,
                                      const PackageLimits& limits) {
  Result<PackageManifest> manifest = Unpack(path, folder, limits);
  if (!manifest.ok()) return manifest.error().Within(fmt::format("package '{}'", BaseName(path)));
  return manifest;
}

Result<PackageManifest> VerifyPackageFolder(const std::string& folder) {
  Result<PackageManifest> manifest = VerifyFolder(folder);
  if (!manifest.ok())
    return manifest.error().Within(fmt::format("unpacked package '{}'", BaseName(folder)));
  return manifest;
}

}  // namespace slipway
