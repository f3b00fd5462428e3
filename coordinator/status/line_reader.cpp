#include "coordinator/status/line_reader.h"

#include <algorithm>
#include <memory>
#include <span>

#include "common/error.h"

namespace lockstep {

bool LineReader::look(const FileSystem& files, const std::function<void(std::string_view)>& take) {
  more_ = false;
  try {
    const auto file = files.open(path_);
    if (file->size() < read_) {
      read_ = 0;
      rest_.clear();
      skipping_ = false;
      return false;
    }
    const auto count = std::min(file->size() - read_, kMostBytesALook);
    if (count == 0) return true;
    std::string bytes(count, '\0');
    file->read_at(read_, std::as_writable_bytes(std::span(bytes)));
    rest_ += bytes;
    read_ += count;
    more_ = file->size() > read_;
  } catch (const Error&) {
    return true;
  }
  split(take);
  return true;
}

void LineReader::split(const std::function<void(std::string_view)>& take) {
  std::string_view left = rest_;
  for (auto end = left.find('\n'); end != std::string_view::npos; end = left.find('\n')) {
    if (!skipping_ && end <= kMostOfALineBytes) take(left.substr(0, end));
    skipping_ = false;
    left.remove_prefix(end + 1);
  }
  // A line that is too long is not kept until its end comes.
  skipping_ = skipping_ || left.size() > kMostOfALineBytes;
  rest_ = skipping_ ? std::string() : std::string(left);
}

}  // namespace lockstep
