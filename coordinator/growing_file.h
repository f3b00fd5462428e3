#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/file_system.h"
#include "common/log.h"

namespace lockstep {

// A file that grows by records while a job runs, for people and their tools: a failure is said once
// and ends nothing. What could not be written is kept, at most kMostKept bytes, and written at its
// place before what comes later, so that no record is ever torn but the last one. It is opened for
// each record: other hosts see it then, and nothing holds the file system while none is written.
// Never synced. Where somebody has removed it or cut it off it begins anew there, and that is said.
// Local; no member throws; for one thread at a time.
class GrowingFile {
 public:
  static constexpr std::size_t kMostKept = std::size_t{1} << 20;

  // `name`: how the log calls it. `folder`: made where it is missing, "" for none.
  GrowingFile(std::string name, FileSystem& files, std::string path, std::string folder,
              const Log& log)
      : name_(std::move(name)),
        files_(files),
        path_(std::move(path)),
        folder_(std::move(folder)),
        log_(log) {}

  void append(std::string_view record);
  // Tries once more what was kept; says what is lost. Nothing may be appended afterwards.
  void finish();

 private:
  void write();
  void look_for_loss();
  void failed(const std::string& why);

  const std::string name_;
  FileSystem& files_;
  const std::string path_;
  const std::string folder_;
  const Log& log_;
  std::uint64_t written_ = 0;  // bytes, all of them whole records
  std::string kept_;           // belongs behind them; some of it may be there
  std::size_t records_kept_ = 0;
  std::size_t records_lost_ = 0;
  bool failing_ = false;
  bool warned_ = false;
};

}  // namespace lockstep
