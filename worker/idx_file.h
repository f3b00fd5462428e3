#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lockstep {

// An IDX file of bytes: how MNIST and its kin are published.
struct IdxFile {
  std::vector<std::int64_t> shape;
  std::vector<std::uint8_t> values;
};

// Local: reads FOLDER/NAME.gz or else FOLDER/NAME, gzip or plain, strictly: magic number,
// dimensions, length, checksum and the end of the file. `shape` is what must be in it; a first
// extent of 0 means any number of items. Error(kNotFound): neither file is there; (kDamaged);
// (kIo). Texts name the path and give advice.
IdxFile read_idx_file(const std::string& folder, const std::string& name,
                      const std::vector<std::int64_t>& shape);

}  // namespace lockstep
