#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/manifest.h"

namespace lockstep {

// Weights that somebody else wrote: one safetensors file, or several with an index as Hugging Face
// writes them. Plain files: no checksums, so headers and sizes are all that can be checked.

struct WeightFile {
  std::string path;
  std::uint64_t bytes = 0;
  std::string header_digest;  // SafetensorsHeader::digest
};

struct WeightTensor {
  TensorInfo tensor;        // named as in the file
  std::size_t file = 0;     // index in Weights::files
  std::uint64_t begin = 0;  // bytes from the start of that file
};

struct Weights {
  std::vector<WeightFile> files;
  std::vector<WeightTensor> tensors;  // in order of name
};

// Pure: what the ranks exchange, and back. parse: Error(kInternal) on what encode did not make.
std::string encode(const Weights& weights);
Weights parse_weights(std::string_view text);

}  // namespace lockstep
