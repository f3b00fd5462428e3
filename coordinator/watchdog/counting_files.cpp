#include "coordinator/watchdog/counting_files.h"

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

namespace lockstep {
namespace {

// More is given in pieces, so that a slow disk is seen to move.
constexpr std::size_t kPieceBytes = std::size_t{16} << 20;

// Whose calls count, and where.
struct Counted {
  ProgressBoard& board;
  std::thread::id watched;

  bool counts() const { return std::this_thread::get_id() == watched; }

  template <typename Call>
  decltype(auto) operator()(Call&& call) const {
    std::optional<AtWork> at_work;
    if (counts()) at_work.emplace(board);
    return std::forward<Call>(call)();
  }
};

class CountingReader : public ReadableFile {
 public:
  CountingReader(std::unique_ptr<ReadableFile> file, const Counted& counted)
      : file_(std::move(file)), counted_(counted) {}

  std::uint64_t size() const override { return file_->size(); }
  void read_at(std::uint64_t offset, std::span<std::byte> into) const override {
    // An empty one is the file's to judge, too.
    for (bool first = true; first || !into.empty(); first = false) {
      const auto piece = into.first(std::min(into.size(), kPieceBytes));
      counted_([&] { file_->read_at(offset, piece); });
      offset += piece.size();
      into = into.subspan(piece.size());
    }
  }

 private:
  std::unique_ptr<ReadableFile> file_;
  Counted counted_;
};

class CountingWriter : public WritableFile {
 public:
  CountingWriter(std::unique_ptr<WritableFile> file, const Counted& counted)
      : file_(std::move(file)), counted_(counted) {}

  void append(std::span<const std::byte> bytes) override {
    for (bool first = true; first || !bytes.empty(); first = false) {
      const auto piece = bytes.first(std::min(bytes.size(), kPieceBytes));
      counted_([&] { file_->append(piece); });
      bytes = bytes.subspan(piece.size());
    }
  }
  void reserve(std::uint64_t bytes) override {
    counted_([&] { file_->reserve(bytes); });
  }
  void write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
    counted_([&] { file_->write_at(offset, bytes); });
  }
  bool went_direct() const override { return file_->went_direct(); }
  void finish() override {
    counted_([&] { file_->finish(); });
  }

 private:
  std::unique_ptr<WritableFile> file_;
  Counted counted_;
};

class CountingFiles : public FileSystem {
 public:
  CountingFiles(FileSystem& files, ProgressBoard& board)
      : files_(files), counted_{board, std::this_thread::get_id()} {}

  std::optional<FileInfo> info(const std::string& path) const override {
    return counted_([&] { return files_.info(path); });
  }
  bool is_network(const std::string& folder) const override {
    return counted_([&] { return files_.is_network(folder); });
  }
  bool serves_threads() const override { return files_.serves_threads(); }
  std::shared_ptr<void> at_work() const override {
    return counted_.counts() ? std::make_shared<AtWork>(counted_.board) : nullptr;
  }
  std::vector<Entry> list(const std::string& folder) const override {
    return counted_([&] { return files_.list(folder); });
  }
  std::unique_ptr<ReadableFile> open(const std::string& path) const override {
    return std::make_unique<CountingReader>(counted_([&] { return files_.open(path); }), counted_);
  }
  void make_folder(const std::string& path) override {
    counted_([&] { files_.make_folder(path); });
  }
  bool claim_folder(const std::string& path) override {
    return counted_([&] { return files_.claim_folder(path); });
  }
  std::unique_ptr<WritableFile> create(const std::string& path) override {
    return std::make_unique<CountingWriter>(counted_([&] { return files_.create(path); }),
                                            counted_);
  }
  void rename(const std::string& from, const std::string& to) override {
    counted_([&] { files_.rename(from, to); });
  }
  bool link(const std::string& from, const std::string& to) override {
    return counted_([&] { return files_.link(from, to); });
  }
  void unlink(const std::string& path) override {
    counted_([&] { files_.unlink(path); });
  }
  void remove_folder(const std::string& path) override {
    counted_([&] { files_.remove_folder(path); });
  }
  void sync_folder(const std::string& path) override {
    counted_([&] { files_.sync_folder(path); });
  }
  void write_into(const std::string& path, std::uint64_t offset, const std::string& text) override {
    counted_([&] { files_.write_into(path, offset, text); });
  }

 private:
  FileSystem& files_;
  Counted counted_;
};

}  // namespace

std::unique_ptr<FileSystem> make_counting_files(FileSystem& files, ProgressBoard& board) {
  return std::make_unique<CountingFiles>(files, board);
}

}  // namespace lockstep
