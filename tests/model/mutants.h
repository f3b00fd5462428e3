#pragma once

#include <string>
#include <vector>

#include "tests/model/job.h"

namespace lockstep::model {

// A lockstep that is wrong in one way, as other systems are: the histories must tell it from the
// real one, or their zeroes mean nothing.
struct Mutant {
  std::string name;
  Steps steps;
};
std::vector<Mutant> mutants();

}  // namespace lockstep::model
