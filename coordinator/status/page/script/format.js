// Numbers, sizes and times for people.

const kUnknown = "–";
const grouped = new Intl.NumberFormat("en-US", {maximumFractionDigits: 0});
const integer = (value) => grouped.format(value);
const plural = (count, noun) => `${integer(count)} ${noun}${count === 1 ? "" : "s"}`;
const or_unknown = (value, format) => (is_number(value) ? format(value) : kUnknown);

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

// "a, b and c", as the parts that it is made of; of many items the first few, and how many more.
// build: of an item its text or element, or several of them.
const kFew = 5;
function enumerate(items, build = String) {
  const left_out = items.length - kFew;
  const shown = items.slice(0, kFew).map(build);
  if (left_out > 0) shown.push(`${integer(left_out)} more`);
  return shown.flatMap((parts, index) => {
    const joint = index === 0 ? "" : index < shown.length - 1 ? ", " : " and ";
    return [joint, parts].flat();
  });
}

const label_of = (metric) => metric.replaceAll("_", " ").slice(0, 40);

function metrics_text(metrics, most = 6) {
  return Object.entries(metrics ?? {})
    .slice(0, most)
    .map(([name, value]) => `${label_of(name)} ${or_unknown(value, number)}`)
    .join(", ");
}
