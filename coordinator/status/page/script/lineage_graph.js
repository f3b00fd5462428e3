// The lineage as a graph: a lane for each attempt, newest first, over iterations.

const kMostLanes = 250;
const graph = {
  lanes: [],
  width: 0,
  height: 0,
  row: 20
};

const rank_of = (checkpoint, lineage) =>
  (checkpoint.state === "damaged"             ? 6
     : checkpoint.state === "not finite"      ? 5
     : checkpoint.best                        ? 4
     : name_of(checkpoint) === lineage.latest ? 3.5
     : checkpoint.pinned                      ? 3
     : checkpoint.state === "good"            ? 1
                                              : 0);

// Where an attempt began. Where its own records do not tell that is where its curve says, else the
// first iteration that is known of it.
function begin_of(attempt, curve, seen) {
  if (attempt.parent) return attempt.parent.iteration;
  const of_another_store = /^\d{1,15}@(\d{1,15}) of /.exec(attempt.origin);
  if (of_another_store) return Number(of_another_store[1]);
  if (attempt.origin !== "?") return 0;
  const first = Math.min(first_of(curve) ?? Infinity, ...seen);
  return Number.isFinite(first) ? first : 0;
}

function lane_of(attempt, lineage, curve) {
  const checkpoints = lineage.held.get(attempt.attempt);
  const {status} = known;
  const seen = [
    checkpoints.at(-1)?.iteration, checkpoints[0]?.iteration, list(own(curve, "iteration")).at(-1),
    status?.attempt === attempt.attempt ? status.iteration : null
  ].filter(is_number);
  const begin = begin_of(attempt, curve, seen);
  return {
    attempt,
    checkpoints,
    begin,
    end: Math.max(begin, ...seen),
    until: attempt.in_lineage ? lineage.until.get(attempt.attempt) ?? Infinity : -Infinity
  };
}

// Marks of one lane, at most one in 4 pixels: the one that matters most.
function marks_of(lane, x_of, lineage) {
  const marks = [];
  for (const checkpoint of lane.checkpoints) {
    const x = x_of(checkpoint.iteration);
    const last = marks[marks.length - 1];
    if (last && Math.abs(last.x - x) < 4) {
      last.count += 1;
      if (rank_of(checkpoint, lineage) > rank_of(last.checkpoint, lineage))
        last.checkpoint = checkpoint;
    } else marks.push({x, checkpoint, count: 1});
  }
  return marks;
}

function show_graph() {
  const lineage = known.lineage;
  const width = $("graph").parentElement.clientWidth;
  if (!lineage || width === 0) return;
  const curves = new Map(known.curves.map((curve) => [curve.attempt, curve]));
  const lanes = lineage.attempts.slice(0, kMostLanes)
                  .map((attempt) => lane_of(attempt, lineage, curves.get(attempt.attempt)));
  if (lanes.length === 0) return;
  const row = lanes.length <= 12 ? 24 : 18;
  const left = 44, right = width > 640 ? 96 : 14;
  const low = lanes.reduce((least, lane) => Math.min(least, lane.begin), Infinity);
  const high = Math.max(low + 1, lanes.reduce((most, lane) => Math.max(most, lane.end), -Infinity));
  const x_of = (iteration) => left + ((iteration - low) / (high - low)) * (width - left - right);
  const height = lanes.length * row + 8;
  const context = sized($("graph"), width, height);
  const y_of =
    new Map(lanes.map((lane, index) => [lane.attempt.attempt, 4 + index * row + row / 2]));
  draw_axis(width, x_of, low, high);
  for (const strong of [false, true]) {
    for (const lane of lanes) {
      if (lane.attempt.in_lineage !== strong) continue;
      const y = y_of.get(lane.attempt.attempt);
      const parent = y_of.get(lane.attempt.parent?.attempt);
      if (parent !== undefined) draw_connector(context, lane, y, parent, x_of);
      draw_lane(context, lane, y, x_of);
    }
  }
  for (const lane of lanes) {
    lane.y = y_of.get(lane.attempt.attempt);
    lane.marks = marks_of(lane, x_of, lineage);
    for (const mark of lane.marks)
      draw_mark(
        context, mark.x, lane.y, mark.checkpoint, name_of(mark.checkpoint) === lineage.latest);
    if (parent_unknown(lane.attempt)) draw_unknown_parent(context, x_of(lane.begin), lane.y);
    context.fillStyle = colour(lane.attempt.in_lineage ? "text" : "muted");
    context.textAlign = "left";
    context.fillText(String(lane.attempt.attempt), 4, lane.y + 4);
    const state = plain(String(lane.attempt.state)).slice(0, 12);
    context.fillStyle = colour("muted");
    if (right > 90) context.fillText(state, x_of(lane.end) + 12, lane.y + 4);
  }
  Object.assign(graph, {lanes, width, height, row});
  $("graph").setAttribute(
    "aria-label",
    `Graph of ${plural(lanes.length, "attempt")} over iterations ${low} to ${high}.${
      unknown_text(lineage.unknown)} The list below holds the same.`);
}

function mark_at(event) {
  const box = $("graph").getBoundingClientRect();
  const x = event.clientX - box.left, y = event.clientY - box.top;
  let nearest = null;
  for (const lane of graph.lanes) {
    if (Math.abs(lane.y - y) > graph.row / 2 + 2) continue;
    for (const mark of lane.marks) {
      const distance = Math.hypot(mark.x - x, lane.y - y);
      if (distance <= 16 && (nearest === null || distance < nearest.distance))
        nearest = {mark, lane, distance};
    }
  }
  return nearest;
}

function show_tip(event) {
  const found = mark_at(event);
  const tip = $("graph-tip");
  $("graph").classList.toggle("over", found !== null);
  tip.hidden = found === null;
  if (!found) return;
  const {checkpoint, count} = found.mark;
  const parts = [
    name_of(checkpoint), checkpoint.state, kept_as(checkpoint), metrics_text(checkpoint.metrics),
    count > 1 ? `${integer(count - 1)} more here` : ""
  ];
  text(tip, parts.filter(Boolean).join(", "));
  tip.style.left = `${clamp(found.mark.x + 10, 0, Math.max(0, graph.width - tip.offsetWidth))}px`;
  tip.style.top = `${
    found.lane.y + 12 + tip.offsetHeight > graph.height ? found.lane.y - tip.offsetHeight - 10
                                                        : found.lane.y + 12}px`;
}
