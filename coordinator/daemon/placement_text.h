#pragma once

#include <string>

#include "worker/host_share.h"
#include "worker/placement.h"

// What people are told of where a job trains. Pure.
namespace lockstep {

// "2 ranks on 1 host, 1 thread a rank, bound to 1 core of 2; on the CPU, collectives by MPI". Of
// rank 0's host; gpu: its name.
std::string placement_text(int ranks, int hosts, const HostShare& host, const Placement& placement,
                           const std::string& gpu);

// What is wrong with the cores that this rank has, and what to do; "" where nothing is.
std::string binding_trouble(const HostShare& host);

}  // namespace lockstep
