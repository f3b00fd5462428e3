// Listeners, and the start of it all.

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
  $("curves-table").addEventListener("toggle", show_curve_tables);
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
