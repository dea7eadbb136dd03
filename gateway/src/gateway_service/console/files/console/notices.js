// What an action said: shown at the foot of the window, and read out by screen readers.

import { button, h } from "./dom.js";

const said = document.getElementById("said");
const refused = document.getElementById("refused");

function show(region, tone, ...content) {
  clearNotices();
  region.replaceChildren(
    h("div", { class: `notice ${tone}` }, content, button("Dismiss", clearNotices, { class: "plain" })),
  );
}

/** Say what happened. */
export function announce(text, tone = "good") {
  show(said, tone, h("p", {}, text));
}

/** Say why something did not happen, with the id by which the log finds it. */
export function announceRefusal(error) {
  const id = error.requestId && h("p", {}, "Request id: ", h("code", {}, error.requestId));
  show(refused, "bad", h("p", { lang: error.language }, error.message), id);
}

export function clearNotices() {
  said.replaceChildren();
  refused.replaceChildren();
}
