// Elements with data-field: each shows the value at that path of /status.

const formats = {
  text: (value) => String(value),
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
  countdown: (value) =>
    (value - elapsed() <= -1 ? `${duration(elapsed() - value)} ago` : duration(value - elapsed())),
};
const numeric = new Set(["integer", "number", "bytes", "seconds", "age", "remaining", "countdown"]);
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
  if (format === "time") {
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
  (element) => ({element, path: element.dataset.field.split("."), format: element.dataset.format}));

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
