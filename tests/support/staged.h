#pragma once

#include <string>

#include "common/pages.h"
#include "worker/shard_reader.h"

namespace lockstep::testing {

// What a plan asks for, in memory of its own.
inline Pages read_staged(const FileSystem& files, const std::string& folder,
                         const Manifest& manifest, const ReadPlan& plan) {
  Pages staging(plan.bytes);
  ReadProgress progress;
  read_shards(files, folder, manifest, plan, Places({{staging.all()}}), progress);
  return staging;
}

}  // namespace lockstep::testing
