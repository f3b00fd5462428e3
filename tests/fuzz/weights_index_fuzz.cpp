// The index of somebody else's weights (`...safetensors.index.json`): file names that lead nowhere
// else, tensors in files that are listed.

#include <algorithm>

#include "common/safetensors.h"
#include "coordinator/weights_index.h"
#include "tests/fuzz/fuzzing.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lockstep;
  using namespace lockstep::fuzz;
  const auto text = text_of(data, size);
  const auto index = accepted(ErrorCode::kDamaged, memory_for(size),
                              [&] { return parse_weights_index(text, kWhat); });
  if (!index) return 0;
  nlohmann::json map(index->places);
  require_said(text, nlohmann::json{{"weight_map", std::move(map)}}.dump());
  for (const auto& file : index->files)
    require(!file.empty() && file != "." && file != ".." && file.find('/') == file.npos &&
                file.find('\0') == file.npos,
            "a file that is not beside the index");
  for (const auto& [tensor, file] : index->places)
    require(
        is_tensor_name(tensor) && std::count(index->files.begin(), index->files.end(), file) == 1,
        "a tensor with a bad name, or in a file that is not listed");
  return 0;
}
