// What is known of job and store, and when that came.
//
// One status a second comes by /events, or by polling /status where that breaks; the three large
// answers are fetched when their revision changes (feeds). All of it is untrusted: it reaches the
// page by textContent and canvas alone. Addresses are relative, so that the page also works below a
// proxy's prefix.

const known = {
  status: null,    // the newest /status
  received: 0,     // when it came, performance.now()
  fresh: 0,        // when its `time` last moved on
  offset: 0,       // the server's clock less ours, ms
  heard: 0,        // when anything was heard, performance.now()
  stalled: false,  // heard, but its `time` does not move on
  way: null,       // "live" or "polling"
  lineage: null,   // as digest_lineage() makes it
  decision: null,
  curves: [],  // of attempts, ascending
};

const elapsed = () => (performance.now() - known.received) / 1000;
// What is left of a job's work is not counted down while nobody says that it goes on.
const counted = () => (document.body.dataset.connection === "lost" ? 0 : elapsed());
const server_now = () => Date.now() + known.offset;
const age_of = (date) => (server_now() - date.getTime()) / 1000;

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
