// Light, dark, or as the desktop has it.

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const kThemes = ["auto", "light", "dark"];
let theme = kThemes.includes(storage.get("theme")) ? storage.get("theme") : "auto";

function apply_theme() {
  document.documentElement.dataset.theme =
    theme === "auto" ? (dark.matches ? "dark" : "light") : theme;
  read_colours();
  text($("theme"), `Theme: ${theme}`);
  for (const {chart, paint} of charts) {
    paint(chart);
    chart.update("none");
  }
  if (known.lineage) show_graph();
}
