#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "common/file_system.h"

namespace lockstep {

// Reads a file that grows by lines, from where it was left. Local; for one thread.
class LineReader {
 public:
  static constexpr std::uint64_t kMostBytesALook = std::uint64_t{1} << 20;
  static constexpr std::size_t kMostOfALineBytes = std::size_t{1} << 16;

  explicit LineReader(std::string path) : path_(std::move(path)) {}

  // Gives each line that was completed since the last look, without its end, to `take`: at most
  // kMostBytesALook of them; longer ones than kMostOfALineBytes are passed over. false: the file
  // was cut off or replaced by a shorter one, and the next look begins anew. A file that is not
  // there, or that can't be read now, has nothing new.
  bool look(const FileSystem& files, const std::function<void(std::string_view)>& take);
  bool has_more() const { return more_; }  // the last look stopped at its bound

 private:
  void split(const std::function<void(std::string_view)>& take);

  std::string path_;
  std::uint64_t read_ = 0;
  std::string rest_;  // of a line whose end has not come
  bool skipping_ = false;
  bool more_ = false;
};

}  // namespace lockstep
