// Saves of the job: figures, chart, table.

let shown_saves = "";
function show_saves(status) {
  const saves = status.saves;
  $("saves-part").hidden = saves === null;
  $("saves-empty").hidden = saves !== null;
  if (saves === null) {
    text(
      $("saves-empty"),
      status.source === "files" ? "Times of saves are shown by the job's own status server."
                                : "No save yet");
    return;
  }
  $("saves-failed").className = saves.failed > 0 ? "bad-text" : "";
  const recent = list(saves.recent).slice(-100);
  const signature = JSON.stringify(recent);
  if (signature === shown_saves) return;
  shown_saves = signature;
  const canvas = $("saves-chart");
  canvas.parentElement.hidden = recent.length === 0;
  $("saves-table").hidden = recent.length === 0;
  if (recent.length === 0) return;
  draw_saves(recent);
  const last = recent[recent.length - 1];
  canvas.setAttribute(
    "aria-label",
    `Seconds of the last ${plural(recent.length, "save")}; the newest, at iteration ${
      last.iteration}, took ${seconds(last.seconds ?? 0)}`);
  const lines = rows(
    $("saves-rows"), recent.length,
    () => make(
      "tr", {}, make("td"), make("td", {class: "number"}), make("td", {class: "number"}),
      make("td", {class: "number"})));
  recent.forEach((save, index) => {
    const cells = lines[recent.length - 1 - index].children;
    set_cell(cells[0], `saves.recent.${index}.iteration`, save.iteration, "integer");
    set_cell(cells[1], `saves.recent.${index}.seconds`, save.seconds, "seconds");
    set_cell(cells[2], `saves.recent.${index}.held_seconds`, save.held_seconds, "seconds");
    set_cell(cells[3], `saves.recent.${index}.bytes`, save.bytes, "bytes");
  });
}

async function draw_saves(recent) {
  await next_task();
  const chart = saves_chart();
  chart.data.labels = recent.map((save) => integer(save.iteration));
  chart.data.datasets[0].data = recent.map((save) => save.held_seconds ?? 0);
  chart.data.datasets[1].data =
    recent.map((save) => Math.max(0, (save.seconds ?? 0) - (save.held_seconds ?? 0)));
  chart.update("none");
}

let saves_chart_made = null;
function saves_chart() {
  if (saves_chart_made) return saves_chart_made;
  const options = base_options();
  options.interaction.mode = "index";
  options.scales = {
    x: {
      stacked: true,
      grid: {display: false},
      ticks: {maxTicksLimit: 6, maxRotation: 0, autoSkipPadding: 12}
    },
    y: {
      stacked: true,
      beginAtZero: true,
      grid: {},
      ticks: {maxTicksLimit: 4, callback: (value) => seconds(value)}
    },
  };
  options.plugins.tooltip.callbacks = {
    title: (items) => `iteration ${items[0].label}`,
    label: (item) => `${item.datasetIndex === 0 ? "training held up" : "in the background"}: ${
      seconds(item.parsed.y)}`,
  };
  saves_chart_made = new_chart(
    $("saves-chart"), {
      type: "bar",
      options,
      data: {
        labels: [],
        datasets: [
          {data: [], maxBarThickness: 18, backgroundColor: () => colour("save")},
          {data: [], maxBarThickness: 18, backgroundColor: () => colour("accent-soft")}
        ]
      }
    },
    paint_scales);
  return saves_chart_made;
}
