// The two panels, each a chart of one metric.

const panels = [
  {
    select: $("metric-a"),
    log: $("log-a"),
    canvas: $("curve-a"),
    empty: $("curve-a-empty"),
    readout: $("readout-a"),
    key: "metric_a",
    first: ["loss"],
    chart: null
  },
  {
    select: $("metric-b"),
    log: $("log-b"),
    canvas: $("curve-b"),
    empty: $("curve-b-empty"),
    readout: $("readout-b"),
    key: "metric_b",
    first: ["accuracy", "gradient_norm", "samples_per_second"],
    chart: null
  },
];
for (const panel of panels) {
  panel.wanted = storage.get(panel.key);
  panel.log.checked = storage.get(`${panel.key}_log`) === "1";
}

function offer_metrics(curves) {
  const names = metrics_there(curves);
  for (const panel of panels) {
    if (names.join("\n") !== panel.offered) {
      panel.offered = names.join("\n");
      panel.select.replaceChildren(
        ...names.map((name) => make("option", {value: name, text: label_of(name)})));
    }
    const choice = [panel.wanted, ...panel.first, names[0]].find((name) => names.includes(name));
    if (panel.select.value !== choice) panel.select.value = choice;
  }
}

// Where the newest lineage's attempts begin; `unknown`: the attempt, where its parent is.
function forks_of(curves) {
  const forks = [];
  for (const curve of curves.filter(({in_lineage}) => in_lineage)) {
    const {attempt} = curve;
    const parent = parent_of(curve);
    if (unknown_parents().includes(attempt) && first_of(curve) !== null)
      forks.push({x: first_of(curve), label: `${attempt}, parent unknown`, unknown: attempt});
    else if (parent)
      forks.push({x: curve.branch, label: plain(`${attempt} from ${parent}`).slice(0, 40)});
  }
  return forks;
}

// As vertical lines.
const fork_lines = {
  id: "fork_lines",
  beforeDatasetsDraw(chart) {
    const {ctx, chartArea: area, scales: {x}} = chart;
    const forks = chart.forks ?? [];
    const top = forks.length > 12 ? area.bottom - 8
                                  : area.top;  // many: ticks, so that the curve stays in sight
    let free_from = area.left;
    ctx.save();
    ctx.font = `11px ${Chart.defaults.font.family}`;
    for (const fork of forks) {
      const left = Math.round(x.getPixelForValue(fork.x)) + 0.5;
      if (!(left >= area.left - 1 && left <= area.right + 1)) continue;
      ctx.strokeStyle = colour(fork.unknown ? "warn" : "line-strong");
      ctx.setLineDash(fork.unknown ? [2, 3] : []);
      ctx.globalAlpha = fork.unknown ? 1 : 0.55;
      ctx.beginPath();
      ctx.moveTo(left, top);
      ctx.lineTo(left, area.bottom);
      ctx.stroke();
      ctx.globalAlpha = 1;
      const width = forks.length > 12 ? Infinity : ctx.measureText(fork.label).width;
      if (left + 4 < free_from || left + 4 + width > area.right + 8) continue;
      ctx.fillStyle = colour(fork.unknown ? "warn" : "muted");
      ctx.fillText(fork.label, left + 4, area.top + 9);
      free_from = left + width + 14;
    }
    ctx.restore();
  },
};

function curve_chart(panel) {
  if (panel.chart) return panel.chart;
  const options = base_options();
  options.scales = {
    x: {
      type: "linear",
      grid: {display: false},
      ticks: {
        maxTicksLimit: 7,
        includeBounds: false,
        maxRotation: 0,
        precision: 0,
        callback: (value) => integer(value)
      },
      title: {display: true, text: "iteration", padding: 0}
    },
    y: {type: "linear", grid: {}, ticks: {maxTicksLimit: 6, callback: (value) => number(value)}},
  };
  options.plugins.tooltip.callbacks = {
    title: (items) => (items.length > 0 ? `iteration ${integer(items[0].raw.x)}` : ""),
    label: (item) =>
      `attempt ${item.raw.attempt}${[1, 3].includes(item.datasetIndex) ? ", abandoned" : ""}${
        item.datasetIndex > 1 ? ", evaluation" : ""}: ${number(item.raw.y)}`,
  };
  const line =
    {data: [], pointRadius: 0, pointHitRadius: 6, borderJoinStyle: "round", spanGaps: false};
  const mark = {
    data: [],
    showLine: false,
    clip: 8,
    pointRadius: (context) => (context.dataset.data.length > 40 ? 1.5 : 3.5),
    pointHitRadius: 8,
    pointBorderWidth: 2,
    pointBackgroundColor: () => colour("panel")
  };
  panel.chart = new_chart(
    panel.canvas, {
      type: "line",
      options,
      plugins: [fork_lines],
      data: {
        datasets: [
          {...line, borderWidth: 2, order: 2},
          {...line, borderWidth: 1.5, borderDash: [5, 4], order: 3},
          {...mark, order: 0, pointBorderColor: () => colour("accent")},
          {...mark, order: 1, pointBorderColor: () => colour("dim")}
        ]
      }
    },
    (chart) => {
      paint_scales(chart);
      chart.data.datasets[0].borderColor = colour("accent");
      chart.data.datasets[1].borderColor = colour("dim");
    });
  return panel.chart;
}

