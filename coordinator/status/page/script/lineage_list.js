// The lineage as a list: attempts, newest first, with their checkpoints. A list may be of 10,000
// and more, so what is alike is folded, and the rest comes a page at a time.

const kShow = {
  all: () => true,
  lineage: (checkpoint) => checkpoint.state !== "abandoned",
  attention: (checkpoint) => checkpoint.state === "damaged" || checkpoint.state === "not finite",
  kept: (checkpoint) => checkpoint.best || checkpoint.pinned,
};

const kPage = 100;
const kAttemptPage = 20;
const listed = {
  nodes: new Map(),
  open: new Map(),
  open_folds: new Set(),
  attempts: kAttemptPage
};

const is_plain = (checkpoint, lineage) =>
  (checkpoint.state === "good" || checkpoint.state === "abandoned") && !checkpoint.best &&
  !checkpoint.pinned && name_of(checkpoint) !== lineage.latest &&
  !lineage.started.has(name_of(checkpoint));

// Neighbours of one kind with nothing special about them become one item.
function fold(checkpoints, lineage) {
  const items = [];
  for (const checkpoint of checkpoints) {
    const kind = is_plain(checkpoint, lineage)
      ? `${checkpoint.state}${checkpoint.eligible ? ", eligible" : ""}`
      : null;
    const last = items[items.length - 1];
    if (kind !== null && last && last.kind === kind) last.checkpoints.push(checkpoint);
    else items.push({kind, checkpoints: [checkpoint]});
  }
  return items.flatMap(
    (item) =>
      (item.checkpoints.length < 3
         ? item.checkpoints.map((checkpoint) => ({kind: null, checkpoints: [checkpoint]}))
         : [item]));
}

const kStateClass = {
  good: "good",
  damaged: "bad",
  "not finite": "warn",
  abandoned: "dim"
};

function tags_of(checkpoint, lineage) {
  const tags = [make("span", {
    class: `tag ${own(kStateClass, checkpoint.state) ?? "plain"}`,
    text: String(checkpoint.state)
  })];
  if (name_of(checkpoint) === lineage.latest)
    tags.push(make("span", {class: "tag plain", text: "latest"}));
  else if (checkpoint.eligible) tags.push(make("span", {class: "tag dim", text: "eligible"}));
  if (checkpoint.best) tags.push(make("span", {class: "tag plain", text: "best"}));
  if (checkpoint.pinned) tags.push(make("span", {class: "tag plain", text: "pinned"}));
  const started = lineage.started.get(name_of(checkpoint));
  if (started)
    tags.push(make("span", {
      class: "tag dim",
      text: `began ${
        started.length > 4 ? plural(started.length, "attempt")
                           : `attempt ${started.slice().reverse().join(", ")}`}`
    }));
  return tags;
}

function checkpoint_row(checkpoint, lineage) {
  const name = name_of(checkpoint);
  return make(
    "li", {class: "checkpoint"}, make("span", {class: "name id", text: name}),
    make("span", {class: "tags"}, ...tags_of(checkpoint, lineage)),
    make("span", {class: "metrics", text: metrics_text(checkpoint.metrics)}),
    make(
      "span",
      {class: "size", title: String(checkpoint.bytes), text: or_unknown(checkpoint.bytes, bytes)}),
    age_element("span", checkpoint.created, "age"), make("button", {
      type: "button",
      "aria-label": `Go back to ${name}`,
      data: {back: name, key: `back ${name}`},
      text: "Go back"
    }),
    checkpoint.why ? make("span", {class: "why", text: String(checkpoint.why)}) : null);
}

// Appends items a page at a time; the rest behind a button.
function append_paged(parent, items, build) {
  let next = 0;
  const button = make("button", {type: "button", class: "quiet"});
  const more = make("li", {}, button);
  const page = () => {
    more.remove();
    const end = Math.min(items.length, next + kPage);
    const first = items.slice(next, end).map(build);
    parent.append(...first);
    next = end;
    if (next < items.length) {
      text(
        button,
        `${integer(Math.min(kPage, items.length - next))} more of ${integer(items.length - next)}`);
      parent.append(more);
    }
    return first[0];
  };
  button.addEventListener("click", () => {
    page()?.querySelector("button, summary")?.focus();
  });
  page();
}

function fold_item(item, lineage) {
  const {kind, checkpoints} = item;
  if (kind === null) return checkpoint_row(checkpoints[0], lineage);
  const first = checkpoints[0], last = checkpoints[checkpoints.length - 1];
  const size = checkpoints.reduce((sum, checkpoint) => sum + (checkpoint.bytes ?? 0), 0);
  const key = `fold ${name_of(last)}`;
  const box = make(
    "details", {class: "fold"},
    make(
      "summary", {data: {key}},
      make("span", {class: "id", text: `${name_of(first)} … ${name_of(last)}`}),
      make("span", {text: `: ${integer(checkpoints.length)} ${kind}`}),
      make("span", {class: "muted", text: `, ${bytes(size)}`})));
  const fill = () => {
    if (box.open && box.children.length === 1) {
      const inner = make("ul");
      append_paged(inner, checkpoints, (checkpoint) => checkpoint_row(checkpoint, lineage));
      box.append(inner);
    }
    if (box.open) listed.open_folds.add(key);
    else listed.open_folds.delete(key);
  };
  if (listed.open_folds.has(key)) {
    box.open = true;
    fill();
  }
  box.addEventListener("toggle", fill);
  return make("li", {}, box);
}

