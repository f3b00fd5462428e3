// The head of the page: progress, figures, clocks.

function fraction(status) {
  if (
    !is_number(status.iteration) || !is_number(status.final_iteration) ||
    status.final_iteration <= 0)
    return null;
  return clamp(status.iteration / status.final_iteration, 0, 1);
}

function place(element, share, property) {
  element.hidden = share === null;
  if (share !== null) element.style[property] = `${clamp(share, 0, 1) * 100}%`;
}

function show_progress(status) {
  const {
    iteration,
    final_iteration: final,
    start_iteration: start,
    last_committed_iteration: committed,
    next_save: next
  } = status;
  const done = fraction(status);
  const share = (value) =>
    (is_number(value) && is_number(final) && final > 0 ? value / final : null);
  text($("percent"), done === null ? "" : `${(Math.floor(done * 1000) / 10).toFixed(1)} %`);
  const track = $("track");
  track.hidden = done === null;
  if (done !== null) {
    track.setAttribute("aria-valuemax", String(final));
    track.setAttribute("aria-valuenow", String(iteration));
    track.setAttribute("aria-valuetext", `${integer(iteration)} of ${integer(final)} iterations`);
  }
  const durable = committed ?? start ?? 0;  // before its first save: where it began
  const saved = is_number(iteration) ? Math.min(durable, iteration) : durable;
  place($("track-durable"), share(saved), "width");
  place($("track-unsaved"), done, "width");
  $("track-durable").style.zIndex = "1";
  place($("track-start"), start > 0 ? share(start) : null, "left");
  place($("track-next"), share(next), "left");
  $("track-key").hidden = !is_number(iteration) && !is_number(committed);
  text($("unsaved"), or_unknown(iteration, () => integer(Math.max(0, iteration - saved))));
  $("unsaved-key").hidden = !status.alive && saved === iteration;
  text($("unsaved-noun"), status.alive ? "not saved yet" : "not saved");
  $("rates").hidden = !status.alive;  // of a job that is gone they would be of then
  $("next-save").hidden = !status.alive;
  $("saved-key").hidden = !is_number(committed);
  $("start-key").hidden = !is_number(start);
  $("lost-key").hidden = !(status.lost_iterations > 0);
  $("headline").hidden = !is_number(iteration) && !is_number(final);
  $("tiles").hidden = status.state === "none" && status.checkpoints === 0;
}

function show_figures(status) {
  for (const element of document.querySelectorAll(".if-known")) {
    element.hidden =
      (element.matches("[data-field]") ? element : element.querySelector("[data-field]"))
        .dataset.value === "null";
  }
  $("attempt-title").hidden = status.attempt === null;
  $("run").hidden = status.run === null;
  $("phase-part").hidden = status.phase === null;
  $("state-text").hidden = status.state_text === status.state || !status.state_text;
  const evaluation = status.evaluation;
  $("evaluation-at").hidden = evaluation === null;
  const metrics = Object.entries(own(evaluation, "metrics") ?? {}).slice(0, 12);
  const cells = rows(
    $("evaluation"), Math.max(1, metrics.length),
    () => make("span", {}, make("small"), make("span")));
  if (metrics.length === 0) {
    text(cells[0].firstChild, "");
    delete cells[0].lastChild.dataset.field;
    text(cells[0].lastChild, kUnknown);
  }
  metrics.forEach(([name, value], index) => {
    text(cells[index].firstChild, label_of(name));
    set_cell(cells[index].lastChild, `evaluation.metrics.${name}`, value, "number");
  });
  const newest = status.checkpoint;
  text($("newest-checkpoint"), newest ? `newest ${name_of(newest)} ${newest.state}` : "");
  $("newest-checkpoint").className = newest && newest.state !== "good" ? "bad-text" : "";
  $("newest-line").parentElement.hidden = newest === null;
  text(
    $("room"),
    newest && is_number(status.free_bytes) && newest.bytes > 0
      ? `room for ${integer(Math.floor(status.free_bytes / newest.bytes))} more`
      : "");
  text($("abandoned-noun"), status.abandoned_checkpoints === 1 ? "checkpoint" : "checkpoints");
  text(
    $("commands-note"),
    status.alive ? "For a shell on any host that sees the store."
                 : "No job is at work: save and stop have nobody to ask.");
}

function show_clocks(status) {
  const rate = status.iterations_per_second;
  const eta = status.eta_seconds;
  text(
    $("eta-clock"),
    is_number(eta) && status.alive
      ? `about ${
          local_time(new Date(Date.now() + Math.max(0, eta - counted()) * 1000)).slice(0, -3)}`
      : "");
  const ahead = status.next_save - status.iteration;
  const comes = status.alive && is_number(status.next_save) && is_number(status.iteration) &&
    rate > 0 && ahead >= 0;
  const saving = at(status, ["saves", "under_way"]);
  const earlier = is_number(status.save_minutes)
    ? `, or ${duration(60 * status.save_minutes)} after the last`
    : "";
  text(
    $("next-save-in"),
    is_number(saving) ? `${integer(saving)} is being saved`
      : comes && ahead === 0 ? "due now"
      : comes ? `in about ${duration(Math.max(0, ahead / rate - counted()))}${earlier}`
              : "");
  const started = parse_time(status.started);
  text($("started-age"), started ? age(age_of(started)) : "");
  for (const element of document.querySelectorAll("[data-since]")) {
    text(element, age((server_now() - Number(element.dataset.since)) / 1000));
  }
}
