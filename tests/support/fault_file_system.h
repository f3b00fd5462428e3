#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/error.h"
#include "common/file_system.h"

namespace lockstep::testing {

enum class Op : std::uint8_t {
  kInfo,
  kList,
  kOpen,
  kReadAt,
  kMakeFolder,
  kClaimFolder,
  kCreate,
  kAppend,
  kReserve,
  kWriteAt,
  kFinish,
  kRename,
  kLink,
  kUnlink,
  kRemoveFolder,
  kSyncFolder,
  kOverwrite,
};
constexpr std::size_t kOps = 17;

// What a planted fault does.
enum class Fault : std::uint8_t {
  kThrow,           // the operation is not done, and throws
  kDoneThenThrow,   // it is done, and throws: a rename on NFS whose answer was lost
  kShortRead,       // read_at: the file ends before (kDamaged)
  kFlipBit,         // read_at: one bit of what is read is wrong; append, write_at: what is written
  kHalfThenThrow,   // append, write_at, overwrite: half of it is written, then it throws
  kSilentTruncate,  // append, write_at: only the first half is written, and nobody is told
};

// Plants faults by operation and path in another FileSystem. Thread-safe. Files that it opened or
// made must not outlive it.
//
//   const auto real = make_posix_file_system();
//   FaultFileSystem files(*real);
//   files.fail_next(Op::kRename, ErrorCode::kIo);             // the next rename
//   files.fail_next(Op::kAppend, ErrorCode::kIo, 3);          // the third append from now
//   files.fail_when(Op::kOpen, "shard-00001", ErrorCode::kIo);  // each that matches, until clear()
class FaultFileSystem : public FileSystem {
 public:
  explicit FaultFileSystem(FileSystem& inner) : inner_(inner) {}

  // Once, at the nth matching call from now.
  void fail_next(Op op, ErrorCode code = ErrorCode::kIo, int nth = 1) {
    plant({.op = op, .path_part = "", .code = code, .nth = nth});
  }
  void fault_next(Op op, Fault fault, int nth = 1, std::string path_part = "") {
    plant({.op = op, .path_part = std::move(path_part), .fault = fault, .nth = nth});
  }
  // Each time the path holds `path_part`, until clear().
  void fail_when(Op op, std::string path_part, ErrorCode code = ErrorCode::kIo) {
    plant({.op = op, .path_part = std::move(path_part), .code = code, .for_ever = true});
  }
  void fault_when(Op op, std::string path_part, Fault fault) {
    plant({.op = op, .path_part = std::move(path_part), .fault = fault, .for_ever = true});
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    rules_.clear();
  }

  int calls(Op op) const { return calls_[index(op)]; }  // made so far, failed ones too
  int fired(Op op) const { return fired_[index(op)]; }  // faults that took effect
  int fired() const {
    int sum = 0;
    for (const auto& count : fired_)
      sum += count;
    return sum;
  }

  std::optional<FileInfo> info(const std::string& path) const override {
    return run(Op::kInfo, path, [&] { return inner_.info(path); });
  }
  bool is_network(const std::string& folder) const override { return inner_.is_network(folder); }
  std::vector<Entry> list(const std::string& folder) const override {
    return run(Op::kList, folder, [&] { return inner_.list(folder); });
  }
  std::unique_ptr<ReadableFile> open(const std::string& path) const override {
    auto file = run(Op::kOpen, path, [&] { return inner_.open(path); });
    return std::make_unique<FaultReadableFile>(*this, path, std::move(file));
  }
  void make_folder(const std::string& path) override {
    run(Op::kMakeFolder, path, [&] { inner_.make_folder(path); });
  }
  bool claim_folder(const std::string& path) override {
    return run(Op::kClaimFolder, path, [&] { return inner_.claim_folder(path); });
  }
  std::unique_ptr<WritableFile> create(const std::string& path) override {
    auto file = run(Op::kCreate, path, [&] { return inner_.create(path); });
    return std::make_unique<FaultWritableFile>(*this, path, std::move(file));
  }
  // `path_part` is looked for in "FROM to TO".
  void rename(const std::string& from, const std::string& to) override {
    run(Op::kRename, from + " to " + to, [&] { inner_.rename(from, to); });
  }
  bool link(const std::string& from, const std::string& to) override {
    return run(Op::kLink, from + " to " + to, [&] { return inner_.link(from, to); });
  }
  void unlink(const std::string& path) override {
    run(Op::kUnlink, path, [&] { inner_.unlink(path); });
  }
  void remove_folder(const std::string& path) override {
    run(Op::kRemoveFolder, path, [&] { inner_.remove_folder(path); });
  }
  void sync_folder(const std::string& path) override {
    run(Op::kSyncFolder, path, [&] { inner_.sync_folder(path); });
  }
  void write_into(const std::string& path, std::uint64_t offset, const std::string& text) override {
    const auto rule = match(Op::kOverwrite, path);
    if (rule && rule->fault == Fault::kHalfThenThrow) {
      inner_.write_into(path, offset, text.substr(0, text.size() / 2));
    }
    if (rule && rule->fault == Fault::kDoneThenThrow) inner_.write_into(path, offset, text);
    if (rule) fail(*rule, path);
    inner_.write_into(path, offset, text);
  }

