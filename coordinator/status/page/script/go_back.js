// The dialog with the line for the YAML that goes back to a checkpoint.

function is_asked_already(checkpoint) {
  const request = own(known.decision, "request");
  return request !== null && own(request, "iteration") === checkpoint.iteration &&
    own(request, "attempt") === checkpoint.attempt && own(request, "once") !== false;
}

function back_advice(checkpoint) {
  if (checkpoint.state === "damaged")
    return "It is damaged, and what is damaged is never restored.";
  if (checkpoint.state === "not finite")
    return "Its tensors hold NaN or Inf: restored only when it is named, and hardly worth it.";
  if (checkpoint.state === "abandoned")
    return "It is not in the newest lineage: only its name leads there.";
  if (name_of(checkpoint) === known.lineage?.latest) return "restore: latest takes this one too.";
  return "";
}

// found: as what it was asked for, where that is not its name.
function open_back(checkpoint, found = "") {
  const name = name_of(checkpoint);
  text($("back-title"), `Go back to ${name}`);
  const fact = (title, value, wide = false) =>
    (value === null || value === ""
       ? null
       : make(
           "div", {class: wide ? "long" : ""}, make("dt", {text: title}),
           typeof value === "string" ? make("dd", {text: value}) : value));
  $("back-facts")
    .replaceChildren(
      ...
        [fact("found as", found, true), fact("state", String(checkpoint.state)),
         fact("eligible for latest", checkpoint.eligible ? "yes" : "no"),
         fact("kept as", kept_as(checkpoint)),
         fact("written", age_element("dd", checkpoint.created, "")),
         fact("size", or_unknown(checkpoint.bytes, bytes)),
         fact("ranks", checkpoint.world_size === null ? null : String(checkpoint.world_size)),
         fact("metrics", metrics_text(checkpoint.metrics)),
         fact("damage", checkpoint.why ? String(checkpoint.why) : null)]
          .filter(Boolean));
  const advice = back_advice(checkpoint);
  text($("back-advice"), advice);
  $("back-advice").hidden = advice === "";
  $("back-part").hidden = checkpoint.state === "damaged";
  text($("back-line"), `restore: ${name}`);
  text(
    $("back-once"),
    is_asked_already(checkpoint)
      ? "The newest attempt was asked for just this already. Within the same run the same line " +
        "is not applied twice: for that give the run another run.id, or write restore: " +
        `{attempt: ${checkpoint.attempt}, iteration: ${checkpoint.iteration}, once: false}.`
      : "A changed restore section is a new request, applied once: run.id and restore.once " +
        "need no change.");
  text(
    $("back-then"),
    known.status?.alive ? "Then stop the job and launch it again." : "Then launch it again.");
  if (!$("back").open) $("back").showModal();
}
