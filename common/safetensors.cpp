#include "common/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <unordered_set>
#include <utility>

#include <simdjson.h>

#include "common/error.h"
#include "common/json_writing.h"

namespace lockstep {
namespace {

constexpr std::size_t kMaxNameBytes = 1024;
constexpr std::size_t kMaxDimensions = 64;
constexpr std::size_t kLengthBytes = 8;

struct DtypeRow {
  Dtype dtype;
  std::string_view text;
  std::size_t bytes;
};

constexpr std::array<DtypeRow, 10> kDtypes{{{Dtype::kF64, "F64", 8},
                                            {Dtype::kF32, "F32", 4},
                                            {Dtype::kF16, "F16", 2},
                                            {Dtype::kBf16, "BF16", 2},
                                            {Dtype::kI64, "I64", 8},
                                            {Dtype::kI32, "I32", 4},
                                            {Dtype::kI16, "I16", 2},
                                            {Dtype::kI8, "I8", 1},
                                            {Dtype::kU8, "U8", 1},
                                            {Dtype::kBool, "BOOL", 1}}};

const DtypeRow& row_of(Dtype dtype) {
  const auto* const row = std::find_if(kDtypes.begin(), kDtypes.end(),
                                       [&](const DtypeRow& r) { return r.dtype == dtype; });
  if (row == kDtypes.end()) throw Error(ErrorCode::kInternal, "no such dtype");
  return *row;
}

// C1 controls are C2 80 to C2 9F in UTF-8; terminals obey some of them.
bool is_control(std::string_view name, std::size_t at) {
  const auto byte = static_cast<unsigned char>(name[at]);
  if (byte < 0x20 || byte == 0x7F) return true;
  if (byte != 0xC2 || at + 1 == name.size()) return false;
  const auto next = static_cast<unsigned char>(name[at + 1]);
  return next >= 0x80 && next <= 0x9F;
}

void append_entry(std::string& text, const TensorEntry& tensor) {
  append_string(text, tensor.name);
  text += R"(:{"dtype":")";
  text += row_of(tensor.dtype).text;
  text += R"(","shape":)";
  append_integers(text, tensor.shape);
  text += R"(,"data_offsets":[)" + std::to_string(tensor.begin) + ',' + std::to_string(tensor.end);
  text += "]}";
}

// Fills in begin and end.
void lay_out(std::span<TensorEntry> tensors) {
  std::unordered_set<std::string_view> names(tensors.size());
  std::uint64_t end = 0;
  for (TensorEntry& tensor : tensors) {
    const auto elements = elements_of(tensor.shape);
    std::uint64_t bytes = 0;
    if (!is_tensor_name(tensor.name) || !names.insert(tensor.name).second) {
      throw Error(ErrorCode::kInternal, "a tensor's name is bad or repeated: " + tensor.name);
    }
    if (!elements ||
        __builtin_mul_overflow(static_cast<std::uint64_t>(*elements), bytes_of(tensor.dtype),
                               &bytes) ||
        __builtin_add_overflow(end, bytes, &tensor.end)) {
      throw Error(ErrorCode::kInternal, "tensor " + tensor.name + " is too large");
    }
    tensor.begin = end;
    end = tensor.end;
  }
}

}  // namespace

std::size_t bytes_of(Dtype dtype) {
  return row_of(dtype).bytes;
}

std::string to_text(Dtype dtype) {
  return std::string(row_of(dtype).text);
}

Dtype parse_dtype(std::string_view text) {
  const auto* const row = std::find_if(kDtypes.begin(), kDtypes.end(),
                                       [&](const DtypeRow& r) { return r.text == text; });
  if (row == kDtypes.end()) throw Error(ErrorCode::kDamaged, "a dtype is none of F64 ... BOOL");
  return row->dtype;
}

bool is_plain_text(std::string_view text) {
  if (text.empty() || text.size() > kMaxNameBytes) return false;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (is_control(text, i)) return false;
  return simdjson::validate_utf8(text.data(), text.size());
}

bool is_tensor_name(std::string_view name) {
  return is_plain_text(name) && name.find_first_of("/\\") == name.npos && name != "__metadata__";
}

std::optional<std::int64_t> elements_of(std::span<const std::int64_t> shape) {
  std::int64_t elements = 1;
  if (shape.size() > kMaxDimensions) return std::nullopt;
  for (const std::int64_t dimension : shape) {
    if (dimension < 0 || __builtin_mul_overflow(elements, dimension, &elements))
      return std::nullopt;
  }
  return elements;
}

std::string encode_safetensors_header(std::span<TensorEntry> tensors,
                                      const std::map<std::string, std::string>& metadata,
                                      std::uint64_t alignment) {
  lay_out(tensors);
  std::string text(kLengthBytes, '\0');
  text += '{';
  if (!metadata.empty()) text += R"("__metadata__":)" + dump_json(metadata);
  for (const TensorEntry& tensor : tensors) {
    if (text.back() != '{') text += ',';
    append_entry(text, tensor);
  }
  text += '}';
  if (alignment > 1) text.append((alignment - text.size() % alignment) % alignment, ' ');
  const std::uint64_t length = text.size() - kLengthBytes;
  if (length > kMaxHeaderBytes)
    throw Error(ErrorCode::kInternal, "a tensor file's header is too long");
  static_assert(std::endian::native == std::endian::little);
  std::memcpy(text.data(), &length, kLengthBytes);
  return text;
}

}  // namespace lockstep
