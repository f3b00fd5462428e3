#pragma once

#include <memory>
#include <string>

#include "common/file_system.h"
#include "coordinator/status/store_picture.h"

namespace lockstep {

// Reads a store again and again, each time only what may have changed: records of ended attempts
// and sound checkpoints never do. A checkpoint that was sound when it was first seen counts as
// sound from then on; `lockstep verify` reads every byte. Local; for one thread.
class StoreObserver {
 public:
  // `files` must outlive it. `beside_training`: long metrics are read a piece a look.
  StoreObserver(const FileSystem& files, std::string path, bool beside_training = false);
  ~StoreObserver();
  StoreObserver(const StoreObserver&) = delete;
  StoreObserver& operator=(const StoreObserver&) = delete;

  // Never throws: where the store can't be read the last picture comes again, with the reason.
  // Cost: three listings, a few small files, the new lines of metrics; at first, as `ls --all`.
  std::shared_ptr<const StorePicture> look(double now_s);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep
