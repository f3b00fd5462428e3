#pragma once

#include <memory>

#include "common/file_system.h"
#include "common/progress_board.h"

namespace lockstep {

// The same files, and the board learns of it: inside a call the training thread is at work, and
// each that comes back is a move. Calls of other threads pass through uncounted: they say nothing
// of the one that is watched, which is the one that makes this. `files` and `board` must outlive
// it.
std::unique_ptr<FileSystem> make_counting_files(FileSystem& files, ProgressBoard& board);

}  // namespace lockstep
