// States of an attempt, and what its end means.

const kTone = {
  starting: "live",
  running: "live",
  ending: "live",
  finished: "good",
  preempted: "warn",
  stopped: "warn",
  superseded: "warn",
  failed: "bad",
  refused: "bad",
  crashed: "bad",
  lost: "bad",
  none: "idle",
};

const kExit = new Map([
  [0, "finished"],
  [2, "permanent: the same launch would end the same way; change what the error names first"],
  [3, "state unknown or store out of reach: launch it again, a few times"],
  [75, "preempted: launch it again to carry on"],
  [76, "a rank hung or was cut off: launch it again, a few times"],
  [77, "stopped on request; launched again it carries on"],
]);

const tone_of = (status) => own(kTone, status.state) ?? "idle";

function exit_meaning(code) {
  if (!is_number(code)) return "";
  return `Exit code ${code}: ${
    kExit.get(code) ?? "a rank was killed, or the launcher failed: launch it again, a few times"}.`;
}

function end_notice(status) {
  const tone = tone_of(status);
  const title = own(
    {
      finished: "Finished.",
      preempted: "Preempted.",
      stopped: "Stopped on request.",
      superseded: "Superseded by a newer attempt.",
      failed: "Failed.",
      refused: "Refused to start.",
      crashed: "Crashed.",
      lost: "Lost.",
    },
    status.state);
  if (status.state === "none") {
    return {
      tone: "idle",
      title: "No attempt yet.",
      body: "Nothing was launched on this store so far. The page fills itself when a job begins."
    };
  }
  if (!title)
    return status.error ? {
      tone: "bad",
      title: "Error.",
      body: exit_meaning(status.exit_code),
      pre: String(status.error)
    }
                        : null;
  if (status.state === "finished") {
    const where = is_number(status.iteration) ? `, at iteration ${integer(status.iteration)}` : "";
    return {
      tone,
      title,
      body: is_number(status.exit_code) ? `Exit code ${status.exit_code}${where}.` : "",
      pre: status.error
    };
  }
  const parts =
    [status.state === "superseded" ? "A newer attempt has taken over the store."
                                   : exit_meaning(status.exit_code)];
  if (status.state === "crashed")
    parts.push(
      "It ended without a last word: killed perhaps, out of memory, or with its host. " +
      "Launch it again to carry on; where that crashes too, read its log first.");
  if (status.state === "lost")
    parts.push("Its heartbeat stands still: killed perhaps, suspended, or cut off from the store.");
  if (is_number(status.iteration))
    parts.push(`Last seen at iteration ${integer(status.iteration)}${
      status.phase ? `, phase ${status.phase}` : ""}.`);
  if (is_number(status.last_committed_iteration)) {
    const behind =
      is_number(status.iteration) ? status.iteration - status.last_committed_iteration : 0;
    parts.push(`Saved to ${status.last_committed ?? integer(status.last_committed_iteration)}${
      behind > 0 ? `; ${plural(behind, "iteration")} behind it not saved` : ""}.`);
  }
  return {
    tone,
    title,
    body: parts.filter(Boolean).join(" "),
    pre: status.error === null ? null : String(status.error)
  };
}
