#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lockstep {

// The bytes of a text file, or of all text files below a folder one behind the other in the order
// of their paths, mapped into memory: what is not looked at costs no memory, and ranks of a host
// share what is. Of a folder, links, hidden names, empty files and files with a NUL in their first
// 4 KiB (they are no text) are left out.
//
// The files must keep their size while this lives: the kernel kills who looks beyond a file's end.
class MappedText {
 public:
  // Local. Error(kNotFound): nothing there, or no text below the folder. Error(kIo): can't be read.
  // Error(kInvalidConfig): more than 16,384 files, each of which would take a mapping of its own.
  explicit MappedText(const std::string& path);
  ~MappedText();
  MappedText(const MappedText&) = delete;
  MappedText& operator=(const MappedText&) = delete;

  std::int64_t size() const { return ends_.back(); }  // bytes
  std::int64_t files() const { return std::ssize(files_); }
  std::string digest() const;  // of all bytes and where files end; reads them all

  // The bytes from `first` on; first + into.size() <= size().
  void copy(std::int64_t first, std::span<std::uint8_t> into) const;

 private:
  void map_file(const std::string& path);

  std::vector<std::span<const std::byte>> files_;
  std::vector<std::int64_t> ends_;  // by file: where it ends among all bytes
};

}  // namespace lockstep
