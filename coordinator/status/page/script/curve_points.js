// Points of the curves, from /api/curves.

const kColumns = ["loss", "accuracy", "gradient_norm", "learning_rate", "samples_per_second"];

function metrics_there(curves) {
  const there = new Set(
    kColumns.filter((name) => curves.some((attempt) => list(own(attempt, name)).some(is_number))));
  for (const attempt of curves) {
    for (const evaluation of list(attempt.evaluations)) {
      for (const name of Object.keys(own(evaluation, "metrics") ?? {}))
        if (there.size < 60) there.add(name);
    }
  }
  return there.size > 0 ? [...there] : ["loss", "accuracy"];
}

// First, lowest, highest and last point of each of `buckets` parts: what a line of that many
// pixels can show.
function thin(points, buckets) {
  if (points.length <= buckets * 4) return points;
  const thinned = [];
  for (let bucket = 0; bucket < buckets; bucket += 1) {
    const begin = Math.floor((bucket * points.length) / buckets);
    const end = Math.floor(((bucket + 1) * points.length) / buckets);
    let low = begin, high = begin;
    for (let index = begin + 1; index < end; index += 1) {
      if (points[index].y < points[low].y) low = index;
      if (points[index].y > points[high].y) high = index;
    }
    for (const index of [...new Set([begin, low, high, end - 1])].sort((a, b) => a - b))
      thinned.push(points[index]);
  }
  return thinned;
}

// Within a float's range, which training computes in: among smaller and larger ones Chart.js looks
// for ticks without end.
const drawable = (value) => (Math.abs(value) < 1e-37 ? 0 : clamp(value, -1e38, 1e38));

function points_of(attempt, metric) {
  const values = list(own(attempt, metric));
  const points = [];
  list(attempt.iteration).forEach((iteration, index) => {
    if (is_number(iteration) && is_number(values[index]))
      points.push({x: iteration, y: drawable(values[index]), attempt: attempt.attempt});
  });
  return points;
}

function evaluations_of(attempt, metric) {
  return list(attempt.evaluations)
    .filter((evaluation) => is_number(own(evaluation.metrics, metric)))
    .map((evaluation) => ({
           x: evaluation.iteration,
           y: drawable(evaluation.metrics[metric]),
           attempt: attempt.attempt
         }));
}

// Where a curve begins, as far as it tells. null: it does not.
function first_of(curve) {
  if (curve?.branch > 0) return curve.branch;
  return list(own(curve, "iteration")).find(is_number) ?? null;
}

// "2@1500", or null. Where the attempt's own records do not tell its parent any more the curve's
// word does not count: no restore goes by it either.
const parent_of = (curve) => (unknown_parents().includes(curve.attempt) ? null : curve.parent);

const abandoned_from = (attempt) =>
  (!attempt.in_lineage          ? -Infinity
     : is_number(attempt.until) ? attempt.until
                                : Infinity);

function last_up_to(points, x) {
  for (let index = points.length - 1; index >= 0; index -= 1)
    if (points[index].x <= x) return points[index];
  return null;
}

// The newest lineage as one line; what was abandoned as lines of its own, each from the point
// where it was left.
function trace(curves, metric, keep) {
  const strong = [], dim = [], strong_marks = [], dim_marks = [];
  const all = new Map(curves.map((attempt) => [attempt.attempt, points_of(attempt, metric)]));
  for (const attempt of curves) {
    const points = all.get(attempt.attempt);
    const cut = abandoned_from(attempt);
    for (const point of points)
      if (point.x <= cut && keep(point)) strong.push(point);
    let left = points.filter((point) => point.x > cut && keep(point));
    if (left.length > 0) {
      const parent = Number.parseInt(parent_of(attempt), 10);
      const from = attempt.in_lineage ? last_up_to(points, cut)
                                      : last_up_to(all.get(parent) ?? [], attempt.branch);
      if (from && keep(from)) left = [from, ...left];
      dim.push(thin(left, clamp(Math.floor(600 / curves.length), 20, 300)));
    }
    for (const mark of evaluations_of(attempt, metric))
      if (keep(mark)) (mark.x <= cut ? strong_marks : dim_marks).push(mark);
  }
  const gap = (line) => [...line, {x: line[line.length - 1].x, y: NaN}];
  return {
    strong: thin(strong, 450),
    dim: dim.flatMap(gap),
    strong_marks: thin(strong_marks, 40),
    dim_marks: thin(dim_marks, 20),
    all: strong
  };
}
