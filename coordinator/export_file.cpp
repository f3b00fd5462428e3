#include "coordinator/export_file.h"

#include <algorithm>
#include <filesystem>

#include "common/error.h"
#include "coordinator/tensor_reader.h"

namespace lockstep {

namespace {

// A file under a temporary name, removed at the end whatever happens.
class TemporaryName {
 public:
  TemporaryName(FileSystem& files, const std::string& beside)
      : files_(files), path_(beside + ".partial-" + random_hex(8)) {}
  ~TemporaryName() {
    try {
      files_.unlink(path_);
    } catch (const Error&) {  // what caused the end is the error that counts
    }
  }
  TemporaryName(const TemporaryName&) = delete;
  TemporaryName& operator=(const TemporaryName&) = delete;
  const std::string& path() const { return path_; }

 private:
  FileSystem& files_;
  std::string path_;
};

std::string header_of(const Export& what) {
  std::vector<TensorEntry> entries;
  for (const auto& tensor : what.tensors)
    entries.push_back({tensor.name, tensor.dtype, tensor.shape, 0, 0});
  return encode_safetensors_header(entries, what.metadata);
}

void write_tensors(const FileSystem& files, const Export& what, WritableFile& file,
                   const std::function<void(std::uint64_t)>& progress) {
  TensorReader reader(files, what.folder, what.manifest);
  std::vector<std::byte> buffer(kChecksumBlockBytes);
  for (const auto& tensor : what.tensors)
    for_each_piece(tensor, buffer.size(), [&](const Piece& piece) {
      const auto bytes = static_cast<std::size_t>(piece.count) * bytes_of(piece.dtype);
      const auto data = std::span(buffer).first(bytes);
      reader.read(piece, data);
      file.append(data);
      if (progress) progress(bytes);
    });
}

[[noreturn]] void refuse(const std::string& out) {
  throw Error(ErrorCode::kInvalidConfig, out + " is there already; --force replaces it");
}

void require_free(const FileSystem& files, const Export& what) {
  const auto there = files.info(what.out);
  if (there && there->kind == EntryKind::kFolder)
    throw Error(ErrorCode::kInvalidConfig, what.out + " is a folder; name a file");
  if (there && there->kind == EntryKind::kOther)  // a device, a pipe, a link
    throw Error(ErrorCode::kInvalidConfig,
                what.out + " is no plain file, and stays: name another path");
  if (there && !what.replace) refuse(what.out);
}

}  // namespace

std::vector<TensorInfo> tensors_to_export(const Manifest& manifest, Scope scope) {
  std::vector<TensorInfo> chosen;
  for (const auto& tensor : manifest.tensors)
    if (scope == Scope::kFull || tensor.name.starts_with("model.") ||
        tensor.name.starts_with("buffer."))
      chosen.push_back(tensor);
  std::ranges::stable_sort(chosen, std::greater{},
                           [](const TensorInfo& tensor) { return bytes_of(tensor.dtype); });
  return chosen;
}

void export_file(FileSystem& files, const Export& what,
                 const std::function<void(std::uint64_t)>& progress) {
  require_free(files, what);
  const TemporaryName temporary(files, what.out);
  const auto head = header_of(what);
  const auto file = files.create(temporary.path());
  file->append(std::as_bytes(std::span(head)));
  write_tensors(files, what, *file, progress);
  file->finish();
  if (what.replace) {
    files.rename(temporary.path(), what.out);
  } else if (!files.link(temporary.path(), what.out)) {
    refuse(what.out);  // it came while this was written
  }
  const auto parent = std::filesystem::path(what.out).parent_path().string();
  files.sync_folder(parent.empty() ? "." : parent);
}

}  // namespace lockstep
