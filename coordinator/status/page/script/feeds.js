// The three large answers: each is fetched when its revision in /status is another one.

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
    show: async () => {
      await show_lineage();
      if (curves_are_stale()) await show_curves();
    }
  },
  {
    name: "curves",
    path: "api/curves",
    take: (answer) => {
      known.curves = list(own(answer, "attempts"));
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
    feed.seen =
      is_number(own(answer, "revision")) && answer.revision < revision ? answer.revision : revision;
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
