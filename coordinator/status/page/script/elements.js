// Elements of the page. Text reaches them by textContent alone.

const $ = (id) => document.getElementById(id);

// Control characters and those that turn the direction of writing are shown as such, not obeyed.
const kHidden = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
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

// As many rows in `body` as asked for; each is made once and then reused.
function rows(body, count, build) {
  while (body.children.length > count) body.lastElementChild.remove();
  while (body.children.length < count) body.append(build());
  return body.children;
}
