// The strict reader of safetensors headers. RELIABILITY's rules, in the order in which they are
// checked: the length fits the file; one JSON object padded by spaces; no duplicate key, no unknown
// field, unsigned integers only; good names; known dtypes; shapes that fit their bytes; data
// without hole or overlap that ends where the file does.

#include <algorithm>
#include <cstring>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

#include "common/digest.h"
#include "common/error.h"
#include "common/safetensors.h"
#include "common/strict_json.h"

namespace lockstep {
namespace {

using nlohmann::json;

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kMaxTensors = 1'000'000;
constexpr std::size_t kMaxMetadata = 4096;
constexpr std::size_t kMaxShape = 64;

// Reads the JSON without a tree, so that memory stays a small multiple of the header's size.
class HeaderReader : public nlohmann::json_sax<json> {
 public:
  explicit HeaderReader(SafetensorsHeader& header) : header_(header) {}

  bool null() override { return fail("holds a null"); }
  bool boolean(bool /*value*/) override { return fail("holds a truth value"); }
  bool number_integer(number_integer_t /*value*/) override { return fail("holds a signed number"); }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override {
    return fail("holds a number that is no integer");
  }
  bool binary(binary_t& /*value*/) override { return fail("holds binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (!std::in_range<std::int64_t>(value)) return fail("holds a number above 2^63 - 1");
    if (place_ == Place::kShape) {
      if (tensor().shape.size() == kMaxShape) return fail("has a shape of too many dimensions");
      tensor().shape.push_back(static_cast<std::int64_t>(value));
      return true;
    }
    if (place_ != Place::kOffsets || offsets_ == 2) return fail("holds a number out of place");
    (offsets_++ == 0 ? tensor().begin : tensor().end) = value;
    return true;
  }

  bool string(string_t& value) override {
    if (place_ == Place::kMetadata) {
      metadata_value_->swap(value);
      return true;
    }
    if (place_ != Place::kTensor || field_ != kDtype) return fail("holds a text out of place");
    try {
      tensor().dtype = parse_dtype(value);
    } catch (const Error& error) {
      return fail(error.what());
    }
    return close_field();
  }

  bool start_object(std::size_t /*elements*/) override {
    if (place_ == Place::kStart) return enter(Place::kRoot);
    if (place_ == Place::kRoot) return enter(next_);
    return fail("holds an object out of place");
  }

  bool end_object() override {
    if (place_ == Place::kTensor && fields_ != (kDtype | kShape | kOffsets)) {
      return fail("has an entry without dtype, shape or data_offsets");
    }
    return enter(place_ == Place::kRoot ? Place::kEnd : Place::kRoot);
  }

  bool start_array(std::size_t /*elements*/) override {
    if (place_ != Place::kTensor || field_ == kDtype) return fail("holds a list out of place");
    offsets_ = 0;
    return enter(field_ == kShape ? Place::kShape : Place::kOffsets);
  }

  bool end_array() override {
    if (place_ == Place::kOffsets && offsets_ != 2)
      return fail("has data_offsets that are not two");
    place_ = Place::kTensor;
    return close_field();
  }

  bool key(string_t& name) override {
    if (place_ == Place::kRoot) return root_key(name);
    if (place_ == Place::kMetadata) return metadata_key(name);
    const unsigned field = name == "dtype"          ? kDtype
                           : name == "shape"        ? kShape
                           : name == "data_offsets" ? kOffsets
                                                    : 0U;
    if (field == 0) return fail("has an entry with an unknown field");
    if ((fields_ & field) != 0) return fail("has an entry with a field twice");
    field_ = field;
    return true;
  }

  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const json::exception& /*error*/) override {
    return fail("its header is no valid JSON at byte " + std::to_string(position));
  }

  const std::string& problem() const { return problem_; }

 private:
  enum class Place : std::uint8_t { kStart, kRoot, kMetadata, kTensor, kShape, kOffsets, kEnd };
  enum Field : unsigned { kDtype = 1, kShape = 2, kOffsets = 4 };

  TensorEntry& tensor() { return header_.tensors.back(); }

  bool enter(Place place) {
    place_ = place;
    return true;
  }

  bool close_field() {
    fields_ |= field_;
    return true;
  }

  bool root_key(string_t& name) {
    if (name == "__metadata__") {
      if (has_metadata_) return fail("holds __metadata__ twice");
      has_metadata_ = true;
      next_ = Place::kMetadata;
      return true;
    }
    if (!is_tensor_name(name)) {
      return fail("a tensor's name is empty, too long or holds control characters or separators");
    }
    if (header_.tensors.size() == kMaxTensors) return fail("holds too many tensors");
    header_.tensors.emplace_back().name = std::move(name);
    fields_ = 0;
    next_ = Place::kTensor;
    return true;
  }

  bool metadata_key(string_t& name) {
    if (header_.metadata.size() == kMaxMetadata) return fail("holds too much metadata");
    const auto [place, is_new] = header_.metadata.try_emplace(std::move(name));
    if (!is_new) return fail("holds a key of its metadata twice");
    metadata_value_ = &place->second;
    return true;
  }

  bool fail(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
    return false;
  }

