// The slowest ranks.

const ranks_order = {
  chosen: storage.get("ranks_order")
};

function rank_row() {
  return make(
    "tr", {}, make("th", {scope: "row"}, make("span"), make("small")), make("td"),
    make(
      "td", {},
      make(
        "div", {class: "work-cell"},
        make(
          "div", {class: "work-bar", "aria-hidden": "true"}, make("div", {class: "base"}),
          make("div", {class: "over"})),
        make("span"))),
    make("td", {class: "number"}), make("td", {class: "number"}));
}

function show_ranks(status) {
  const ranks = status.ranks;
  $("ranks-part").hidden = ranks === null;
  $("ranks-tools").hidden = ranks === null;
  $("ranks-empty").hidden = ranks !== null;
  if (ranks === null) {
    text(
      $("ranks-empty"),
      status.source === "files"
        ? "Ranks are shown by the job's own status server (control.listen), not from the " +
          "store's files."
        : "No rank heard yet");
    return;
  }
  const given = list(ranks.slowest).slice(0, 64).map((rank, index) => ({rank, index}));
  const order = ranks_order.chosen ?? (ranks.total <= 16 ? "rank" : "slowest");
  if ($("ranks-order").value !== order && document.activeElement !== $("ranks-order"))
    $("ranks-order").value = order;
  if (order === "rank") given.sort((a, b) => a.rank.rank - b.rank.rank);
  text(
    $("ranks-shown"),
    given.length < ranks.heard ? `; shown: the ${integer(given.length)} slowest` : "");
  $("ranks-heard").className = ranks.heard < ranks.total ? "bad-text" : "";
  const scale = given.reduce(
    (most, {rank}) => Math.max(most, rank.work_seconds ?? 0), ranks.median_work_seconds ?? 0);
  const lines = rows($("ranks-rows"), given.length, rank_row);
  given.forEach(({rank, index}, row) => {
    const [head, phase, work, lag, silent] = lines[row].children;
    const field = `ranks.slowest.${index}`;
    set_cell(head.firstChild, `${field}.rank`, rank.rank, "text");
    set_cell(head.lastChild, `${field}.host`, rank.host, "text");
    head.lastChild.title = String(rank.host ?? "");
    set_cell(phase, `${field}.phase`, rank.phase, "text");
    const [bar, amount] = work.firstChild.children;
    set_cell(amount, `${field}.work_seconds`, rank.work_seconds, "seconds");
    const over = clamp(rank.lag_seconds ?? 0, 0, rank.work_seconds ?? 0);
    bar.firstChild.style.width =
      scale > 0 ? `${(((rank.work_seconds ?? 0) - over) / scale) * 100}%` : "0";
    bar.lastChild.style.width = scale > 0 ? `${(over / scale) * 100}%` : "0";
    set_cell(lag, `${field}.lag_seconds`, rank.lag_seconds, "seconds");
    set_cell(silent, `${field}.silent_seconds`, rank.silent_seconds, "seconds");
    silent.className = rank.silent_seconds >= 15 ? "number bad-text" : "number";
  });
}
