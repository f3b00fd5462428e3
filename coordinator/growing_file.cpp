#include "coordinator/growing_file.h"

#include <span>

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
    if (!file_) file_ = make_();
    file_->write_at(written_, std::as_bytes(std::span(kept_)));
  } catch (const Error& e) {
    return failed(e.what());
  }
  written_ += kept_.size();
  kept_.clear();
  records_kept_ = 0;
  if (failing_) log_.info(name_ + ": written again");
  failing_ = false;
}

void GrowingFile::failed(const std::string& why) {
  failing_ = true;
  if (!warned_)
    log_.warning(name_ + ": " + why + "; training goes on, its figures wait to be written");
  warned_ = true;
}

void GrowingFile::finish() {
  if (!kept_.empty()) write();
  try {
    if (file_) file_->finish();
  } catch (const Error& e) {
    failed(e.what());
  }
  file_.reset();
  const auto lost = records_lost_ + records_kept_;
  if (lost > 0) log_.warning(name_ + ": " + count_text(lost, "record") + " could not be written");
}

}  // namespace lockstep
