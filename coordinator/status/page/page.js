// The dashboard. One status a second comes by /events, or by polling /status where that breaks; the
// three large answers are fetched when their revision changes. All data is untrusted: it reaches
// the page by textContent and canvas alone. Addresses are relative, so that the page also works
// below a proxy's prefix.
"use strict";
(() => {
  // ---- small helpers

  const $ = (id) => document.getElementById(id);
  const own = (object, key) =>
    (object !== null && typeof object === "object" && Object.hasOwn(object, key) ? object[key]
                                                                                 : null);
  const list = (value) => (Array.isArray(value) ? value : []);
  const is_number = (value) => typeof value === "number" && Number.isFinite(value);
  const at = (object, path) => path.reduce((value, key) => own(value, key), object);
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
  const name_of = (point) => (point ? `${point.attempt}@${point.iteration}` : "");
  const plural = (count, noun) => `${integer(count)} ${noun}${count === 1 ? "" : "s"}`;
  const next_task = () => new Promise((done) => setTimeout(done, 0));

  // Control characters and those that turn the direction of writing are shown as such, not obeyed.
  const kHidden =
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
  const plain = (value) =>
    value.replace(kHidden, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`);

  function text(element, value) {
    const shown = plain(value);
    if (element.textContent !== shown) element.textContent = shown;
  }

  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (key === "text") element.textContent = plain(String(value));
      else if (key === "class") element.className = value;
      else if (key === "data") Object.assign(element.dataset, value);
      else element.setAttribute(key, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  }

  const storage = {
    get(key) {
      try {
        return localStorage.getItem(`lockstep.${key}`);
      } catch {
        return null;
      }
    },
    set(key, value) {
      try {
        localStorage.setItem(`lockstep.${key}`, value);
      } catch { /* not everywhere allowed */
      }
    },
  };

  // ---- numbers, sizes and times for people

  const kUnknown = "–";
  const grouped = new Intl.NumberFormat("en-US", {maximumFractionDigits: 0});
  const integer = (value) => grouped.format(value);

  function number(value) {
    const size = Math.abs(value);
    if (value === 0) return "0";
    if (size >= 1e6 || size < 1e-4)
      return value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e");
    if (size >= 1000)
      return value.toLocaleString("en-US", {maximumFractionDigits: size >= 10000 ? 0 : 1});
    return value.toPrecision(4).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
  }

  function bytes(value) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let unit = 0;
    while (Math.abs(value) >= 1023.95 && unit < units.length - 1) {
      value /= 1024;
      unit += 1;
    }
    return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
  }

  function seconds(value) {
    const size = Math.abs(value);
    if (size === 0) return "0 s";
    if (size < 1e-3) return `${number(value * 1e6)} µs`;
    if (size < 1) return `${(value * 1e3).toPrecision(3).replace(/\.0+$/, "")} ms`;
    if (size < 10) return `${value.toFixed(2)} s`;
    if (size < 60) return `${value.toFixed(1)} s`;
    return duration(value);
  }

  function duration(value) {
    const whole = Math.max(0, Math.floor(value));
    if (whole < 60) return `${whole} s`;
    if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
    if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor(whole / 60) % 60} min`;
    return `${Math.floor(whole / 86400)} d ${Math.floor(whole / 3600) % 24} h`;
  }

  // An age: the two largest units, without seconds beyond a minute.
  function age(value) {
    const whole = Math.max(0, Math.floor(value));
    return `${whole >= 60 && whole < 3600 ? `${Math.floor(whole / 60)} min` : duration(whole)} ago`;
  }

  const two = (value) => String(value).padStart(2, "0");
  const clock = (date) =>
    `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  const day = (date) => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const utc = (date) => `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;

  function parse_time(value) {
    const date = typeof value === "string" ? new Date(value)
      : is_number(value)                   ? new Date(value * 1000)
                                           : null;
    return date && Number.isFinite(date.getTime()) ? date : null;
  }

  function local_time(date) {
    return day(date) === day(new Date()) ? clock(date) : `${day(date)} ${clock(date)}`;
  }

  // ---- what is known

  const known = {
    status: null,  // the newest /status
    received: 0,   // when it came, performance.now()
    fresh: 0,      // when its `time` last moved on
    offset: 0,     // the server's clock less ours, ms
    way: null,     // "live" or "polling"
    lineage: null,
    decision: null,
    curves: null,
  };

  const elapsed = () => (performance.now() - known.received) / 1000;
  // What is left of a job's work is not counted down while nobody says that it goes on.
  const counted = () => (document.body.dataset.connection === "lost" ? 0 : elapsed());
  const server_now = () => Date.now() + known.offset;
  const age_of = (date) => (server_now() - date.getTime()) / 1000;

  // ---- fields bound to /status

  const formats = {
    text: (value) => String(value),
    plain: (value) => String(value),
    state: (value) => (value === "none" ? "no attempt" : String(value)),
    source: (value) =>
      (value === "job"       ? "the job"
         : value === "files" ? "the store's files"
                             : String(value)),
    yesno: (value) =>
      (value === true      ? "yes"
         : value === false ? "no"
                           : String(value)),
    integer,
    number,
    bytes,
    seconds,
    age: (value) => age(value + elapsed()),
    remaining: (value) => duration(value - counted()),
    countdown: (value) => (
      value - elapsed() <= -1 ? `${duration(elapsed() - value)} ago` : duration(value - elapsed())),
  };
  const numeric =
    new Set(["integer", "number", "bytes", "seconds", "age", "remaining", "countdown"]);
  const live = new Set(["age", "remaining", "countdown"]);

  const encode = (value) => (typeof value === "string" ? value : JSON.stringify(value));

  function show(element, value, format) {
    const exact = encode(value);
    const same = element.dataset.value === exact;
    element.dataset.value = exact;
    if (value === null) {
      element.removeAttribute("title");
      return text(element, kUnknown);
    }
    if (format === "time" || format === "epoch") {
      const date = parse_time(value);
      if (!date) return text(element, String(value));
      text(element, local_time(date));
      element.title = utc(date);
      return undefined;
    }
    if (same && !live.has(format)) return undefined;
    if (numeric.has(format) && !is_number(value)) return text(element, String(value));
    if (format === "number" || format === "bytes" || format === "seconds") element.title = exact;
    return text(element, formats[format](value));
  }

  const fields = Array.from(
    document.querySelectorAll("[data-field]"),
    (element) =>
      ({element, path: element.dataset.field.split("."), format: element.dataset.format}));

  function show_fields(only_live) {
    for (const {element, path, format} of fields) {
      if (!only_live || live.has(format)) show(element, at(known.status, path), format);
    }
  }

  // A cell whose value stands under `field` in /status.
  function set_cell(element, field, value, format) {
    if (element.dataset.field !== field) element.dataset.field = field;
    show(element, value === undefined ? null : value, format);
  }

  // As many rows in `body` as asked for; each is made once and then reused.
  function rows(body, count, build) {
    while (body.children.length > count) body.lastElementChild.remove();
    while (body.children.length < count) body.append(build());
    return body.children;
  }

  // ---- state, notices, title

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
      kExit.get(code) ??
      "a rank was killed, or the launcher failed: launch it again, a few times"}.`;
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
      const where =
        is_number(status.iteration) ? `, at iteration ${integer(status.iteration)}` : "";
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
      parts.push(
        "Its heartbeat stands still: killed perhaps, suspended, or cut off from the store.");
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
    const connection = document.body.dataset.connection;
    if (connection === "lost") {
      notices.unshift(known.status && known.status.source === "job" && !known.status.alive
        ? {
          tone: "idle",
          title: "The job has ended, and its server with it.",
          body: "This is its last word; lockstep ui shows the store from here on."
        }
        : lost_notice());
    }
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

  const announced = {state: null, connection: null};
  function announce(status, connection) {
    const parts = [];
    if (
      status && status.state_text !== announced.state &&
      (status.state !== announced.name || status.state !== "running"))
      parts.push(String(status.state_text ?? status.state));
    if (
      connection !== announced.connection &&
      (connection === "lost" || announced.connection === "lost"))
      parts.push(connection === "lost" ? "connection lost" : "connected again");
    if (status) {
      announced.state = status.state_text;
      announced.name = status.state;
    }
    announced.connection = connection;
    if (parts.length > 0) text($("announce"), parts.join(", "));
  }

  const kIconColour =
    {live: "#2f7fd1", good: "#2c9a4b", warn: "#d39a2c", bad: "#d8434c", idle: "#8a949e"};
  function show_title(status) {
    const done = fraction(status);
    const parts = [
      done === null ? null : `${Math.floor(done * 100)} %`, status.run,
      status.state === "none" ? "no attempt" : status.state
    ];
    const title = `${document.body.dataset.connection === "lost" ? "? " : ""}${
      plain(parts.filter(Boolean).join(" ")).slice(0, 100)} – lockstep`;
    if (document.title !== title) document.title = title;
    const tone = tone_of(status);
    if (document.body.dataset.tone !== tone || !$("icon").dataset.tone) {
      document.body.dataset.tone = tone;
      $("icon").dataset.tone = tone;
      const circle = `<circle cx="8" cy="8" r="6" fill="${kIconColour[tone]}"/>`;
      const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">${circle}</svg>`;
      $("icon").href = `data:image/svg+xml,${encodeURIComponent(icon)}`;
    }
  }

  // ---- progress and figures

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
    text($("unsaved"), is_number(iteration) ? integer(Math.max(0, iteration - saved)) : kUnknown);
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
    text(
      $("next-save-in"),
      is_number(saving) ? `${integer(saving)} is being saved`
        : comes && ahead === 0 ? "due now"
        : comes                ? `in about ${duration(Math.max(0, ahead / rate - counted()))}`
                               : "");
    const started = parse_time(status.started);
    text($("started-age"), started ? age(age_of(started)) : "");
    for (const element of document.querySelectorAll("[data-since]")) {
      text(element, age((server_now() - Number(element.dataset.since)) / 1000));
    }
  }

  // An element whose age goes on counting.
  function age_element(tag, created, name) {
    const date = parse_time(created);
    if (!date) return make(tag, {class: name, text: kUnknown});
    return make(tag, {
      class: name,
      title: `${day(date)} ${clock(date)}, ${utc(date)}`,
      data: {since: String(date.getTime())},
      text: age(age_of(date))
    });
  }

  // ---- time of an iteration, saves, ranks, damage

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
        make(
          "th", {scope: "row"}, make("i", {class: "swatch", "aria-hidden": "true"}), make("span")),
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

  let shown_saves = "";
  function show_saves(status) {
    const saves = status.saves;
    $("saves-part").hidden = saves === null;
    $("saves-empty").hidden = saves !== null;
    if (saves === null) {
      text(
        $("saves-empty"),
        status.source === "files" ? "Times of saves are shown by the job's own status server."
                                  : "No save yet");
      return;
    }
    $("saves-failed").className = saves.failed > 0 ? "bad-text" : "";
    const recent = list(saves.recent).slice(-100);
    const signature = JSON.stringify(recent);
    if (signature === shown_saves) return;
    shown_saves = signature;
    const canvas = $("saves-chart");
    canvas.parentElement.hidden = recent.length === 0;
    $("saves-table").hidden = recent.length === 0;
    if (recent.length === 0) return;
    draw_saves(recent);
    const last = recent[recent.length - 1];
    canvas.setAttribute(
      "aria-label",
      `Seconds of the last ${plural(recent.length, "save")}; the newest, at iteration ${
        last.iteration}, took ${seconds(last.seconds ?? 0)}`);
    const lines = rows(
      $("saves-rows"), recent.length,
      () => make(
        "tr", {}, make("td"), make("td", {class: "number"}), make("td", {class: "number"}),
        make("td", {class: "number"})));
    recent.forEach((save, index) => {
      const cells = lines[recent.length - 1 - index].children;
      set_cell(cells[0], `saves.recent.${index}.iteration`, save.iteration, "integer");
      set_cell(cells[1], `saves.recent.${index}.seconds`, save.seconds, "seconds");
      set_cell(cells[2], `saves.recent.${index}.held_seconds`, save.held_seconds, "seconds");
      set_cell(cells[3], `saves.recent.${index}.bytes`, save.bytes, "bytes");
    });
  }

  async function draw_saves(recent) {
    await next_task();
    const chart = saves_chart();
    chart.data.labels = recent.map((save) => integer(save.iteration));
    chart.data.datasets[0].data = recent.map((save) => save.held_seconds ?? 0);
    chart.data.datasets[1].data =
      recent.map((save) => Math.max(0, (save.seconds ?? 0) - (save.held_seconds ?? 0)));
    chart.update("none");
  }

  const ranks_order = {chosen: storage.get("ranks_order")};

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
      set_cell(head.firstChild, `${field}.rank`, rank.rank, "plain");
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

  const kMostDamage = 200;
  function show_damage(status) {
    const damaged = list(status.damaged);
    $("damage-empty").hidden = damaged.length > 0;
    $("damage-part").hidden = damaged.length === 0;
    const count = Math.min(damaged.length, kMostDamage);
    const left_out = damaged.length - count;
    const lines = rows(
      $("damage-rows"), count + (left_out > 0 ? 1 : 0),
      () => make("tr", {}, make("td", {class: "mono"}), make("td")));
    for (let index = 0; index < count; index += 1) {
      text(lines[index].children[0], String(damaged[index].file));
      text(lines[index].children[1], String(damaged[index].why));
    }
    if (left_out > 0) {
      text(lines[count].children[0], `${integer(left_out)} more`);
      text(lines[count].children[1], "lockstep verify names them all");
    }
  }

  // ---- charts

  // The theme's colours, read once a theme. Marks and bars take theirs by a function: Chart.js
  // keeps the options that the elements of a data set share, and would go on with those of the
  // first theme.
  let colours = {};
  function read_colours() {
    const style = getComputedStyle(document.documentElement);
    const names = [
      "accent", "accent-soft", "dim", "bad", "warn", "text", "muted", "panel", "line",
      "line-strong", "save"
    ];
    colours =
      Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  }
  const colour = (name) => colours[name];
  const charts = [];  // { chart, paint }

  function new_chart(canvas, config, paint) {
    const chart = new Chart(canvas, config);
    charts.push({chart, paint});
    paint(chart);
    chart.update("none");
    return chart;
  }

  function paint_scales(chart) {
    for (const scale of Object.values(chart.options.scales)) {
      scale.ticks.color = colour("muted");
      scale.grid.color = colour("line");
      if (scale.title) scale.title.color = colour("muted");
    }
    const tooltip = chart.options.plugins.tooltip;
    tooltip.backgroundColor = colour("text");
    tooltip.titleColor = tooltip.bodyColor = colour("panel");
  }

  function base_options() {
    return {
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      normalized: true,
      plugins: {
        legend: {display: false},
        tooltip: {displayColors: false, animation: false, callbacks: {}}
      },
      interaction: {mode: "nearest", axis: "x", intersect: false},
    };
  }

  let saves_chart_made = null;
  function saves_chart() {
    if (saves_chart_made) return saves_chart_made;
    const options = base_options();
    options.interaction.mode = "index";
    options.scales = {
      x: {
        stacked: true,
        grid: {display: false},
        ticks: {maxTicksLimit: 6, maxRotation: 0, autoSkipPadding: 12}
      },
      y: {
        stacked: true,
        beginAtZero: true,
        grid: {},
        ticks: {maxTicksLimit: 4, callback: (value) => seconds(value)}
      },
    };
    options.plugins.tooltip.callbacks = {
      title: (items) => `iteration ${items[0].label}`,
      label: (item) => `${item.datasetIndex === 0 ? "training held up" : "in the background"}: ${
        seconds(item.parsed.y)}`,
    };
    saves_chart_made = new_chart(
      $("saves-chart"), {
        type: "bar",
        options,
        data: {
          labels: [],
          datasets: [
            {data: [], maxBarThickness: 18, backgroundColor: () => colour("save")},
            {data: [], maxBarThickness: 18, backgroundColor: () => colour("accent-soft")}
          ]
        }
      },
      paint_scales);
    return saves_chart_made;
  }

  // Vertical lines where the newest lineage's attempts begin.
  const fork_lines = {
    id: "fork_lines",
    beforeDatasetsDraw(chart) {
      const {ctx, chartArea: area, scales: {x}} = chart;
      const forks = chart.forks ?? [];
      const top = forks.length > 12 ? area.bottom - 8
                                    : area.top;  // many: ticks, so that the curve stays in sight
      let free_from = area.left;
      ctx.save();
      ctx.font = `11px ${Chart.defaults.font.family}`;
      for (const fork of forks) {
        const left = Math.round(x.getPixelForValue(fork.x)) + 0.5;
        if (!(left >= area.left - 1 && left <= area.right + 1)) continue;
        ctx.strokeStyle = colour("line-strong");
        ctx.globalAlpha = 0.55;
        ctx.beginPath();
        ctx.moveTo(left, top);
        ctx.lineTo(left, area.bottom);
        ctx.stroke();
        ctx.globalAlpha = 1;
        const width = forks.length > 12 ? Infinity : ctx.measureText(fork.label).width;
        if (left + 4 < free_from || left + 4 + width > area.right + 8) continue;
        ctx.fillStyle = colour("muted");
        ctx.fillText(fork.label, left + 4, area.top + 9);
        free_from = left + width + 14;
      }
      ctx.restore();
    },
  };

  // ---- curves

  const kColumns = ["loss", "accuracy", "gradient_norm", "learning_rate", "samples_per_second"];
  const label_of = (metric) => metric.replaceAll("_", " ").slice(0, 40);
  const panels = [
    {
      select: $("metric-a"),
      log: $("log-a"),
      canvas: $("curve-a"),
      empty: $("curve-a-empty"),
      readout: $("readout-a"),
      key: "metric_a",
      first: ["loss"],
      chart: null
    },
    {
      select: $("metric-b"),
      log: $("log-b"),
      canvas: $("curve-b"),
      empty: $("curve-b-empty"),
      readout: $("readout-b"),
      key: "metric_b",
      first: ["accuracy", "gradient_norm", "samples_per_second"],
      chart: null
    },
  ];
  for (const panel of panels) {
    panel.wanted = storage.get(panel.key);
    panel.log.checked = storage.get(`${panel.key}_log`) === "1";
  }

  function metrics_there(curves) {
    const there = new Set(kColumns.filter(
      (name) => curves.some((attempt) => list(own(attempt, name)).some(is_number))));
    for (const attempt of curves) {
      for (const evaluation of list(attempt.evaluations)) {
        for (const name of Object.keys(own(evaluation, "metrics") ?? {}))
          if (there.size < 60) there.add(name);
      }
    }
    return there.size > 0 ? [...there] : ["loss", "accuracy"];
  }

  function offer_metrics(curves) {
    const names = metrics_there(curves);
    for (const panel of panels) {
      if (names.join("\n") !== panel.offered) {
        panel.offered = names.join("\n");
        panel.select.replaceChildren(
          ...names.map((name) => make("option", {value: name, text: label_of(name)})));
      }
      const choice = [panel.wanted, ...panel.first, names[0]].find((name) => names.includes(name));
      if (panel.select.value !== choice) panel.select.value = choice;
    }
  }

  // First, lowest, highest and last point of each of `buckets` parts: what a line of that many
  // pixels can show.
  function thin(points, buckets) {
    if (points.length <= buckets * 4) return points;
    const thinned = [];
    for (let bucket = 0; bucket < buckets; bucket += 1) {
      const begin = Math.floor((bucket * points.length) / buckets);
      const end = Math.floor(((bucket + 1) * points.length) / buckets);
      let low = begin, high = begin;
      for (let index = begin + 1; index < end; index += 1) {
        if (points[index].y < points[low].y) low = index;
        if (points[index].y > points[high].y) high = index;
      }
      for (const index of [...new Set([begin, low, high, end - 1])].sort((a, b) => a - b))
        thinned.push(points[index]);
    }
    return thinned;
  }

  function points_of(attempt, metric) {
    const values = list(own(attempt, metric));
    const points = [];
    list(attempt.iteration).forEach((iteration, index) => {
      if (is_number(iteration) && is_number(values[index]))
        points.push({x: iteration, y: values[index], attempt: attempt.attempt});
    });
    return points;
  }

  function evaluations_of(attempt, metric) {
    return list(attempt.evaluations)
      .filter((evaluation) => is_number(own(evaluation.metrics, metric)))
      .map(
        (evaluation) =>
          ({x: evaluation.iteration, y: evaluation.metrics[metric], attempt: attempt.attempt}));
  }

  const abandoned_from = (attempt) =>
    (!attempt.in_lineage          ? -Infinity
       : is_number(attempt.until) ? attempt.until
                                  : Infinity);

  function last_up_to(points, x) {
    for (let index = points.length - 1; index >= 0; index -= 1)
      if (points[index].x <= x) return points[index];
    return null;
  }

  // The newest lineage as one line; what was abandoned as lines of its own, each from the point
  // where it was left.
  function trace(curves, metric, keep) {
    const strong = [], dim = [], strong_marks = [], dim_marks = [];
    const all = new Map(curves.map((attempt) => [attempt.attempt, points_of(attempt, metric)]));
    for (const attempt of curves) {
      const points = all.get(attempt.attempt);
      const cut = abandoned_from(attempt);
      for (const point of points)
        if (point.x <= cut && keep(point)) strong.push(point);
      let left = points.filter((point) => point.x > cut && keep(point));
      if (left.length > 0) {
        const parent = Number.parseInt(String(attempt.parent ?? ""), 10);
        const from = attempt.in_lineage ? last_up_to(points, cut)
                                        : last_up_to(all.get(parent) ?? [], attempt.branch);
        if (from && keep(from)) left = [from, ...left];
        dim.push(thin(left, clamp(Math.floor(600 / curves.length), 20, 300)));
      }
      for (const mark of evaluations_of(attempt, metric))
        if (keep(mark)) (mark.x <= cut ? strong_marks : dim_marks).push(mark);
    }
    const gap = (line) => [...line, {x: line[line.length - 1].x, y: NaN}];
    return {
      strong: thin(strong, 450),
      dim: dim.flatMap(gap),
      strong_marks: thin(strong_marks, 40),
      dim_marks: thin(dim_marks, 20),
      all: strong
    };
  }

  function curve_chart(panel) {
    if (panel.chart) return panel.chart;
    const options = base_options();
    options.scales = {
      x: {
        type: "linear",
        grid: {display: false},
        ticks: {
          maxTicksLimit: 7,
          includeBounds: false,
          maxRotation: 0,
          precision: 0,
          callback: (value) => integer(value)
        },
        title: {display: true, text: "iteration", padding: 0}
      },
      y: {type: "linear", grid: {}, ticks: {maxTicksLimit: 6, callback: (value) => number(value)}},
    };
    options.plugins.tooltip.callbacks = {
      title: (items) => (items.length > 0 ? `iteration ${integer(items[0].raw.x)}` : ""),
      label: (item) =>
        `attempt ${item.raw.attempt}${[1, 3].includes(item.datasetIndex) ? ", abandoned" : ""}${
          item.datasetIndex > 1 ? ", evaluation" : ""}: ${number(item.raw.y)}`,
    };
    const line =
      {data: [], pointRadius: 0, pointHitRadius: 6, borderJoinStyle: "round", spanGaps: false};
    const mark = {
      data: [],
      showLine: false,
      clip: 8,
      pointRadius: (context) => (context.dataset.data.length > 40 ? 1.5 : 3.5),
      pointHitRadius: 8,
      pointBorderWidth: 2,
      pointBackgroundColor: () => colour("panel")
    };
    panel.chart = new_chart(
      panel.canvas, {
        type: "line",
        options,
        plugins: [fork_lines],
        data: {
          datasets: [
            {...line, borderWidth: 2, order: 2},
            {...line, borderWidth: 1.5, borderDash: [5, 4], order: 3},
            {...mark, order: 0, pointBorderColor: () => colour("accent")},
            {...mark, order: 1, pointBorderColor: () => colour("dim")}
          ]
        }
      },
      (chart) => {
        paint_scales(chart);
        chart.data.datasets[0].borderColor = colour("accent");
        chart.data.datasets[1].borderColor = colour("dim");
      });
    return panel.chart;
  }

  function range_start(curves) {
    const range = $("range").value;
    const newest =
      curves.filter((attempt) => attempt.in_lineage).pop() ?? curves[curves.length - 1];
    if (range === "attempt") return newest ? newest.branch ?? -Infinity : -Infinity;
    if (range !== "tail") return -Infinity;
    const ends =
      curves.flatMap((attempt) => [list(attempt.iteration)[0], list(attempt.iteration).at(-1)])
        .filter(is_number);
    return ends.length > 0 ? Math.max(...ends) - (Math.max(...ends) - Math.min(...ends)) / 10
                           : -Infinity;
  }

  function show_panel(panel, curves) {
    const metric = panel.select.value;
    const log = panel.log.checked;
    const start = range_start(curves);
    const traced = trace(curves, metric, (point) => point.x >= start && (!log || point.y > 0));
    const shown = $("show-abandoned").checked;
    const count = traced.strong.length + traced.dim.length + traced.strong_marks.length +
      traced.dim_marks.length;
    panel.empty.hidden = count > 0;
    text(panel.empty, `No ${label_of(metric)} in this range`);
    const chart = curve_chart(panel);
    const sets =
      [traced.strong, shown ? traced.dim : [], traced.strong_marks, shown ? traced.dim_marks : []];
    sets.forEach((data, index) => {
      chart.data.datasets[index].data = data;
    });
    const end = sets.flat().reduce((most, point) => Math.max(most, point.x), -Infinity);
    chart.options.scales.x.max = Number.isFinite(end) ? end : undefined;
    const wanted = log ? "logarithmic" : "linear";
    if (chart.options.scales.y.type !== wanted) chart.options.scales.y.type = wanted;
    chart.forks = curves.filter((attempt) => attempt.in_lineage && attempt.parent)
                    .map((attempt) => ({
                           x: attempt.branch,
                           label: plain(`${attempt.attempt} from ${attempt.parent}`).slice(0, 40)
                         }));
    chart.update("none");
    describe_panel(panel, metric, traced);
  }

  function describe_panel(panel, metric, traced) {
    const points = traced.all.length > 0 ? traced.all : traced.strong_marks;
    if (points.length === 0) {
      text(panel.readout, "");
      panel.canvas.setAttribute("aria-label", `${label_of(metric)}: no values`);
      return;
    }
    const last = points[points.length - 1];
    const low = points.reduce((a, b) => (b.y < a.y ? b : a));
    const high = points.reduce((a, b) => (b.y > a.y ? b : a));
    const extreme = /accuracy/i.test(metric) ? `highest ${number(high.y)} at ${integer(high.x)}`
      : /loss|error|perplexity/i.test(metric) ? `lowest ${number(low.y)} at ${integer(low.x)}`
                                              : `between ${number(low.y)} and ${number(high.y)}`;
    text(panel.readout, `${number(last.y)} at ${integer(last.x)}, ${extreme}`);
    panel.canvas.setAttribute(
      "aria-label",
      `${label_of(metric)} over iterations ${points[0].x} to ${
        last.x} of the newest lineage: first ${number(points[0].y)}, last ${
        number(last.y)}, lowest ${number(low.y)} at ${low.x}, highest ${number(high.y)} at ${
        high.x}. The tables below hold the values.`);
  }

  function show_curve_tables(curves) {
    if (!$("curves-table").open) return;
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
                      .map((point) => (point ? number(point.y) : kUnknown));
      const left = !attempt.in_lineage ? "abandoned"
        : is_number(attempt.until)     ? integer(attempt.until)
                                       : kUnknown;
      return [
        String(attempt.attempt), String(attempt.run ?? kUnknown),
        String(attempt.parent ?? kUnknown), span, left, ...lasts
      ];
    });
    const evaluations =
      curves
        .flatMap(
          (attempt) =>
            list(attempt.evaluations).map((evaluation) => ([
                                            `${attempt.attempt}@${evaluation.iteration}`,
                                            Object.entries(own(evaluation, "metrics") ?? {})
                                              .map(
                                                ([name, value]) => `${label_of(name)} ${
                                                  is_number(value) ? number(value) : kUnknown}`)
                                              .join(", ")
                                          ])))
        .slice(-200)
        .reverse();
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

  async function show_curves() {
    const curves = list(own(known.curves, "attempts"));
    $("curves-empty").hidden = curves.length > 0;
    $("curves-part").hidden = curves.length === 0;
    if (curves.length === 0) return;
    offer_metrics(curves);
    for (const panel of panels) {
      show_panel(panel, curves);
      await next_task();
    }
    show_curve_tables(curves);
  }

  // ---- lineage: what it holds

  // Works the answer into what graph and list need, once for each answer.
  function digest_lineage(answer) {
    const attempts = list(answer.attempts)
                       .filter((attempt) => is_number(attempt.attempt))
                       .sort((a, b) => b.attempt - a.attempt);
    const by_number = new Map(attempts.map((attempt) => [attempt.attempt, attempt]));
    const held = new Map(attempts.map((attempt) => [attempt.attempt, []]));
    const checkpoints = list(answer.checkpoints);
    for (const checkpoint of checkpoints) {
      if (!held.has(checkpoint.attempt)) {
        const attempt = {
          attempt: checkpoint.attempt,
          run: null,
          parent: null,
          source: null,
          outcome: null,
          state: null,
          in_lineage: checkpoint.state !== "abandoned",
          damage: []
        };
        attempts.push(attempt);
        by_number.set(attempt.attempt, attempt);
        held.set(attempt.attempt, []);
      }
      held.get(checkpoint.attempt).push(checkpoint);
    }
    attempts.sort((a, b) => b.attempt - a.attempt);
    for (const checkpointed of held.values())
      checkpointed.sort((a, b) => b.iteration - a.iteration);
    const started = new Map();  // "2@1500" -> attempts that began there
    const until = new Map();    // attempt -> where the newest lineage left it
    for (const attempt of attempts) {
      const parent = attempt.parent;
      if (!parent || own(parent, "store")) continue;
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
      latest: latest ? name_of(latest) : null
    };
  }

  function find_checkpoint(attempt, iteration) {
    return (known.lineage?.held.get(attempt) ?? [])
             .find((checkpoint) => checkpoint.iteration === iteration) ??
      null;
  }

  const kShow = {
    all: () => true,
    lineage: (checkpoint) => checkpoint.state !== "abandoned",
    attention: (checkpoint) => checkpoint.state === "damaged" || checkpoint.state === "not finite",
    kept: (checkpoint) => checkpoint.best || checkpoint.pinned,
  };

  // ---- lineage: the list

  const kPage = 100;
  const kAttemptPage = 20;
  const listed = {nodes: new Map(), open: new Map(), open_folds: new Set(), attempts: kAttemptPage};

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

  const kStateClass = {good: "good", damaged: "bad", "not finite": "warn", abandoned: "dim"};
  const metrics_text = (metrics) =>
    Object.entries(metrics ?? {})
      .slice(0, 6)
      .map(([name, value]) => `${label_of(name)} ${is_number(value) ? number(value) : kUnknown}`)
      .join(", ");

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
      make("span", {class: "metrics", text: metrics_text(checkpoint.metrics)}), make("span", {
        class: "size",
        title: String(checkpoint.bytes),
        text: is_number(checkpoint.bytes) ? bytes(checkpoint.bytes) : kUnknown
      }),
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
          `${integer(Math.min(kPage, items.length - next))} more of ${
            integer(items.length - next)}`);
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
    const state = String(attempt.state ?? attempt.outcome ?? "");
    const tone = own({good: "good", bad: "bad", warn: "warn"}, own(kTone, state) ?? "") ?? "dim";
    const from = attempt.source ? String(attempt.source)
      : attempt.parent          ? name_of(attempt.parent)
                                : null;
    const node = make(
      "details", {class: attempt.in_lineage ? "" : "outside"},
      make(
        "summary", {data: {key}}, make("strong", {text: `attempt ${attempt.attempt}`}),
        attempt.run === null ? null : make("span", {text: String(attempt.run)}),
        from ? make("span", {class: "muted"}, "from ", make("span", {class: "id", text: from}))
             : null,
        state ? make("span", {class: `tag ${tone}`, text: state}) : null,
        attempt.in_lineage ? null
                           : make("span", {class: "muted", text: "not in the newest lineage"}),
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

  // ---- lineage: the graph

  const kMostLanes = 250;
  const graph = {lanes: [], width: 0, height: 0, row: 20};

  const rank_of = (checkpoint, lineage) =>
    (checkpoint.state === "damaged"             ? 6
       : checkpoint.state === "not finite"      ? 5
       : checkpoint.best                        ? 4
       : name_of(checkpoint) === lineage.latest ? 3.5
       : checkpoint.pinned                      ? 3
       : checkpoint.state === "good"            ? 1
                                                : 0);

  function lanes_of(lineage, curves) {
    const ends =
      new Map(curves.map((attempt) => [attempt.attempt, list(attempt.iteration).at(-1)]));
    return lineage.attempts.slice(0, kMostLanes).map((attempt) => {
      const checkpoints = lineage.held.get(attempt.attempt);
      const lowest =
        checkpoints.length > 0 ? checkpoints[checkpoints.length - 1].iteration : Infinity;
      const begin = attempt.parent ? attempt.parent.iteration : Math.min(0, lowest);
      let end = Math.max(
        begin, checkpoints.length > 0 ? checkpoints[0].iteration : begin,
        ends.get(attempt.attempt) ?? begin);
      if (known.status?.attempt === attempt.attempt && is_number(known.status.iteration))
        end = Math.max(end, known.status.iteration);
      return {
        attempt,
        checkpoints,
        begin,
        end,
        until: attempt.in_lineage ? lineage.until.get(attempt.attempt) ?? Infinity : -Infinity
      };
    });
  }

  function sized(canvas, width, height) {
    const ratio = window.devicePixelRatio || 1;
    const wide = Math.round(width * ratio), high = Math.round(height * ratio);
    if (canvas.width !== wide || canvas.height !== high) {
      canvas.width = wide;
      canvas.height = high;
    }
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = `12px ${Chart.defaults.font.family}`;
    return context;
  }

  function draw_mark(context, x, y, checkpoint, is_latest) {
    context.lineWidth = 1.5;
    context.setLineDash([]);
    if (checkpoint.state === "damaged") {
      context.strokeStyle = colours.bad;
      context.lineWidth = 2;
      context.beginPath();
      context.moveTo(x - 4, y - 4);
      context.lineTo(x + 4, y + 4);
      context.moveTo(x + 4, y - 4);
      context.lineTo(x - 4, y + 4);
      context.stroke();
    } else if (checkpoint.state === "not finite") {
      context.fillStyle = colours.warn;
      context.beginPath();
      context.moveTo(x, y - 5);
      context.lineTo(x + 5, y);
      context.lineTo(x, y + 5);
      context.lineTo(x - 5, y);
      context.fill();
    } else {
      context.beginPath();
      context.arc(x, y, is_latest ? 4.5 : 3.5, 0, 7);
      if (checkpoint.state === "good") {
        context.fillStyle = colours.accent;
        context.fill();
      } else {
        context.fillStyle = colours.panel;
        context.fill();
        context.strokeStyle = colours.dim;
        context.stroke();
      }
    }
    if (checkpoint.best) {
      context.strokeStyle = colours.accent;
      context.beginPath();
      context.arc(x, y, 7, 0, 7);
      context.stroke();
    }
    if (checkpoint.pinned) {
      context.strokeStyle = colours.text;
      context.strokeRect(x - 6.5, y - 6.5, 13, 13);
    }
  }

  function draw_axis(width, x_of, low, high) {
    const context = sized($("lineage-axis"), width, 20);
    const rough = (high - low) / clamp(Math.floor(width / 130), 2, 8);
    const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
    const step =
      [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? power * 10;
    context.fillStyle = colours.muted;
    context.textAlign = "center";
    for (let value = Math.ceil(low / step) * step; value <= high; value += step) {
      const x = x_of(value);
      context.fillText(integer(value), clamp(x, 18, width - 18), 12);
      context.fillRect(Math.round(x), 16, 1, 4);
    }
  }

  function draw_lane(context, lane, y, x_of) {
    const line = (from, to, strong) => {
      if (!(to > from)) return;
      context.strokeStyle = strong ? colours.accent : colours.dim;
      context.lineWidth = strong ? 2 : 1.2;
      context.setLineDash(strong ? [] : [4, 3]);
      context.beginPath();
      context.moveTo(x_of(from), y);
      context.lineTo(x_of(to), y);
      context.stroke();
    };
    line(lane.begin, Math.min(lane.end, lane.until), true);
    line(Math.max(lane.begin, Math.min(lane.until, lane.end)), lane.end, false);
  }

  function draw_connector(context, lane, y, parent_y, x_of) {
    const x = x_of(lane.begin), bend = parent_y > y ? 6 : -6;
    const strong = lane.attempt.in_lineage;
    context.strokeStyle = strong ? colours.accent : colours.dim;
    context.lineWidth = strong ? 2 : 1.2;
    context.setLineDash(strong ? [] : [4, 3]);
    context.beginPath();
    context.moveTo(x, parent_y);
    context.lineTo(x, y + bend);
    context.lineTo(x + 1, y);
    context.stroke();
  }

  // Marks of one lane, at most one in 4 pixels: the one that matters most.
  function marks_of(lane, x_of, lineage) {
    const marks = [];
    for (const checkpoint of lane.checkpoints) {
      const x = x_of(checkpoint.iteration);
      const last = marks[marks.length - 1];
      if (last && Math.abs(last.x - x) < 4) {
        last.count += 1;
        if (rank_of(checkpoint, lineage) > rank_of(last.checkpoint, lineage))
          last.checkpoint = checkpoint;
      } else marks.push({x, checkpoint, count: 1});
    }
    return marks;
  }

  function show_graph() {
    const lineage = known.lineage;
    const width = $("graph").parentElement.clientWidth;
    if (!lineage || width === 0) return;
    const lanes = lanes_of(lineage, list(own(known.curves, "attempts")));
    if (lanes.length === 0) return;
    const row = lanes.length <= 12 ? 24 : 18;
    const left = 44, right = width > 640 ? 96 : 14;
    const low = lanes.reduce((least, lane) => Math.min(least, lane.begin), Infinity);
    const high =
      Math.max(low + 1, lanes.reduce((most, lane) => Math.max(most, lane.end), -Infinity));
    const x_of = (iteration) => left + ((iteration - low) / (high - low)) * (width - left - right);
    const height = lanes.length * row + 8;
    const context = sized($("graph"), width, height);
    const y_of =
      new Map(lanes.map((lane, index) => [lane.attempt.attempt, 4 + index * row + row / 2]));
    draw_axis(width, x_of, low, high);
    for (const strong of [false, true]) {
      for (const lane of lanes) {
        if (lane.attempt.in_lineage !== strong) continue;
        const y = y_of.get(lane.attempt.attempt);
        const parent = lane.attempt.parent && !own(lane.attempt.parent, "store")
          ? y_of.get(lane.attempt.parent.attempt)
          : undefined;
        if (parent !== undefined) draw_connector(context, lane, y, parent, x_of);
        draw_lane(context, lane, y, x_of);
      }
    }
    for (const lane of lanes) {
      lane.y = y_of.get(lane.attempt.attempt);
      lane.marks = marks_of(lane, x_of, lineage);
      for (const mark of lane.marks)
        draw_mark(
          context, mark.x, lane.y, mark.checkpoint, name_of(mark.checkpoint) === lineage.latest);
      context.fillStyle = lane.attempt.in_lineage ? colours.text : colours.muted;
      context.textAlign = "left";
      context.fillText(String(lane.attempt.attempt), 4, lane.y + 4);
      const state = plain(String(lane.attempt.state ?? lane.attempt.outcome ?? "")).slice(0, 12);
      context.fillStyle = colours.muted;
      if (right > 90) context.fillText(state, x_of(lane.end) + 12, lane.y + 4);
    }
    Object.assign(graph, {lanes, width, height, row});
    $("graph").setAttribute(
      "aria-label",
      `Graph of ${plural(lanes.length, "attempt")} over iterations ${low} to ${
        high}. The list below holds the same.`);
  }

  function mark_at(event) {
    const box = $("graph").getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top;
    let nearest = null;
    for (const lane of graph.lanes) {
      if (Math.abs(lane.y - y) > graph.row / 2 + 2) continue;
      for (const mark of lane.marks) {
        const distance = Math.hypot(mark.x - x, lane.y - y);
        if (distance <= 16 && (nearest === null || distance < nearest.distance))
          nearest = {mark, lane, distance};
      }
    }
    return nearest;
  }

  function show_tip(event) {
    const found = mark_at(event);
    const tip = $("graph-tip");
    $("graph").classList.toggle("over", found !== null);
    tip.hidden = found === null;
    if (!found) return;
    const {checkpoint, count} = found.mark;
    const parts = [
      name_of(checkpoint), checkpoint.state, checkpoint.best ? "best" : "",
      checkpoint.pinned ? "pinned" : "", metrics_text(checkpoint.metrics),
      count > 1 ? `${integer(count - 1)} more here` : ""
    ];
    text(tip, parts.filter(Boolean).join(", "));
    tip.style.left = `${clamp(found.mark.x + 10, 0, Math.max(0, graph.width - tip.offsetWidth))}px`;
    tip.style.top = `${
      found.lane.y + 12 + tip.offsetHeight > graph.height ? found.lane.y - tip.offsetHeight - 10
                                                          : found.lane.y + 12}px`;
  }

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
                       : "Nothing that latest could take."}${cut}`);
    show_graph();
    await next_task();
    show_list();
  }

  // ---- going back

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

  function open_back(checkpoint) {
    const name = name_of(checkpoint);
    text($("back-title"), `Go back to ${name}`);
    const fact = (title, value) =>
      (value === null || value === ""
         ? null
         : make(
             "div", {}, make("dt", {text: title}),
             typeof value === "string" ? make("dd", {text: value}) : value));
    const marks =
      [checkpoint.best ? "best" : "", checkpoint.pinned ? "pinned" : ""].filter(Boolean).join(", ");
    $("back-facts")
      .replaceChildren(
        ...
          [fact("state", String(checkpoint.state)),
           fact("eligible for latest", checkpoint.eligible ? "yes" : "no"), fact("kept as", marks),
           fact("written", age_element("dd", checkpoint.created, "")),
           fact("size", is_number(checkpoint.bytes) ? bytes(checkpoint.bytes) : null),
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

  function find(event) {
    event.preventDefault();
    const typed = /^\s*(\d{1,15})@(\d{1,15})\s*$/.exec($("find-text").value);
    const checkpoint = typed ? find_checkpoint(Number(typed[1]), Number(typed[2])) : null;
    text($("find-answer"), checkpoint ? "" : typed ? "no such checkpoint" : "write it as 2@1800");
    if (checkpoint) open_back(checkpoint);
  }

  function back_to(name) {
    const [attempt, iteration] = name.split("@").map(Number);
    const checkpoint = find_checkpoint(attempt, iteration);
    if (checkpoint) open_back(checkpoint);
  }

  // ---- decision

  const padded = (attempt) => String(attempt).padStart(4, "0");

  function verdict(decision) {
    const as = is_number(decision.attempt) ? `, as attempt ${decision.attempt}` : "";
    const run = decision.run ? ` of run ${decision.run}` : "";
    if (decision.kind === "fresh") return `fresh${as}${run}`;
    if (decision.kind === "restore")
      return `restore ${decision.source ?? name_of(decision.parent)}${as}${run}`;
    if (decision.kind === "finished")
      return `nothing left to train${run}${
        decision.parent ? `, at ${name_of(decision.parent)}` : ""}`;
    return `${decision.kind}${as}${run}`;
  }

  function show_decision() {
    const decision = known.decision;
    $("decision-empty").hidden = decision !== null;
    $("decision-part").hidden = decision === null;
    const unreadable =
      list(own(known.status, "damaged"))
        .some(({file}) => file === `attempts/${padded(known.status.attempt)}/decision.json`);
    text($("decision-empty"), unreadable ? "Its record is damaged" : "No decision yet");
    if (decision === null) return;
    text($("decision-verdict"), verdict(decision));
    const reasons = list(decision.reasons).slice(0, 100);
    $("decision-because").hidden = reasons.length === 0;
    $("decision-reasons")
      .replaceChildren(...reasons.map((reason) => make("li", {text: String(reason)})));
    const rejected = list(decision.rejected).slice(0, 200);
    $("decision-rejected-part").hidden = rejected.length === 0;
    $("decision-rejected")
      .replaceChildren(...rejected.map(
        (candidate) => make(
          "tr", {}, make("td", {class: "id nowrap", text: name_of(candidate)}),
          make("td", {text: String(candidate.why)}))));
    const request = own(decision, "request");
    $("decision-request-part").hidden = request === null;
    text(
      $("decision-request"),
      typeof request === "object" && request !== null
        ? Object.entries(request)
            .map(
              ([key, value]) =>
                `${key}: ${typeof value === "string" ? value : JSON.stringify(value)}`)
            .join("\n")
        : String(request));
    const facts = [
      [
        "verified",
        own({headers: "headers", bytes: "every byte"}, decision.verified) ?? decision.verified
      ],
      ["exit code", decision.exit_code || decision.error ? decision.exit_code : null],
      ["error", decision.error], ["manifest digest", decision.manifest_digest]
    ].filter(([, value]) => value !== null && value !== undefined);
    $("decision-facts")
      .replaceChildren(...facts.map(
        ([title, value]) => make("div", {class: "long"}, make("dt", {text: title}), make("dd", {
                                   text: String(value),
                                   class: title === "error"        ? "bad-text"
                                     : title === "manifest digest" ? "mono"
                                                                   : ""
                                 }))));
  }

  // ---- fetching the large answers

  const feeds = [
    {
      name: "decision",
      path: "api/decision",
      take: (answer) => {
        known.decision = answer;
      },
      show: show_decision
    },
    {
      name: "lineage",
      path: "api/lineage",
      take: (answer) => {
        known.lineage = answer ? digest_lineage(answer) : null;
      },
      show: show_lineage
    },
    {
      name: "curves",
      path: "api/curves",
      take: (answer) => {
        known.curves = answer;
      },
      show: async () => {
        await show_curves();
        await next_task();
        show_graph();
      }
    },
  ];
  for (const feed of feeds)
    Object.assign(feed, {seen: undefined, busy: false, not_before: 0, error: null});

  async function get_json(path) {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), 15000);
    try {
      const response = await fetch(path, {signal: stop.signal, cache: "no-store"});
      if (!response.ok) throw new Error(`${path}: HTTP ${response.status}`);
      return await response.json();
    } finally {
      clearTimeout(timer);
    }
  }

  // A feed rests after each answer, the longer the more it cost: a long curve of a busy job is not
  // fetched every second.
  async function fill(feed, revision) {
    feed.busy = true;
    const began = performance.now();
    try {
      const answer = await get_json(feed.path);
      await next_task();
      feed.take(answer);
      feed.seen = is_number(own(answer, "revision")) && answer.revision < revision ? answer.revision
                                                                                   : revision;
      await next_task();
      await feed.show();
      feed.error = null;
      feed.not_before = performance.now() + clamp((performance.now() - began) * 20, 1000, 30000);
    } catch (problem) {
      feed.error = problem.name === "AbortError" ? `${feed.path}: no answer within 15 s`
                                                 : String(problem.message);
      feed.not_before = performance.now() + 5000;
    }
    feed.busy = false;
    show_notices();
  }

  function pump() {
    if (!known.status || document.hidden) return;
    for (const feed of feeds) {
      const revision = at(known.status, ["revisions", feed.name]);
      if (!feed.busy && revision !== feed.seen && performance.now() >= feed.not_before)
        fill(feed, revision);
    }
  }

  // ---- the status: receiving and showing

  const sections =
    [show_progress, show_figures, show_split, show_saves, show_ranks, show_damage, show_clocks];

  function guarded(work, ...values) {
    try {
      work(...values);
    } catch (problem) {
      console.error(problem);
    }
  }

  function show_status() {
    const status = known.status;
    guarded(show_title, status);
    if (document.hidden) return;
    guarded(show_fields, false);
    for (const section of sections) guarded(section, status);
    guarded(show_notices);
    guarded(announce, status, document.body.dataset.connection);
  }

  function receive(status, way) {
    if (status === null || typeof status !== "object") return;
    const now = performance.now();
    if (!known.status || known.status.time !== status.time) {
      known.fresh = now;
      known.received = now;
      const time = parse_time(status.time);
      if (time) known.offset = time.getTime() - Date.now();
    }
    Object.assign(known, {status, way, heard: now});
    judge_connection();
    show_status();
    pump();
  }

  const kLostAfter = 6000;
  function judge_connection() {
    const now = performance.now();
    const unheard = now - (known.heard ?? 0), old = now - known.fresh;
    known.stalled = known.status !== null && unheard < kLostAfter && old > 12000;
    const connection = unheard > kLostAfter || known.stalled ? "lost"
      : known.status                                         ? known.way
                                                             : "waiting";
    const words = {
      live: "connected",  // not "live": beside "crashed" that would be read as the job's state
      polling: "polling",
      waiting: "connecting",
      lost: known.stalled ? `data ${duration(old / 1000)} old`
                          : `no answer for ${duration(unheard / 1000)}`
    };
    text($("connection-text"), words[connection]);
    const time = known.status ? parse_time(known.status.time) : null;
    $("connection").title = time ? `as of ${local_time(time)}, ${utc(time)}` : "";
    if (document.body.dataset.connection === connection) return;
    document.body.dataset.connection = connection;
    guarded(show_notices);
    guarded(announce, known.status, connection);
    if (known.status) guarded(show_title, known.status);
  }

  const stream = {source: null, opened: 0, heard: 0, retry: 1000, again_at: 0};

  function open_stream() {
    stream.source?.close();
    stream.opened = performance.now();
    const source = new EventSource("events");
    stream.source = source;
    source.addEventListener("status", (event) => {
      stream.heard = performance.now();
      stream.retry = 1000;
      let status = null;
      try {
        status = JSON.parse(event.data);
      } catch {
        return;
      }
      receive(status, "live");
    });
    source.addEventListener("error", () => {
      if (source !== stream.source || source.readyState !== EventSource.CLOSED) return;
      stream.source = null;
      stream.again_at = performance.now() + stream.retry;
      stream.retry = Math.min(15000, stream.retry * 2);
    });
  }

  const polled = {busy: false, next: 0};
  async function poll() {
    polled.busy = true;
    polled.next = performance.now() + 2000;
    try {
      const status = await get_json("status");
      if (performance.now() - stream.heard > 3000) receive(status, "polling");
    } catch { /* judge_connection says so */
    }
    polled.busy = false;
  }

  function tick() {
    const now = performance.now();
    if (!stream.source && now >= stream.again_at) open_stream();
    if (stream.source && now - Math.max(stream.heard, stream.opened) > 20000)
      open_stream();  // open, and silent
    if (now - stream.heard > 3000 && !polled.busy && now >= polled.next) poll();
    judge_connection();
    if (!known.status || document.hidden) return;
    guarded(show_fields, true);
    guarded(show_clocks, known.status);
    pump();
  }

  // ---- copying

  async function copy(value, box) {
    try {
      if (navigator.clipboard && window.isSecureContext) {
        await navigator.clipboard.writeText(value);
        return true;
      }
    } catch { /* not allowed: the old way */
    }
    const area = make("textarea", {class: "offscreen", "aria-hidden": "true", tabindex: "-1"});
    area.value = value;
    box.append(area);
    area.select();
    let done = false;
    try {
      done = document.execCommand("copy");
    } catch {
      done = false;
    }
    area.remove();
    return done;
  }

  async function copy_from(button) {
    const source = $(button.dataset.copy);
    const done = await copy(
      source.dataset.value ?? source.textContent, button.closest("dialog") ?? document.body);
    button.focus({preventScroll: true});
    if (!done) getSelection()?.selectAllChildren(source);
    text(button, done ? "Copied" : "Press Ctrl+C");
    if (!done) getSelection()?.selectAllChildren(source);
    setTimeout(() => text(button, "Copy"), 1800);
  }

  // ---- theme, handlers, start

  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const kThemes = ["auto", "light", "dark"];
  let theme = kThemes.includes(storage.get("theme")) ? storage.get("theme") : "auto";

  function apply_theme() {
    document.documentElement.dataset.theme =
      theme === "auto" ? (dark.matches ? "dark" : "light") : theme;
    read_colours();
    text($("theme"), `Theme: ${theme}`);
    for (const {chart, paint} of charts) {
      paint(chart);
      chart.update("none");
    }
    if (known.lineage) show_graph();
  }

  function listen() {
    dark.addEventListener("change", apply_theme);
    $("theme").addEventListener("click", () => {
      theme = kThemes[(kThemes.indexOf(theme) + 1) % kThemes.length];
      storage.set("theme", theme);
      apply_theme();
    });
    for (const panel of panels) {
      panel.select.addEventListener("change", () => {
        panel.wanted = panel.select.value;
        storage.set(panel.key, panel.wanted);
        show_curves();
      });
      panel.log.addEventListener("change", () => {
        storage.set(`${panel.key}_log`, panel.log.checked ? "1" : "0");
        show_curves();
      });
    }
    for (const id of ["range", "show-abandoned"]) $(id).addEventListener("change", show_curves);
    $("curves-table")
      .addEventListener("toggle", () => show_curve_tables(list(own(known.curves, "attempts"))));
    $("ranks-order").addEventListener("change", () => {
      ranks_order.chosen = $("ranks-order").value;
      storage.set("ranks_order", ranks_order.chosen);
      if (known.status) show_ranks(known.status);
    });
    $("lineage-show").addEventListener("change", () => {
      listed.open.clear();
      if (known.lineage) show_list();
    });
    $("more-attempts").addEventListener("click", () => {
      listed.attempts += kAttemptPage;
      show_list();
    });
    $("find").addEventListener("submit", find);
    $("find-text").addEventListener("input", () => text($("find-answer"), ""));
    $("graph").addEventListener("pointermove", show_tip);
    $("graph").addEventListener("pointerleave", () => {
      $("graph-tip").hidden = true;
    });
    $("graph").addEventListener("click", (event) => {
      const found = mark_at(event);
      if (found) open_back(found.mark.checkpoint);
    });
    $("back-close").addEventListener("click", () => $("back").close());
    $("back").addEventListener("click", (event) => {
      if (event.target === $("back")) $("back").close();
    });
    document.addEventListener("click", (event) => {
      const button = event.target instanceof Element ? event.target.closest("button") : null;
      if (button?.dataset.copy) copy_from(button);
      if (button?.dataset.back) back_to(button.dataset.back);
    });
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && known.status) {
        show_status();
        pump();
      }
    });
    new ResizeObserver(() => {
      if (known.lineage && $("graph").parentElement.clientWidth !== graph.width) show_graph();
    }).observe($("graph-scroll"));
  }

  Chart.defaults.animation = false;
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  Chart.defaults.font.size = 11;
  apply_theme();
  listen();
  open_stream();
  tick();
  setInterval(tick, 1000);
})();
