#pragma once

#include <memory>
#include <string>

#include <sys/stat.h>

#include "common/file_system.h"
#include "common/posix_calls.h"

namespace lockstep {

// Local: the file of an open descriptor, as ReadableFile says. `path` is for texts, `status` the
// descriptor's.
std::unique_ptr<ReadableFile> read_posix_file(posix::Descriptor file, std::string path,
                                              const struct stat& status);

}  // namespace lockstep
