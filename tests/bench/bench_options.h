#pragma once

#include <cstdint>
#include <string>

#include <CLI/CLI.hpp>

namespace lockstep {

// What the benches of checkpoints are told.
struct BenchOptions {
  double gigabytes = 2;
  std::int64_t tensors = 144;
  int rounds = 5;
  std::string dir = ".";
};

inline void add_options(CLI::App& app, BenchOptions& options) {
  app.add_option("--gigabytes", options.gigabytes, "10^9 bytes, all tensors");
  app.add_option("--tensors", options.tensors, "of the model");
  app.add_option("--rounds", options.rounds, "counted, behind a first one");
  app.add_option("--dir", options.dir, "a folder on the disk to measure");
}

}  // namespace lockstep
