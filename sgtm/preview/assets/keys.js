// Keys: single letters, but not while somebody writes, and never with a modifier.

import * as dialogs from "./dialogs.js";

/** Listens to the whole page. `acts` are what people do; `move(step)`, `tab(step)` and `tabAt(index)` what only
 *  keys do; `hasRequest()` whether one is open. */
export function listenToKeys(acts, { move, stepTab, tabAt, hasRequest }) {
  const keys = {
    j: () => move(1),
    ArrowDown: () => move(1),
    k: () => move(-1),
    ArrowUp: () => move(-1),
    "[": () => stepTab(-1),
    "]": () => stepTab(1),
    "/": () => focusOn("filter"),
    f: acts.openFind,
    s: () => {
      if (hasRequest()) {
        acts.tab("data");
        focusOn("search");
      }
    },
    p: acts.pause,
    c: acts.clear,
    t: acts.copyTest,
    r: acts.replay,
    h: acts.how,
    d: acts.theme,
    "?": acts.help,
    Escape: acts.close,
  };
  const actOf = (event) => {
    if (event.key.startsWith("Arrow") && event.target.closest?.(".panel, [role=radio]")) return undefined; // it scrolls
    if (/^[1-9]$/.test(event.key) && hasRequest()) return () => tabAt(event.key - 1);
    return keys[event.key];
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || dialogs.isOpen()) return;
    const field = event.target.closest?.("input, select, textarea");
    if (field && event.key === "Escape") field.blur();
    const act = field ? undefined : actOf(event);
    if (!act && event.key !== "Escape") return;
    event.preventDefault();
    act?.();
  });
}

/** Once it has been drawn. */
export function focusOn(id) {
  requestAnimationFrame(() =>
    requestAnimationFrame(() => {
      document.getElementById(id)?.focus();
      document.getElementById(id)?.select?.();
    }),
  );
}
