// Where an iteration's time goes.

const kParts = ["compute", "communication", "optimizer", "data", "save", "evaluation", "other"];

function show_split(status) {
  const spent = status.spent;
  $("split-empty").hidden = spent !== null;
  $("split-part").hidden = spent === null;
  if (spent === null) return;
  const bars = rows($("split-bar"), kParts.length, () => make("div"));
  const lines = rows(
    $("split-table").tBodies[0], kParts.length,
    () => make(
      "tr", {},
      make("th", {scope: "row"}, make("i", {class: "swatch", "aria-hidden": "true"}), make("span")),
      make("td", {class: "number"}), make("td", {class: "number muted"})));
  kParts.forEach((part, index) => {
    const share = own(spent, part);
    const size = is_number(share) ? Math.max(0, share) : 0;
    bars[index].className = `part-${part}`;
    bars[index].style.flex = `${size} 0 0px`;
    bars[index].hidden = size === 0;
    const [head, cell, time] = lines[index].children;
    head.firstChild.className = `swatch part-${part}`;
    text(head.lastChild, part);
    set_cell(cell, `spent.${part}`, share, "number");
    text(cell, is_number(share) ? `${(share * 100).toFixed(1)} %` : kUnknown);
    text(
      time,
      is_number(share) && status.iterations_per_second > 0
        ? seconds(share / status.iterations_per_second)
        : "");
  });
}
