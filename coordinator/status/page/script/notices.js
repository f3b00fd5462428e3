// What needs attention, above all else on the page.

function rank_notices(status, notices) {
  const ranks = status.ranks;
  if (!ranks || !status.alive || status.state === "starting")
    return;  // while they join some are not heard yet
  if (ranks.heard < ranks.total)
    notices.push({
      tone: "warn",
      title: `${plural(ranks.total - ranks.heard, "rank")} not heard.`,
      body: `${integer(ranks.heard)} of ${integer(ranks.total)} report.`,
      link: "#ranks-title",
      label: "Ranks"
    });
  const silent = list(ranks.slowest).filter((rank) => rank.silent_seconds >= 15);
  if (silent.length > 0) {
    const worst = silent.reduce((a, b) => (b.silent_seconds > a.silent_seconds ? b : a));
    notices.push({
      tone: "warn",
      title: `${
        silent.length === 1 ? `Rank ${worst.rank} is`
                            : `${integer(silent.length)} ranks are`} silent.`,
      body: `Longest: rank ${worst.rank} (${worst.host}), phase ${worst.phase}.`,
      link: "#ranks-title",
      label: "Ranks"
    });
  }
}

function collect_notices(status) {
  const notices = [];
  if (status.store_error !== null && status.store_error !== undefined)
    notices.push({
      tone: "bad",
      title: "The store can't be read now.",
      body: "What comes from its files is shown as it was before.",
      pre: String(status.store_error)
    });
  const end = end_notice(status);
  if (end) notices.push(end);
  if (
    status.alive && is_number(status.deadline_seconds) && is_number(status.eta_seconds) &&
    status.deadline_seconds < status.eta_seconds) {
    notices.push({
      tone: "warn",
      title: "The deadline comes first.",
      body:
        "At this rate the job saves and is preempted before its last iteration; launched again " +
        "it carries on."
    });
  }
  rank_notices(status, notices);
  const saves = status.saves;
  if (saves && saves.failed > 0)
    notices.push({
      tone: "warn",
      title: `${plural(saves.failed, "save")} failed.`,
      body: "Training goes on; the older checkpoints are untouched.",
      link: "#saves-title",
      label: "Saves"
    });
  const newest = status.checkpoint;
  if (newest && newest.state !== "good")
    notices.push({
      tone: "bad",
      title: `The newest checkpoint ${name_of(newest)} is ${newest.state}.`,
      body: "latest passes over it, to an older one.",
      link: "#lineage-title",
      label: "Lineage"
    });
  if (
    newest && is_number(status.free_bytes) && newest.bytes > 0 &&
    status.free_bytes < 3 * newest.bytes) {
    notices.push({
      tone: "bad",
      title: "Little free space.",
      body: `Room for ${plural(Math.floor(status.free_bytes / newest.bytes), "more checkpoint")}.`
    });
  }
  const damaged = list(status.damaged);
  if (damaged.length > 0)
    notices.push({
      tone: "warn",
      title: `${plural(damaged.length, "damaged record")}.`,
      body: String(damaged[0].file),
      link: "#damage-title",
      label: "All of them"
    });
  for (const feed of feeds) {
    if (feed.error)
      notices.push({tone: "warn", title: `No answer for ${feed.name}.`, body: feed.error});
  }
  return notices;
}

function lost_notice() {
  const status = known.status;
  if (status && status.source === "job" && !status.alive)
    return {
      tone: "idle",
      title: "The job has ended, and its server with it.",
      body: "This is its last word; lockstep ui shows the store from here on."
    };
  let body = "Nothing has been received so far.";
  if (status) {
    const then = local_time(parse_time(status.time) ?? new Date());
    body = `Shown is what was known at ${then}; it may have changed since.`;
    if (status.source === "job")
      body += " The job may have ended: lockstep status and lockstep ui tell, from its store.";
  }
  const title = known.stalled ? "Old data: the server's answers stand still."
                              : "Connection lost, trying again.";
  return {tone: "bad", title, body};
}

let shown_notices = "";
function show_notices() {
  const notices = known.status ? collect_notices(known.status) : [];
  if (document.body.dataset.connection === "lost") notices.unshift(lost_notice());
  const signature = JSON.stringify(notices);
  if (signature === shown_notices) return;
  shown_notices = signature;
  const focused = $("notices").contains(document.activeElement)
    ? document.activeElement.getAttribute("href")
    : null;
  $("notices").replaceChildren(...notices.map(
    ({tone, title, body, pre, link, label}) => make(
      "div", {class: `notice ${tone}`}, make("strong", {text: title}), " ",
      make("span", {text: body ?? ""}), link ? make("span", {text: " "}) : null,
      link ? make("a", {href: link, text: label}) : null,
      pre ? make("pre", {text: pre, tabindex: "0"}) : null)));
  if (focused) $("notices").querySelector(`a[href="${focused}"]`)?.focus({preventScroll: true});
}
