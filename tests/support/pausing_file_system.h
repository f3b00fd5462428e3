#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/file_system.h"

namespace lockstep::testing {

// A process that sleeps before its nth file operation: what others do meanwhile runs then, once.
class PausingFileSystem : public FileSystem {
 public:
  PausingFileSystem(FileSystem& inner, int nth, std::function<void()> meanwhile)
      : inner_(inner), left_(nth), meanwhile_(std::move(meanwhile)) {}

  bool paused() const { return left_ <= 0; }

  std::optional<FileInfo> info(const std::string& path) const override {
    pause();
    return inner_.info(path);
  }
  bool is_network(const std::string& folder) const override { return inner_.is_network(folder); }
  std::vector<Entry> list(const std::string& folder) const override {
    pause();
    return inner_.list(folder);
  }
  std::unique_ptr<ReadableFile> open(const std::string& path) const override {
    pause();
    return inner_.open(path);
  }
  void make_folder(const std::string& path) override {
    pause();
    inner_.make_folder(path);
  }
  bool claim_folder(const std::string& path) override {
    pause();
    return inner_.claim_folder(path);
  }
  std::unique_ptr<WritableFile> create(const std::string& path) override {
    pause();
    return std::make_unique<PausingFile>(*this, inner_.create(path));
  }
  void rename(const std::string& from, const std::string& to) override {
    pause();
    inner_.rename(from, to);
  }
  bool link(const std::string& from, const std::string& to) override {
    pause();
    return inner_.link(from, to);
  }
  void unlink(const std::string& path) override {
    pause();
    inner_.unlink(path);
  }
  void remove_folder(const std::string& path) override {
    pause();
    inner_.remove_folder(path);
  }
  void sync_folder(const std::string& path) override {
    pause();
    inner_.sync_folder(path);
  }
  void write_into(const std::string& path, std::uint64_t offset, const std::string& text) override {
    pause();
    inner_.write_into(path, offset, text);
  }

  // Before an operation that goes past this seam.
  void pause() const {
    if (--left_ == 0) meanwhile_();
  }

 private:
  class PausingFile final : public WritableFile {
   public:
    PausingFile(const PausingFileSystem& files, std::unique_ptr<WritableFile> inner)
        : files_(files), inner_(std::move(inner)) {}
    void append(std::span<const std::byte> bytes) override {
      files_.pause();
      inner_->append(bytes);
    }
    void reserve(std::uint64_t bytes) override {
      files_.pause();
      inner_->reserve(bytes);
    }
    void write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
      files_.pause();
      inner_->write_at(offset, bytes);
    }
    void finish() override {
      files_.pause();
      inner_->finish();
    }

   private:
    const PausingFileSystem& files_;
    std::unique_ptr<WritableFile> inner_;
  };

  FileSystem& inner_;
  mutable int left_;
  std::function<void()> meanwhile_;
};

}  // namespace lockstep::testing
