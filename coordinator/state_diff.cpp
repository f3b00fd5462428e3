#include "coordinator/state_diff.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "common/config.h"
#include "coordinator/tensor_reader.h"

namespace lockstep {

namespace {

constexpr const char* kAbsent = "absent";
constexpr std::uint64_t kPieceBytes = kChecksumBlockBytes;

void add(std::vector<Difference>& all, const std::string& what, const std::string& a,
         const std::string& b) {
  if (a != b) all.push_back({what, a, b});
}

std::string form_of(const TensorInfo& tensor) {
  std::string text = to_text(tensor.dtype) + " [";
  for (std::size_t i = 0; i < tensor.shape.size(); ++i)
    text += (i > 0 ? ", " : "") + std::to_string(tensor.shape[i]);
  return text + "]";
}

// What either map says differently, in the order of the keys.
void add_map(std::vector<Difference>& all, const std::map<std::string, std::string>& a,
             const std::map<std::string, std::string>& b) {
  std::set<std::string> keys;
  for (const auto* map : {&a, &b})
    for (const auto& [key, value] : *map)
      keys.insert(key);
  const auto value_of = [](const auto& map, const std::string& key) {
    const auto found = map.find(key);
    return found != map.end() ? found->second : kAbsent;
  };
  for (const auto& key : keys)
    add(all, key, value_of(a, key), value_of(b, key));
}

std::map<std::string, std::string> forms_of(const Manifest& manifest) {
  std::map<std::string, std::string> forms;
  for (const auto& tensor : manifest.tensors)
    forms[tensor.name] = form_of(tensor);
  return forms;
}

template <typename Real>
void compare_reals(std::span<const std::byte> a, std::span<const std::byte> b,
                   TensorDifference& into) {
  for (std::size_t at = 0; at < a.size(); at += sizeof(Real)) {
    if (std::memcmp(&a[at], &b[at], sizeof(Real)) == 0) continue;
    ++into.different;
    Real x{};
    Real y{};
    std::memcpy(&x, &a[at], sizeof x);
    std::memcpy(&y, &b[at], sizeof y);
    const double apart = std::fabs(static_cast<double>(x) - static_cast<double>(y));
    if (std::isnan(apart)) {
      ++into.not_numbers;
    } else {
      into.largest = std::max(into.largest.value_or(0), apart);
    }
  }
}

}  // namespace

StateDiff compare_manifests(const Manifest& a, const Manifest& b) {
  StateDiff diff;
  const auto number = [](std::int64_t value) { return std::to_string(value); };
  add(diff.facts, "iteration", number(a.checkpoint.iteration), number(b.checkpoint.iteration));
  add(diff.facts, "data position", number(a.data.position), number(b.data.position));
  add(diff.facts, "data length", number(a.data.length), number(b.data.length));
  add(diff.facts, "data digest", a.data.digest, b.data.digest);
  add_map(diff.shapes, forms_of(a), forms_of(b));
  add_map(diff.config, flat_config(a.config), flat_config(b.config));
  return diff;
}

void compare_elements(Dtype dtype, std::span<const std::byte> a, std::span<const std::byte> b,
                      TensorDifference& into) {
  if (std::memcmp(a.data(), b.data(), a.size()) == 0) return;
  if (dtype == Dtype::kF32) return compare_reals<float>(a, b, into);
  if (dtype == Dtype::kF64) return compare_reals<double>(a, b, into);
  const auto width = bytes_of(dtype);
  for (std::size_t at = 0; at < a.size(); at += width)
    if (std::memcmp(&a[at], &b[at], width) != 0) ++into.different;
}

StateDiff diff_states(const FileSystem& files, const Readable& a, const Readable& b,
                      const std::function<void(std::uint64_t)>& progress) {
  auto diff = compare_manifests(a.manifest, b.manifest);
  std::set<std::string> unlike;
  for (const auto& difference : diff.shapes)
    unlike.insert(difference.what);
  TensorReader reader_a(files, a.folder, a.manifest);
  TensorReader reader_b(files, b.folder, b.manifest);
  std::vector<std::byte> bytes_a(kPieceBytes);
  std::vector<std::byte> bytes_b(kPieceBytes);
  for (const auto& tensor : a.manifest.tensors) {
    if (unlike.contains(tensor.name)) continue;
    TensorDifference found{tensor.name, elements(tensor), 0, std::nullopt, 0};
    for_each_piece(tensor, kPieceBytes, [&](const Piece& piece) {
      const auto bytes = static_cast<std::size_t>(piece.count) * bytes_of(piece.dtype);
      reader_a.read(piece, std::span(bytes_a).first(bytes));
      reader_b.read(piece, std::span(bytes_b).first(bytes));
      compare_elements(tensor.dtype, std::span(bytes_a).first(bytes),
                       std::span(bytes_b).first(bytes), found);
      if (progress) progress(2 * bytes);
    });
    if (found.different > 0) diff.contents.push_back(std::move(found));
    ++diff.compared;
  }
  return diff;
}

}  // namespace lockstep
