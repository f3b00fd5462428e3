#pragma once

#include <memory>
#include <string>

#include "common/file_system.h"
#include "common/posix_calls.h"

namespace lockstep {

// Local: the file of a descriptor that is open for writing, as WritableFile says. `path` is for
// texts.
std::unique_ptr<WritableFile> write_posix_file(posix::Descriptor file, std::string path);

}  // namespace lockstep