 private:
  struct Rule {
    Op op = Op::kInfo;
    std::string path_part;
    Fault fault = Fault::kThrow;
    ErrorCode code = ErrorCode::kIo;
    int nth = 1;
    bool for_ever = false;
  };

  class FaultReadableFile final : public ReadableFile {
   public:
    FaultReadableFile(const FaultFileSystem& files, std::string path,
                      std::unique_ptr<ReadableFile> inner)
        : files_(files), path_(std::move(path)), inner_(std::move(inner)) {}

    std::uint64_t size() const override { return inner_->size(); }

    void read_at(std::uint64_t offset, std::span<std::byte> into) const override {
      const auto rule = files_.match(Op::kReadAt, path_);
      if (!rule || rule->fault == Fault::kFlipBit) inner_->read_at(offset, into);
      if (!rule) return;
      if (rule->fault == Fault::kFlipBit) {
        if (!into.empty()) into[into.size() / 2] ^= std::byte{1};
        return;
      }
      if (rule->fault == Fault::kShortRead) {
        throw Error(ErrorCode::kDamaged, "read " + path_ + ": planted end of the file");
      }
      fail(*rule, path_);
    }

   private:
    const FaultFileSystem& files_;
    std::string path_;
    std::unique_ptr<ReadableFile> inner_;
  };

  class FaultWritableFile final : public WritableFile {
   public:
    FaultWritableFile(const FaultFileSystem& files, std::string path,
                      std::unique_ptr<WritableFile> inner)
        : files_(files), path_(std::move(path)), inner_(std::move(inner)) {}

    void append(std::span<const std::byte> bytes) override {
      write(Op::kAppend, bytes, [&](std::span<const std::byte> what) { inner_->append(what); });
    }
    void reserve(std::uint64_t bytes) override {
      files_.run(Op::kReserve, path_, [&] { inner_->reserve(bytes); });
    }
    void write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
      write(Op::kWriteAt, bytes,
            [&](std::span<const std::byte> what) { inner_->write_at(offset, what); });
    }
    void finish() override {
      files_.run(Op::kFinish, path_, [&] { inner_->finish(); });
    }

   private:
    template <typename Write>
    void write(Op op, std::span<const std::byte> bytes, Write inner) {
      const auto rule = files_.match(op, path_);
      if (!rule) return inner(bytes);
      switch (rule->fault) {
        case Fault::kFlipBit: {
          std::vector<std::byte> copy(bytes.begin(), bytes.end());
          if (!copy.empty()) copy[copy.size() / 2] ^= std::byte{1};
          return inner(copy);
        }
        case Fault::kSilentTruncate:
          return inner(bytes.first(bytes.size() / 2));
        case Fault::kHalfThenThrow:
          inner(bytes.first(bytes.size() / 2));
          fail(*rule, path_);
        case Fault::kDoneThenThrow:
          inner(bytes);
          fail(*rule, path_);
        default:
          fail(*rule, path_);
      }
    }

    const FaultFileSystem& files_;
    std::string path_;
    std::unique_ptr<WritableFile> inner_;
  };

  static std::size_t index(Op op) { return static_cast<std::size_t>(op); }

  void plant(Rule rule) {
    const std::lock_guard lock(mutex_);
    rules_.push_back(std::move(rule));
  }

  [[noreturn]] static void fail(const Rule& rule, const std::string& path) {
    throw Error(rule.code, "planted fault: " + path);
  }

  // The rule that takes effect at this call; every rule that matches counts it.
  std::optional<Rule> match(Op op, const std::string& path) const {
    const std::lock_guard lock(mutex_);
    ++calls_[index(op)];
    std::optional<Rule> hit;
    for (Rule& rule : rules_) {
      if (rule.op != op || rule.nth < 1 || path.find(rule.path_part) == std::string::npos) continue;
      if (!rule.for_ever && --rule.nth > 0) continue;
      if (!hit) hit = rule;
    }
    if (hit) ++fired_[index(op)];
    return hit;
  }

  template <typename Call>
  auto run(Op op, const std::string& path, Call call) const -> decltype(call()) {
    const auto rule = match(op, path);
    if (!rule) return call();
    if (rule->fault == Fault::kDoneThenThrow) call();
    fail(*rule, path);
  }

  FileSystem& inner_;
  mutable std::mutex mutex_;
  mutable std::vector<Rule> rules_;
  mutable std::array<std::atomic<int>, kOps> calls_{};
  mutable std::array<std::atomic<int>, kOps> fired_{};
};

}  // namespace lockstep::testing