function counts_of(checkpoints) {
  const counts = new Map();
  for (const checkpoint of checkpoints)
    counts.set(checkpoint.state, (counts.get(checkpoint.state) ?? 0) + 1);
  return [...counts].map(([state, count]) => `${integer(count)} ${state}`).join(", ");
}

function attempt_node(attempt, checkpoints, lineage, opened) {
  const key = `attempt ${attempt.attempt}`;
  const state = String(attempt.state);
  const tone = own({good: "good", bad: "bad", warn: "warn"}, own(kTone, state) ?? "") ?? "dim";
  const began = ["-", "?"].includes(attempt.origin)
    ? null
    : make("span", {class: "muted"}, "from ", make("span", {class: "id", text: attempt.origin}));
  const node = make(
    "details", {class: attempt.in_lineage ? "" : "outside"},
    make(
      "summary", {data: {key}}, make("strong", {text: `attempt ${attempt.attempt}`}),
      attempt.run === null ? null : make("span", {text: String(attempt.run)}),
      parent_unknown(attempt) ? make("span", {class: "warn-text", text: "parent unknown"}) : began,
      make("span", {class: `tag ${tone}`, text: state}),
      attempt.in_lineage ? null : make("span", {class: "muted", text: "not in the newest lineage"}),
      make("span", {
        class: "counts",
        text: checkpoints.length > 0 ? counts_of(checkpoints) : "no checkpoint"
      })));
  const fill = () => {
    if (!node.open || node.children.length > 1) return;
    for (const damage of list(attempt.damage).slice(0, 20))
      node.append(make("p", {class: "bad-text small", text: String(damage)}));
    const items = make("ul");
    append_paged(items, fold(checkpoints, lineage), (item) => fold_item(item, lineage));
    node.append(items);
  };
  node.open = opened;
  fill();
  node.addEventListener("toggle", () => {
    listed.open.set(attempt.attempt, node.open);
    fill();
  });
  return node;
}

// The attempts to begin with that are open: the newest of the lineage that hold something.
function opened_at_first(shown, narrow) {
  const holding =
    shown.filter(({attempt, checkpoints}) => attempt.in_lineage && checkpoints.length > 0);
  return new Set(
    (narrow ? shown.slice(0, 20) : holding.slice(0, 2)).map(({attempt}) => attempt.attempt));
}

function show_list() {
  const lineage = known.lineage;
  const choice = $("lineage-show").value;
  const keep = kShow[choice];
  const all =
    lineage.attempts
      .map((attempt) => ({attempt, checkpoints: lineage.held.get(attempt.attempt).filter(keep)}))
      .filter(
        ({attempt, checkpoints}) => choice === "all" || checkpoints.length > 0 ||
          (choice === "lineage" && attempt.in_lineage));
  const shown = all.slice(0, listed.attempts);
  const first = opened_at_first(shown, choice === "attention" || choice === "kept");
  const focused = document.activeElement?.dataset?.key;
  const nodes = new Map();
  for (const {attempt, checkpoints} of shown) {
    const marks = checkpoints
                    .map(
                      (c) => `${c.iteration}${c.state}${c.eligible}${c.best}${c.pinned}${
                        c.why ?? ""}${lineage.started.get(name_of(c)) ?? ""}`)
                    .join(";");
    const signature = `${choice}|${JSON.stringify(attempt)}|${marks}|${
      lineage.latest && lineage.latest.startsWith(`${attempt.attempt}@`) ? lineage.latest : ""}`;
    const old = listed.nodes.get(attempt.attempt);
    const opened = listed.open.get(attempt.attempt) ?? first.has(attempt.attempt);
    nodes.set(attempt.attempt, old && old.signature === signature ? old : {
      signature,
      node: attempt_node(attempt, checkpoints, lineage, opened)
    });
  }
  listed.nodes = nodes;
  const wanted = [...nodes.values()].map(({node}) => node);
  const box = $("lineage-list");
  if (
    wanted.length !== box.children.length ||
    wanted.some((node, index) => box.children[index] !== node)) {
    box.replaceChildren(
      ...(wanted.length > 0 ? wanted : [make("p", {class: "empty", text: "None"})]));
    if (focused && document.activeElement?.dataset?.key !== focused)
      box.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({preventScroll: true});
  }
  const more = all.length - shown.length;
  $("more-attempts").hidden = more === 0;
  text(
    $("more-attempts"),
    `${plural(Math.min(more, kAttemptPage), "more attempt")} of ${integer(more)}`);
}