function range_start(curves) {
  const range = $("range").value;
  const newest = curves.filter((attempt) => attempt.in_lineage).pop() ?? curves[curves.length - 1];
  if (range === "attempt") return newest ? newest.branch ?? -Infinity : -Infinity;
  if (range !== "tail") return -Infinity;
  const ends =
    curves.flatMap((attempt) => [list(attempt.iteration)[0], list(attempt.iteration).at(-1)])
      .filter(is_number);
  return ends.length > 0 ? Math.max(...ends) - (Math.max(...ends) - Math.min(...ends)) / 10
                         : -Infinity;
}

function show_panel(panel, curves, forks) {
  const metric = panel.select.value;
  const log = panel.log.checked;
  const start = range_start(curves);
  const traced = trace(curves, metric, (point) => point.x >= start && (!log || point.y > 0));
  const shown = $("show-abandoned").checked;
  const count =
    traced.strong.length + traced.dim.length + traced.strong_marks.length + traced.dim_marks.length;
  panel.empty.hidden = count > 0;
  text(panel.empty, `No ${label_of(metric)} in this range`);
  const chart = curve_chart(panel);
  const sets =
    [traced.strong, shown ? traced.dim : [], traced.strong_marks, shown ? traced.dim_marks : []];
  sets.forEach((data, index) => {
    chart.data.datasets[index].data = data;
  });
  const end = sets.flat().reduce((most, point) => Math.max(most, point.x), -Infinity);
  chart.options.scales.x.max = Number.isFinite(end) ? end : undefined;
  const wanted = log ? "logarithmic" : "linear";
  if (chart.options.scales.y.type !== wanted) chart.options.scales.y.type = wanted;
  chart.forks = forks;
  chart.update("none");
  describe_panel(panel, metric, traced, forks);
}

function describe_panel(panel, metric, traced, forks) {
  const points = traced.all.length > 0 ? traced.all : traced.strong_marks;
  if (points.length === 0) {
    text(panel.readout, "");
    panel.canvas.setAttribute("aria-label", `${label_of(metric)}: no values`);
    return;
  }
  const last = points[points.length - 1];
  const low = points.reduce((a, b) => (b.y < a.y ? b : a));
  const high = points.reduce((a, b) => (b.y > a.y ? b : a));
  const extreme = /accuracy/i.test(metric) ? `highest ${number(high.y)} at ${integer(high.x)}`
    : /loss|error|perplexity/i.test(metric) ? `lowest ${number(low.y)} at ${integer(low.x)}`
                                            : `between ${number(low.y)} and ${number(high.y)}`;
  text(panel.readout, `${number(last.y)} at ${integer(last.x)}, ${extreme}`);
  panel.canvas.setAttribute(
    "aria-label",
    `${label_of(metric)} over iterations ${points[0].x} to ${last.x} of the newest lineage: first ${
      number(points[0].y)}, last ${number(last.y)}, lowest ${number(low.y)} at ${low.x}, highest ${
      number(high.y)} at ${high.x}.${
      unknown_text(
        forks.map((fork) => fork.unknown).filter(Boolean))} The tables below hold the values.`);
}

let drawn_unknown = "";  // the attempts whose parent was unknown when the curves were drawn
const curves_are_stale = () => String(unknown_parents()) !== drawn_unknown;

async function show_curves() {
  const curves = known.curves;
  drawn_unknown = String(unknown_parents());
  $("curves-empty").hidden = curves.length > 0;
  $("curves-part").hidden = curves.length === 0;
  if (curves.length === 0) return;
  offer_metrics(curves);
  const forks = forks_of(curves);
  $("curves-unknown-key").hidden = forks.every((fork) => !fork.unknown);
  for (const panel of panels) {
    show_panel(panel, curves, forks);
    await next_task();
  }
  show_curve_tables();
}
