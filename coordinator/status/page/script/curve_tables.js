// The curves as tables.

function evaluation_lines(curves) {
  const lines = [];
  for (const attempt of curves) {
    for (const evaluation of list(attempt.evaluations))
      lines.push([
        `${attempt.attempt}@${evaluation.iteration}`,
        metrics_text(own(evaluation, "metrics"), Infinity)
      ]);
  }
  return lines.slice(-200).reverse();
}

function show_curve_tables() {
  if (!$("curves-table").open) return;
  const curves = known.curves;
  const metrics = panels.map((panel) => panel.select.value);
  const head = [
    "attempt", "run", "from", "iterations", "left at",
    ...metrics.map((metric) => `last ${label_of(metric)}`)
  ];
  const body = [...curves].reverse().map((attempt) => {
    const iterations = list(attempt.iteration);
    const span = iterations.length > 0
      ? `${integer(iterations[0])} to ${integer(iterations[iterations.length - 1])}`
      : kUnknown;
    const lasts = metrics.map((metric) => points_of(attempt, metric).at(-1))
                    .map((point) => or_unknown(point?.y, number));
    const left = attempt.in_lineage ? or_unknown(attempt.until, integer) : "abandoned";
    return [
      String(attempt.attempt), String(attempt.run ?? kUnknown),
      unknown_parents().includes(attempt.attempt) ? "unknown" : String(attempt.parent ?? kUnknown),
      span, left, ...lasts
    ];
  });
  const evaluations = evaluation_lines(curves);
  const table = (caption, titles, lines) => make(
    "table", {}, make("caption", {text: caption, class: "visually-hidden"}),
    make(
      "thead", {},
      make("tr", {}, ...titles.map((title) => make("th", {scope: "col", text: title})))),
    make(
      "tbody", {},
      ...lines.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {text: cell}))))));
  $("curves-table-body")
    .replaceChildren(
      table("Attempts", head, body), make("h3", {text: "Evaluations, newest first"}),
      evaluations.length > 0 ? table("Evaluations", ["at", "metrics"], evaluations)
                             : make("p", {class: "empty", text: "None yet"}));
}
