#pragma once

#include "coordinator/config_restore.h"

namespace lockstep {

// Pure: the checks that need more than one key. Each is Error(kInvalidConfig) with what to change.

// Required keys, all that are missing in one error. top: where the configuration begins.
void check_required(const GivenValues& given, const Place& top);

// Keys that do not go together; what stands in the way of a key that was given.
void check_together(const GivenValues& given);

}  // namespace lockstep
