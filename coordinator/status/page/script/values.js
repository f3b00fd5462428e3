// JSON that nobody trusts, and values of all kinds.

const own = (object, key) => (
  object !== null && typeof object === "object" && Object.hasOwn(object, key) ? object[key] : null);
const list = (value) => (Array.isArray(value) ? value : []);
const is_number = (value) => typeof value === "number" && Number.isFinite(value);
const at = (object, path) => path.reduce((value, key) => own(value, key), object);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const name_of = (point) => (point ? `${point.attempt}@${point.iteration}` : "");

const next_task = () => new Promise((done) => setTimeout(done, 0));
