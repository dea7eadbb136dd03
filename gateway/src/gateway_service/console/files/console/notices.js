// What an action said: shown at the foot of the window, and read out by screen readers.

import { h } from "./dom.js";

const said = document.getElementById("said");
const refused = document.getElementById("refused");

/** A button that returns the focus to where it came from. */
function dismissButton() {
  let before = null;
  const on = {
    focus: ({ relatedTarget }) => (before = relatedTarget),
    click() {
      clearNotices();
      (before?.isConnected ? before : document.querySelector("main h1")).focus({ preventScroll: true });
    },
  };
  return h("button", { type: "button", class: "plain", on }, "Dismiss");
}

function show(region, tone, ...content) {
  clearNotices();
  region.replaceChildren(h("div", { class: `notice ${tone}` }, content, dismissButton()));
}

/** Say what happened. */
export function announce(text, tone = "good") {
  show(said, tone, h("p", {}, text));
}

/** Say why something did not happen, with the id by which the log finds it. */
export function announceRefusal(error) {
  const id = error.requestId && h("p", {}, "Request id: ", h("code", {}, error.requestId));
  show(refused, "bad", h("p", {}, error.said ?? error.message), id);
}

export function clearNotices() {
  said.replaceChildren();
  refused.replaceChildren();
}
