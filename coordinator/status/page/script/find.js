// The form that finds the checkpoint to go back to. It takes what `restore` takes, 1800 or 2@1800,
// looks where that looks, and answers in the words of `lockstep plan`.

// The checkpoints of an attempt's lineage, newest first: its own, those of its parent's attempt up
// to the parent, and so on back.
function lineage_of(number) {
  const found = [];
  let upto = {attempt: number, iteration: Infinity};
  while (upto) {
    const {attempt, iteration} = upto;
    const held = known.lineage.held.get(attempt) ?? [];
    found.push(held.filter((checkpoint) => checkpoint.iteration <= iteration));
    const parent = known.lineage.by_number.get(attempt)?.parent;
    upto = parent && parent.attempt < attempt ? parent : null;  // so that it ends
  }
  return found.flat();
}

// Those that count for anything but their number, newest first.
const counted_attempts = () =>
  known.lineage.attempts.filter(({outcome}) => outcome !== "refused").map(({attempt}) => attempt);

// Where an iteration is looked for: in the lineage of the attempt that is named, else of the newest
// whose lineage holds any.
function field_of(number) {
  for (const attempt of number === null ? counted_attempts() : [number]) {
    const checkpoints = lineage_of(attempt);
    if (checkpoints.length > 0 || number !== null) return {attempt, checkpoints};
  }
  return {attempt: null, checkpoints: []};
}

// A button that leads to a checkpoint, and what would keep `latest` from it.
function offer(checkpoint, label) {
  const name = name_of(checkpoint);
  const but = checkpoint.state === "good" ? "" : String(checkpoint.state);
  return [
    make("button", {
      type: "button",
      class: "link",
      "aria-label": `Go back to ${name}${but ? `, ${but}` : ""}`,
      data: {back: name},
      text: label
    }),
    but ? ` (${plain(but)})` : ""
  ];
}

function missing_attempt(number) {
  const there = counted_attempts();
  return [
    `attempt ${number} ${
      known.lineage.by_number.has(number) ? "was refused and holds nothing" : "does not exist"}; `,
    ...(there.length > 0 ? ["there is ", ...enumerate(there)] : ["the store has no attempt"])
  ];
}

function missing_iteration(wanted, {attempt, checkpoints}) {
  const answer = [`iteration ${wanted} is not in ${
    attempt === null ? "the store" : `attempt ${attempt}'s lineage`}`];
  const elsewhere = known.lineage.checkpoints.filter(({iteration}) => iteration === wanted);
  if (elsewhere.length > 0)
    answer.push(
      "; it exists as ",
      ...enumerate(elsewhere, (checkpoint) => offer(checkpoint, name_of(checkpoint))));
  // From those that are the same way off the newest first: sort() keeps the order.
  const distance = ({iteration}) => Math.abs(iteration - wanted);
  const near = checkpoints.slice().sort((a, b) => distance(a) - distance(b));
  if (near.length === 0) return [...answer, "; there is none"];
  return [
    ...answer, "; there is, nearest first: ",
    ...enumerate(near, (checkpoint) => offer(checkpoint, String(checkpoint.iteration)))
  ];
}

function find(event) {
  event.preventDefault();
  const answer = $("find-answer");
  const typed = /^\s*(?:(\d{1,15})@)?(\d{1,15})\s*$/.exec($("find-text").value);
  if (!typed) return text(answer, "write it as 1800 or 2@1800");
  const number = typed[1] === undefined ? null : Number(typed[1]);
  const wanted = Number(typed[2]);
  if (number !== null && !counted_attempts().includes(number))
    return answer.replaceChildren(...missing_attempt(number));
  const field = field_of(number);
  const found = field.checkpoints.find(({iteration}) => iteration === wanted);
  if (!found) return answer.replaceChildren(...missing_iteration(wanted, field));
  text(answer, "");
  return open_back(
    found,
    found.attempt === number ? "" : `iteration ${wanted} of attempt ${field.attempt}'s lineage`);
}

function back_to(name) {
  const [attempt, iteration] = name.split("@").map(Number);
  const checkpoint = find_checkpoint(attempt, iteration);
  if (checkpoint) open_back(checkpoint);
  else text($("find-answer"), `${name} is not there any more`);
}
