// The buttons that copy.

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
  text(button, done ? "Copied" : "Press Ctrl+C");
  if (!done) getSelection()?.selectAllChildren(source);
  setTimeout(() => text(button, "Copy"), 1800);
}