  SafetensorsHeader& header_;
  Place place_ = Place::kStart;
  Place next_ = Place::kTensor;  // what the root's next object is
  unsigned field_ = 0;           // the tensor's field that is being read
  unsigned fields_ = 0;          // those that were read
  int offsets_ = 0;
  bool has_metadata_ = false;
  std::string* metadata_value_ = nullptr;
  std::string problem_;
};

void check_names(const std::vector<TensorEntry>& tensors, std::string_view what) {
  std::vector<std::string_view> names;
  names.reserve(tensors.size());
  for (const TensorEntry& tensor : tensors)
    names.push_back(tensor.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) throw_damaged(what, "holds tensor " + std::string(*twice) + " twice");
}

void check_bytes(const TensorEntry& tensor, std::string_view what) {
  const auto elements = elements_of(tensor.shape);
  std::uint64_t bytes = 0;
  if (!elements || __builtin_mul_overflow(static_cast<std::uint64_t>(*elements),
                                          bytes_of(tensor.dtype), &bytes)) {
    throw_damaged(what, "tensor " + tensor.name + " has a shape that is too large");
  }
  if (tensor.begin > tensor.end || tensor.end - tensor.begin != bytes) {
    throw_damaged(what, "tensor " + tensor.name + " has a shape that does not fit its bytes");
  }
}

// Sorts the entries by their data.
void check_layout(SafetensorsHeader& header, std::string_view what) {
  std::sort(header.tensors.begin(), header.tensors.end(),
            [](const TensorEntry& a, const TensorEntry& b) {
              return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
            });
  std::uint64_t end = 0;
  for (const TensorEntry& tensor : header.tensors) {
    check_bytes(tensor, what);
    if (tensor.begin != end) {
      throw_damaged(what, "tensor " + tensor.name + " begins at byte " +
                              std::to_string(tensor.begin) + " of the data, expected " +
                              std::to_string(end));
    }
    end = tensor.end;
  }
  if (end != header.data_bytes) {
    throw_damaged(what, "its tensors take " + std::to_string(end) + " bytes, the file holds " +
                            std::to_string(header.data_bytes));
  }
}

// What people have instead, told by its first bytes, which could be a header's length as well; ""
// for anything else.
std::string other_format(std::span<const std::byte> head) {
  const std::string_view begin(reinterpret_cast<const char*>(head.data()), head.size());
  constexpr std::string_view kZip("PK\x03\x04");   // torch.save since PyTorch 1.6
  constexpr std::string_view kPickle("\x80\x02");  // and before
  constexpr std::string_view kHdf5("\x89HDF\r\n");
  if (begin.starts_with(kZip) || begin.starts_with(kPickle))
    return "is a file of torch.save, not safetensors; convert it once: "
           "safetensors.torch.save_file(STATE_DICT, \"weights.safetensors\")";
  if (begin.starts_with(kHdf5))
    return "is an HDF5 file, not safetensors; convert it once: "
           "safetensors.numpy.save_file({NAME: ARRAY, ...}, \"weights.safetensors\")";
  return "";
}

// The size of all before the data, from the file's first 8 bytes.
std::uint64_t head_bytes(std::span<const std::byte> head, std::uint64_t file_bytes,
                         std::string_view what) {
  if (head.size() < kLengthBytes || file_bytes < kLengthBytes) {
    throw_damaged(what, "is shorter than 8 bytes");
  }
  std::uint64_t length = 0;
  std::memcpy(&length, head.data(), kLengthBytes);
  const bool fits = length <= kMaxHeaderBytes && length <= file_bytes - kLengthBytes;
  if (const auto other = fits ? "" : other_format(head); !other.empty()) throw_damaged(what, other);
  if (length > kMaxHeaderBytes)
    throw_damaged(what, "its header claims more than 100,000,000 bytes");
  if (length > file_bytes - kLengthBytes) throw_damaged(what, "ends within its header");
  return kLengthBytes + length;
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::span<const std::byte> head,
                                           std::uint64_t file_bytes, std::string_view what) {
  SafetensorsHeader header;
  header.data_begin = head_bytes(head, file_bytes, what);
  if (head.size() < header.data_begin) throw_damaged(what, "ends within its header");
  head = head.first(header.data_begin);
  header.data_bytes = file_bytes - header.data_begin;

  std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
  text.remove_prefix(kLengthBytes);
  text = text.substr(0, text.find_last_not_of(' ') + 1);
  if (!text.starts_with('{') || !text.ends_with('}') || text.find('\0') != std::string_view::npos) {
    throw_damaged(what, "its header is not one JSON object padded by spaces");
  }
  HeaderReader reader(header);
  if (!json::sax_parse(text.begin(), text.end(), &reader)) throw_damaged(what, reader.problem());
  check_names(header.tensors, what);
  check_layout(header, what);
  header.digest = digest128(head);
  return header;
}

std::vector<std::byte> read_safetensors_head(const ReadableFile& file, std::string_view what) {
  if (file.size() < kLengthBytes) throw_damaged(what, "is shorter than 8 bytes");
  // Most headers end within the first page: one read instead of two, which counts on file servers.
  std::vector<std::byte> head(std::min(file.size(), kDataAlignment));
  file.read_at(0, head);
  const auto begun = head.size();
  head.resize(head_bytes(std::span(head).first(kLengthBytes), file.size(), what));
  if (head.size() > begun) file.read_at(begun, std::span(head).subspan(begun));
  return head;
}

SafetensorsHeader read_safetensors_header(const ReadableFile& file, std::string_view what) {
  return parse_safetensors_header(read_safetensors_head(file, what), file.size(), what);
}

}  // namespace lockstep
