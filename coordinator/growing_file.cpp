#include "coordinator/growing_file.h"

#include "common/error.h"
#include "coordinator/amounts.h"

namespace lockstep {

void GrowingFile::append(std::string_view record) {
  if (kept_.size() + record.size() > kMostKept) {
    ++records_lost_;
  } else {
    kept_ += record;
    ++records_kept_;
  }
  write();
}

void GrowingFile::write() {
  try {
    if (!folder_.empty() && written_ == 0) files_.make_folder(folder_);
    if (written_ > 0) look_for_loss();
    files_.write_into(path_, written_, kept_);
  } catch (const Error& e) {
    return failed(e.what());
  }
  written_ += kept_.size();
  kept_.clear();
  records_kept_ = 0;
  if (failing_) log_.info(name_ + ": written again");
  failing_ = false;
}

// Written on at its old place it would begin with a hole.
void GrowingFile::look_for_loss() {
  const auto info = files_.info(path_);
  const auto there = info ? info->bytes : 0;
  if (there >= written_) return;
  log_.warning(name_ + ": was removed or cut off by another hand; " + bytes_text(written_ - there) +
               " are gone, what comes is written on");
  written_ = there;
}

void GrowingFile::failed(const std::string& why) {
  failing_ = true;
  if (!warned_)
    log_.warning(name_ + ": " + why + "; training goes on, its figures wait to be written");
  warned_ = true;
}

void GrowingFile::finish() {
  if (!kept_.empty()) write();
  const auto lost = records_lost_ + records_kept_;
  if (lost > 0) log_.warning(name_ + ": " + count_text(lost, "record") + " could not be written");
}

}  // namespace lockstep
