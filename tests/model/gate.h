#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "tests/support/memory_file_system.h"

namespace lockstep::model {

using lockstep::testing::MemoryFileSystem;

// What a job meets before an operation of its file system; it may throw Crash.
struct Operation {
  const char* name;
  const std::string& path;  // of a rename: the new one
  const std::string& from;  // of a rename: the old one; else ""
};
using Gate = std::function<void(const Operation&)>;

// A process dies here: it unwinds the job, and no handler of the product's takes it for an error.
struct Crash {};

// One job's way to the store: the gate before each operation.
class GatedFileSystem : public FileSystem {
 public:
  GatedFileSystem(MemoryFileSystem& files, Gate gate) : files_(files), gate_(std::move(gate)) {}

  std::optional<FileInfo> info(const std::string& path) const override {
    return reads("info", path), files_.info(path);
  }
  std::vector<Entry> list(const std::string& folder) const override {
    return reads("list", folder), files_.list(folder);
  }
  std::unique_ptr<ReadableFile> open(const std::string& path) const override {
    return reads("open", path), files_.open(path);
  }
  void make_folder(const std::string& path) override {
    changes("make_folder", path), files_.make_folder(path);
  }
  bool claim_folder(const std::string& path) override {
    return changes("claim_folder", path), files_.claim_folder(path);
  }
  std::unique_ptr<WritableFile> create(const std::string& path) override {
    changes("create", path);
    return std::make_unique<Writer>(*this, path, files_.create(path));
  }
  void rename(const std::string& from, const std::string& to) override {
    changes("rename", to, from), files_.rename(from, to);
  }
  bool link(const std::string& from, const std::string& to) override {
    return changes("link", to, from), files_.link(from, to);
  }
  // Cleaning up after a failure is noexcept: who dies there dies at the next operation.
  void unlink(const std::string& path) override {
    try {
      changes("unlink", path);
    } catch (const Crash&) {
      if (!path.ends_with(".tmp")) throw;
      return;
    }
    files_.unlink(path);
  }
  void remove_folder(const std::string& path) override {
    changes("remove_folder", path), files_.remove_folder(path);
  }
  void sync_folder(const std::string& path) override {
    changes("sync_folder", path), files_.sync_folder(path);
  }
  void write_into(const std::string& path, std::uint64_t offset, const std::string& text) override {
    changes("overwrite", path), files_.write_into(path, offset, text);
  }

 private:
  class Writer final : public WritableFile {
   public:
    Writer(const GatedFileSystem& files, std::string path, std::unique_ptr<WritableFile> inner)
        : files_(files), path_(std::move(path)), inner_(std::move(inner)) {}
    void append(std::span<const std::byte> bytes) override {
      files_.changes("append", path_), inner_->append(bytes);
    }
    void reserve(std::uint64_t bytes) override {
      files_.changes("reserve", path_), inner_->reserve(bytes);
    }
    void write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
      files_.changes("write_at", path_), inner_->write_at(offset, bytes);
    }
    void finish() override { files_.changes("finish", path_), inner_->finish(); }

   private:
    const GatedFileSystem& files_;
    std::string path_;
    std::unique_ptr<WritableFile> inner_;
  };

  void reads(const char* name, const std::string& path) const { gate_({name, path, kNone}); }
  void changes(const char* name, const std::string& path, const std::string& from = kNone) const {
    gate_({name, path, from});
  }

  static inline const std::string kNone;
  MemoryFileSystem& files_;
  Gate gate_;
};

}  // namespace lockstep::model
