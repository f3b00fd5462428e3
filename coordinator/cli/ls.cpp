#include <cstdio>
#include <memory>
#include <optional>

#include "common/error.h"
#include "coordinator/amounts.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/graph.h"
#include "coordinator/cli/listing.h"
#include "coordinator/cli/table.h"
#include "coordinator/lineage.h"
#include "coordinator/liveness.h"

namespace lockstep::cli {

namespace {

struct Options {
  std::string store;
  std::optional<std::string> format;
  bool all = false;
  bool json = false;
  bool ascii = false;
};

Mark mark_of(Standing standing) {
  if (standing == Standing::kGood) return Mark::kGood;
  return standing == Standing::kDamaged ? Mark::kBad : Mark::kOther;
}

Colour colour_of(Standing standing) {
  switch (standing) {
    case Standing::kGood:
      return Colour::kGreen;
    case Standing::kDamaged:
      return Colour::kRed;
    case Standing::kNotFinite:
      return Colour::kYellow;
    default:
      return Colour::kDim;
  }
}

// "good, best, pinned", "damaged: shard 2: missing".
Cell state_cell(const Listing& listing, const CheckpointView& checkpoint) {
  const auto standing = standing_of(listing, checkpoint);
  auto text = to_text(standing);
  if (listing.best == checkpoint.id) text += ", best";
  if (listing.pins.contains(checkpoint.id)) text += ", pinned";
  if (!checkpoint.examined->why.empty()) text += ": " + checkpoint.examined->why;
  return {text, colour_of(standing)};
}

Row row_of(const Listing& listing, const CheckpointView& checkpoint, const std::string& picture) {
  const auto& found = *checkpoint.examined;
  const auto metrics = found.manifest ? metrics_text(found.manifest->metrics) : std::string();
  return {picture + " " + to_text(checkpoint.id),
          found.manifest ? age_text(found.manifest->created) : "?",
          bytes_text(found.bytes),
          found.manifest ? std::to_string(found.manifest->world_size) : "?",
          metrics.empty() ? "-" : metrics,
          state_cell(listing, checkpoint)};
}

void print_graph(const Listing& listing, const Screen& screen) {
  if (listing.shown.empty()) {
    std::puts("no checkpoint");
    return;
  }
  std::vector<GraphNode> nodes;
  for (const auto& id : listing.shown)
    nodes.push_back({id, previous_of(listing.store, id),
                     mark_of(standing_of(listing, *listing.store.checkpoint(id)))});
  std::vector<Row> rows = {{"  CHECKPOINT", "AGE", "SIZE", "RANKS", "METRICS", "STATE"}};
  for (const auto& drawn : draw_graph(nodes, screen.unicode)) {
    if (drawn.node) {
      rows.push_back(
          row_of(listing, *listing.store.checkpoint(nodes[*drawn.node].id), drawn.picture));
    } else {
      rows.push_back({drawn.picture});
    }
  }
  std::fputs(table(rows, screen, TooLong::kIsCut).c_str(), stdout);
}

void print_attempts(const Listing& listing, const Screen& screen) {
  std::vector<Row> rows = {{"ATTEMPT", "RUN", "STARTED FROM", "OUTCOME"}};
  for (const auto* attempt : attempts_shown(listing)) {
    const auto sight = attempt->claim && !attempt->outcome ? look_for(attempt->claim->process)
                                                           : LocalSight::kElsewhere;
    rows.push_back({std::to_string(attempt->number), run_of(*attempt).value_or("?"),
                    origin_text(*attempt), outcome_text(*attempt, sight)});
  }
  if (rows.size() > 1) std::printf("\n%s", table(rows, screen, TooLong::kIsCut).c_str());
}

void print_damaged_records(const Listing& listing, const Screen& screen) {
  std::vector<Row> rows;
  for (const auto& record : damaged_records(listing.store))
    rows.push_back({record.file, {"damaged", Colour::kRed}, record.why});
  if (!rows.empty()) std::printf("\n%s", table(rows, screen).c_str());
}

void print_rest(const Listing& listing) {
  if (!listing.all) {
    const auto hidden = listing.store.checkpoints.size() - listing.shown.size();
    if (hidden > 0) std::printf("\n%zu more in abandoned lineages: --all shows them\n", hidden);
    return;
  }
  std::uint64_t bytes = 0;
  const auto left = abandoned(listing.store);
  for (const auto& id : left)
    bytes += listing.store.checkpoint(id)->examined->bytes;
  if (!left.empty())
    std::printf("\nabandoned lineages: %s, %s\n", count_text(left.size(), "checkpoint").c_str(),
                bytes_text(bytes).c_str());
}

int run_ls(const FileSystem& files, const Options& options) {
  if (options.json && options.format)
    throw Error(ErrorCode::kInvalidConfig, "--json and --format contradict; leave one of them out");
  std::vector<LinePart> parts;
  if (options.format) parts = parse_listing_format(*options.format);  // before a long read
  auto listing = list_store(files, options.store, options.all);
  if (options.json) {
    std::puts(listing_json(listing).c_str());
    return 0;
  }
  if (options.format) {
    require_metrics(files, listing, parts);
    std::fputs(listing_lines(listing, parts).c_str(), stdout);
    return 0;
  }
  const auto screen = screen_of_stdout(options.ascii);
  print_graph(listing, screen);
  print_attempts(listing, screen);
  print_damaged_records(listing, screen);
  print_rest(listing);
  return 0;
}

}  // namespace

Command ls_command() {
  const auto options = std::make_shared<Options>();
  Command command;
  command.name = "ls";
  command.purpose = "lists the checkpoints of a store as a graph, newest first";
  command.description =
      "Shows the newest lineage: what `latest` could reach, then what that started from, and so on "
      "back. Manifests, sizes and shard headers are checked, not every byte; verify does that. A "
      "checkpoint is good, damaged (and why), not finite (its tensors hold NaN or Inf) or "
      "abandoned "
      "(sound, but not in the newest lineage); best goes by checkpoint.keep_best of the newest "
      "attempt.";
  command.arguments = {store_argument(options->store)};
  command.options = {flag("--all", options->all, "every lineage, with the forks between them"),
                     flag("--json", options->json, "one JSON object"),
                     {"--format", "FORMAT",
                      "a line for each checkpoint: {attempt}, {iteration}, {metrics.NAME} and the "
                      "other fields of --json stand for their values, \\t and \\n for a tab and "
                      "a new line",
                      &options->format},
                     flag("--ascii", options->ascii, "draw with ASCII characters only")};
  command.exit_codes = usual_exit_codes("listed");
  command.exit_codes[1].meaning = "a mistake in the command, or no such store";
  command.examples = {"lockstep ls checkpoints", "lockstep ls checkpoints --all",
                      "lockstep ls checkpoints --format '{attempt}@{iteration} {state} {bytes}'",
                      "lockstep ls checkpoints --json | jq '.checkpoints[] | select(.eligible)'"};
  command.run = [options](FileSystem& files) { return run_ls(files, *options); };
  return command;
}

}  // namespace lockstep::cli
