// The status: how it comes, and whether it still does.

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
  const unheard = now - known.heard, old = now - known.fresh;
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

const stream = {
  source: null,
  opened: 0,
  heard: 0,
  retry: 1000,
  again_at: 0
};

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

const polled = {
  busy: false,
  next: 0
};
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
