// What all of Chart.js' charts have in common, and the theme's colours.

// The theme's colours, read once a theme. Marks and bars take theirs by a function: Chart.js
// keeps the options that the elements of a data set share, and would go on with those of the
// first theme.
let colours = {};
function read_colours() {
  const style = getComputedStyle(document.documentElement);
  const names = [
    "accent", "accent-soft", "dim", "bad", "warn", "text", "muted", "panel", "line", "line-strong",
    "save"
  ];
  colours =
    Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}
const colour = (name) => colours[name];
const charts = [];  // { chart, paint }

function new_chart(canvas, config, paint) {
  const chart = new Chart(canvas, config);
  charts.push({chart, paint});
  paint(chart);
  chart.update("none");
  return chart;
}

function paint_scales(chart) {
  for (const scale of Object.values(chart.options.scales)) {
    scale.ticks.color = colour("muted");
    scale.grid.color = colour("line");
    if (scale.title) scale.title.color = colour("muted");
  }
  const tooltip = chart.options.plugins.tooltip;
  tooltip.backgroundColor = colour("text");
  tooltip.titleColor = tooltip.bodyColor = colour("panel");
}

function base_options() {
  return {
    animation: false,
    responsive: true,
    maintainAspectRatio: false,
    normalized: true,
    plugins:
      {legend: {display: false}, tooltip: {displayColors: false, animation: false, callbacks: {}}},
    interaction: {mode: "nearest", axis: "x", intersect: false},
  };
}
