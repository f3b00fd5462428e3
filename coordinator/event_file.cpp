#include "coordinator/event_file.h"

#include <cstddef>
#include <utility>

#include <isa-l/crc.h>
#include <protozero/pbf_writer.hpp>

#include "common/names.h"

namespace lockstep {
namespace {

constexpr std::string_view kMiddle = ".events.out.tfevents.";

// Numbers of the fields, by tensorboard/compat/proto/event.proto and summary.proto.
struct EventField {
  static constexpr protozero::pbf_tag_type kWallTime = 1;
  static constexpr protozero::pbf_tag_type kStep = 2;
  static constexpr protozero::pbf_tag_type kFileVersion = 3;
  static constexpr protozero::pbf_tag_type kSummary = 5;
  static constexpr protozero::pbf_tag_type kSessionLog = 7;
};
struct SessionLogField {
  static constexpr protozero::pbf_tag_type kStatus = 1;
  static constexpr std::int32_t kStart = 1;
};
struct SummaryField {
  static constexpr protozero::pbf_tag_type kValue = 1;
};
struct ValueField {
  static constexpr protozero::pbf_tag_type kTag = 1;
  static constexpr protozero::pbf_tag_type kSimpleValue = 2;
};

void append_little_endian(std::string& to, std::uint64_t number, std::size_t bytes) {
  constexpr unsigned kByte = 8;
  for (std::size_t i = 0; i < bytes; ++i)
    to += static_cast<char>(number >> (kByte * i) & 0xffU);
}

std::string record_of(const std::string& event) {
  std::string record;
  append_little_endian(record, event.size(), sizeof(std::uint64_t));
  append_little_endian(record, masked_crc32c(record), sizeof(std::uint32_t));
  record += event;
  append_little_endian(record, masked_crc32c(event), sizeof(std::uint32_t));
  return record;
}

// A summary at a step, scalar by scalar.
class Scalars {
 public:
  void add(const std::string& tag, double value) {
    protozero::pbf_writer summary(summary_);
    protozero::pbf_writer one(summary, SummaryField::kValue);
    one.add_string(ValueField::kTag, tag);
    one.add_float(ValueField::kSimpleValue, static_cast<float>(value));
  }
  std::string record(double time_s, std::int64_t step) const {
    std::string bytes;
    protozero::pbf_writer event(bytes);
    event.add_double(EventField::kWallTime, time_s);
    event.add_int64(EventField::kStep, step);
    event.add_message(EventField::kSummary, summary_);
    return record_of(bytes);
  }

 private:
  std::string summary_;
};

}  // namespace

std::string event_file_name(std::int64_t attempt, std::int64_t seconds, std::string_view host) {
  return attempt_folder(attempt) + std::string(kMiddle) + std::to_string(seconds) + "." +
         std::string(host);
}

std::optional<std::int64_t> attempt_of_event_file(std::string_view name) {
  const auto end = name.find(kMiddle);
  if (end == std::string_view::npos) return std::nullopt;
  return parse_attempt_folder(name.substr(0, end));
}

std::string event_file_start(double time_s, std::int64_t step) {
  std::string version;
  protozero::pbf_writer first(version);
  first.add_double(EventField::kWallTime, time_s);
  first.add_string(EventField::kFileVersion, "brain.Event:2");

  std::string started;
  protozero::pbf_writer second(started);
  second.add_double(EventField::kWallTime, time_s);
  second.add_int64(EventField::kStep, step);
  {
    protozero::pbf_writer session(second, EventField::kSessionLog);
    session.add_enum(SessionLogField::kStatus, SessionLogField::kStart);
  }
  return record_of(version) + record_of(started);
}

std::string event_of(double time_s, const Interval& interval, const ProcessMemory& memory) {
  Scalars scalars;
  scalars.add("train/loss", interval.loss);
  if (interval.accuracy) scalars.add("train/accuracy", *interval.accuracy);
  scalars.add("train/gradient_norm", interval.gradient_norm);
  scalars.add("train/learning_rate", interval.learning_rate);
  scalars.add("speed/samples_per_second", samples_per_second(interval));
  for_each_part(interval.spent, [&](const char* name, double seconds) {
    scalars.add(std::string("time/") + name, seconds / static_cast<double>(interval.iterations));
  });
  if (memory.resident_bytes)
    scalars.add("memory/resident_bytes", static_cast<double>(*memory.resident_bytes));
  if (memory.peak_bytes) scalars.add("memory/peak_bytes", static_cast<double>(*memory.peak_bytes));
  return scalars.record(time_s, interval.iteration);
}

std::string event_of(double time_s, const Evaluation& evaluation) {
  Scalars scalars;
  for (const auto& [name, value] : evaluation.metrics)
    scalars.add("evaluation/" + name, value);
  return scalars.record(time_s, evaluation.iteration);
}

std::uint32_t masked_crc32c(std::string_view bytes) {
  constexpr unsigned kTurned = 15;
  constexpr unsigned kBits = 32;
  constexpr std::uint32_t kAdded = 0xa282ead8U;
  std::string copy(bytes);  // isa-l takes what it only reads as if it wrote to it
  const std::uint32_t crc = ~crc32_iscsi(reinterpret_cast<unsigned char*>(copy.data()),
                                         static_cast<int>(copy.size()), ~std::uint32_t{0});
  return (crc >> kTurned | crc << (kBits - kTurned)) + kAdded;
}

}  // namespace lockstep
