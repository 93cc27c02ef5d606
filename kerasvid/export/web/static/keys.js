// Keys that work wherever the focus is, but in fields that take text.

import { byId } from "./document.js";

export function listenToKeys(app) {
  const press = (id) => () => {
    const button = byId(id);
    if (!button.hidden && !button.parentElement.hidden) button.click();
  };
  const meanings = {
    " ": press("play"),
    r: press("redraw-all"),
    c: press("redraw-content"),
    m: press("redraw-motion"),
    ",": () => app.transport.goTo(app.state.frame - 1),
    ".": () => app.transport.goTo(app.state.frame + 1),
    b: () => {
      const focused = app.grid.buttons.indexOf(document.activeElement);
      if (focused >= 0) app.grid.setOther(focused);
    },
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { target } = event;
    if (target.matches("select, input:not([type=range])")) return;
    if (event.key === " " && target.matches("button:not(.clip)")) return; // it presses that button
    const act = meanings[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
