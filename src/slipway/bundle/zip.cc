#include "slipway/bundle/zip.h"

#include <archive.h>
#include <archive_entry.h>

#include <fmt/format.h>

namespace slipway {
namespace {

std::string Reason(archive* handle) {
  const char* text = archive_error_string(handle);
  return text == nullptr ? "unknown reason" : text;
}

la_ssize_t AppendTo(archive*, void* to, const void* bytes, size_t size) {
  static_cast<std::string*>(to)->append(static_cast<const char*>(bytes), size);
  return static_cast<la_ssize_t>(size);
}

Status AddEntry(archive* writer, const std::string& name, std::string_view bytes) {
  const std::unique_ptr<archive_entry, decltype(&archive_entry_free)> entry(archive_entry_new(),
                                                                            archive_entry_free);
  archive_entry_set_pathname(entry.get(), name.c_str());
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  archive_entry_set_perm(entry.get(), 0644);
  archive_entry_set_size(entry.get(), static_cast<la_int64_t>(bytes.size()));
  if (archive_write_header(writer, entry.get()) != ARCHIVE_OK)
    return Internal("zip: " + Reason(writer));
  while (!bytes.empty()) {
    const la_ssize_t written = archive_write_data(writer, bytes.data(), bytes.size());
    if (written <= 0) return Internal("zip: " + Reason(writer));
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  if (archive_write_finish_entry(writer) != ARCHIVE_OK) return Internal("zip: " + Reason(writer));
  return {};
}

}  // namespace

Result<std::string> MakeZip(const std::vector<std::pair<std::string, std::string_view>>& entries) {
  std::string bytes;
  const std::unique_ptr<archive, decltype(&archive_write_free)> writer(archive_write_new(),
                                                                       archive_write_free);
  if (archive_write_set_format_zip(writer.get()) != ARCHIVE_OK ||
      archive_write_set_bytes_in_last_block(writer.get(), 1) != ARCHIVE_OK ||
      archive_write_open(writer.get(), &bytes, nullptr, AppendTo, nullptr) != ARCHIVE_OK) {
    return Internal("zip: " + Reason(writer.get()));
  }
  for (const auto& [name, content] : entries)
    RETURN_IF_ERROR(AddEntry(writer.get(), name, content));
  if (archive_write_close(writer.get()) != ARCHIVE_OK)
    return Internal("zip: " + Reason(writer.get()));
  return bytes;
}

void ZipReader::Close::operator()(archive* reader) const { archive_read_free(reader); }

Result<ZipReader> ZipReader::Open(std::string_view bytes) {
  ZipReader zip(archive_read_new());
  // Only the reader that starts from the directory at the end: a file that is cut off has none.
  if (archive_read_support_format_zip_seekable(zip.reader_.get()) != ARCHIVE_OK) {
    return Internal("zip: " + Reason(zip.reader_.get()));
  }
  if (archive_read_open_memory(zip.reader_.get(), bytes.data(), bytes.size()) != ARCHIVE_OK) {
    return Corruption("not a whole zip file: " + Reason(zip.reader_.get()));
  }
  return zip;
}

Result<bool> ZipReader::Next(std::string* name) {
  archive_entry* entry = nullptr;
  const int code = archive_read_next_header(reader_.get(), &entry);
  if (code == ARCHIVE_EOF) return false;
  if (code != ARCHIVE_OK) return Corruption("damaged zip file: " + Reason(reader_.get()));
  const char* path = archive_entry_pathname(entry);
  if (path == nullptr) return Corruption("damaged zip file: an entry without a name");
  *name = path;
  if (archive_entry_is_encrypted(entry) != 0)
    return Corruption(fmt::format("entry '{}' is encrypted", *name));
  if (archive_entry_filetype(entry) != AE_IFREG ||
      name->find_first_of("/\\") != std::string::npos) {
    return Corruption(fmt::format("entry '{}' is not a plain file", *name));
  }
  return true;
}

Result<std::string> ZipReader::Read(size_t limit) {
  std::string bytes;
  char buffer[1 << 16];
  while (true) {
    const la_ssize_t got = archive_read_data(reader_.get(), buffer, sizeof buffer);
    if (got == 0) return bytes;
    if (got < 0) return Corruption("damaged zip file: " + Reason(reader_.get()));
    if (bytes.size() + static_cast<size_t>(got) > limit) {
      return Corruption(fmt::format("larger than the {} bytes that it may have", limit));
    }
    bytes.append(buffer, static_cast<size_t>(got));
  }
}

}  // namespace slipway
