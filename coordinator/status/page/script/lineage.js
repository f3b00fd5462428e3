// Attempts and checkpoints, from /api/lineage.

// Whether nothing tells any more where an attempt began: "?" is what `lockstep ls` has for it too.
// One without damage has not decided yet, or never came so far.
const parent_unknown = (attempt) => attempt.origin === "?" && list(attempt.damage).length > 0;

// Works the answer into what graph and list need, once for each answer.
function digest_lineage(answer) {
  const attempts = list(answer.attempts)
                     .filter((attempt) => is_number(attempt.attempt))
                     .sort((a, b) => b.attempt - a.attempt);
  const by_number = new Map(attempts.map((attempt) => [attempt.attempt, attempt]));
  const held = new Map(attempts.map((attempt) => [attempt.attempt, []]));
  const checkpoints = list(answer.checkpoints);
  for (const checkpoint of checkpoints) held.get(checkpoint.attempt)?.push(checkpoint);
  for (const checkpointed of held.values()) checkpointed.sort((a, b) => b.iteration - a.iteration);
  const started = new Map();  // "2@1500" -> attempts that began there
  const until = new Map();    // attempt -> where the newest lineage left it
  for (const attempt of attempts) {
    const parent = attempt.parent;
    if (!parent) continue;
    started.set(name_of(parent), [...(started.get(name_of(parent)) ?? []), attempt.attempt]);
    if (attempt.in_lineage && !until.has(parent.attempt))
      until.set(parent.attempt, parent.iteration);
  }
  const latest = checkpoints.find((checkpoint) => checkpoint.eligible);
  return {
    attempts,
    by_number,
    held,
    started,
    until,
    checkpoints,
    unknown: attempts.filter(parent_unknown).map(({attempt}) => attempt).reverse(),
    latest: latest ? name_of(latest) : null
  };
}

// The attempts whose parent is unknown, ascending.
const unknown_parents = () => known.lineage?.unknown ?? [];

function unknown_text(numbers) {
  if (numbers.length === 0) return "";
  return numbers.length === 1
    ? ` The parent of attempt ${numbers[0]} is unknown.`
    : ` The parents of attempts ${enumerate(numbers).join("")} are unknown.`;
}

function find_checkpoint(attempt, iteration) {
  return (known.lineage?.held.get(attempt) ?? [])
           .find((checkpoint) => checkpoint.iteration === iteration) ??
    null;
}

const kept_as =
  (checkpoint) => ["best", "pinned"].filter((mark) => checkpoint[mark] === true).join(", ");

async function show_lineage() {
  const lineage = known.lineage;
  const empty = !lineage || lineage.attempts.length === 0;
  $("lineage-empty").hidden = !empty;
  $("lineage-part").hidden = empty;
  $("find").hidden = empty;
  if (empty) return;
  const counts = counts_of(lineage.checkpoints);
  const cut =
    lineage.attempts.length > kMostLanes ? ` The graph shows the newest ${kMostLanes}.` : "";
  text(
    $("lineage-summary"),
    `${plural(lineage.attempts.length, "attempt")}, ${
      plural(lineage.checkpoints.length, "checkpoint")}${counts ? `: ${counts}` : ""}. ${
      lineage.latest ? `latest would take ${lineage.latest}.`
                     : "Nothing that latest could take."}${unknown_text(lineage.unknown)}${cut}`);
  $("unknown-key").hidden = lineage.unknown.length === 0;
  show_graph();
  await next_task();
  show_list();
}
