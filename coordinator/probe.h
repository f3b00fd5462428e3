#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "common/file_system.h"
#include "coordinator/preflight.h"

namespace lockstep {

// What a store's file system can do, tried on it in a scratch folder of a foreign name, which every
// reader of a store ignores: also beside a job that is at work. All: Local; they may throw only
// std::bad_alloc: what fails is a Check.

// A folder to try things in, where lockstep would write: in the store, or where that is yet to be
// made, beside its place. Removed at the end with what it holds.
class Scratch {
 public:
  Scratch(FileSystem& files, std::string store) : files_(files), store_(std::move(store)) {}
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // Whether the store is one and can be written to: makes the folder.
  Check open();
  const std::string& path() const { return path_; }  // "": not made

 private:
  FileSystem& files_;
  std::string store_;
  std::string path_;
};

// Whether fsync, rename, link and mkdir do here what a commit and a claim rely on. `name`: of the
// files, another one for each process that tries at once.
Check probe_durability(FileSystem& files, const std::string& scratch, const std::string& name);
Check probe_direct_io(const std::string& scratch, const std::string& name);
// The file server's clock against this host's.
Check probe_clock(FileSystem& files, const std::string& scratch);
// nullopt: it can't be told.
std::optional<std::uint64_t> free_bytes(const std::string& folder);
// "ext4", "nfs", ... or its number in hex.
std::string file_system_type(const std::string& folder);

// The bytes of the newest checkpoint of the newest lineage that can be told, and how many it holds.
struct Kept {
  std::optional<std::uint64_t> checkpoint_bytes;
  std::int64_t count = 0;
};
Kept look_at_kept(const FileSystem& files, const std::string& store);

}  // namespace lockstep
