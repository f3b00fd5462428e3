#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/file_system.h"
#include "common/log.h"

namespace lockstep {

// A new file that grows by records while a job runs, for people and their tools: a failure is said
// once and ends nothing. What could not be written is kept, at most kMostKept bytes, and written at
// its place before what comes later, so that no record is ever torn but the last one. Not synced
// before finish(). Local; no member throws; for one thread at a time.
class GrowingFile {
 public:
  static constexpr std::size_t kMostKept = std::size_t{1} << 20;

  // `name`: how the log calls it. `make` makes the file; it is called again where it failed.
  GrowingFile(std::string name, std::function<std::unique_ptr<WritableFile>()> make, const Log& log)
      : name_(std::move(name)), make_(std::move(make)), log_(log) {}

  void append(std::string_view record);
  // Tries once more what was kept, fsync and close; says what is lost. Nothing may be appended
  // afterwards.
  void finish();

 private:
  void write();
  void failed(const std::string& why);

  const std::string name_;
  const std::function<std::unique_ptr<WritableFile>()> make_;
  const Log& log_;
  std::unique_ptr<WritableFile> file_;
  std::uint64_t written_ = 0;  // bytes, all of them whole records
  std::string kept_;           // belongs behind them; some of it may be there
  std::size_t records_kept_ = 0;
  std::size_t records_lost_ = 0;
  bool failing_ = false;
  bool warned_ = false;
};

}  // namespace lockstep
