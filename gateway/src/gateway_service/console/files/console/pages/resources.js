// The four resources, each with what the gateway responded.

import { call } from "../api.js";
import { facts, h, tag } from "../dom.js";
import { action } from "../forms.js";
import { announce } from "../notices.js";

const RESOURCES = [
  ["all", "Public", "For everybody."],
  ["user", "User", "For everybody who has signed in."],
  ["mod", "Moderator", "For the role moderator, which the role admin does not include."],
  ["admin", "Admin", "For the role admin."],
];

/** The response, or the refusal in its place: both are what this page is for. */
async function read(path) {
  try {
    return await call("GET", path);
  } catch (error) {
    if (!error.status) throw error;
    return error;
  }
}

function card([name, title, text]) {
  const path = `/api/test/${name}`;
  const shown = h("div");
  async function show() {
    const response = await read(path);
    const isOpen = !(response instanceof Error);
    shown.replaceChildren(
      facts([
        ["Status", tag(String(response.status), isOpen ? "good" : "bad")],
        ["Response", isOpen ? response.text : response.said],
        ["Request id", h("code", {}, response.requestId)],
      ]),
    );
    announce([`${title}: ${response.status}, `, isOpen ? response.text : response.said], isOpen ? "good" : "bad");
  }
  return h(
    "li",
    { class: "card" },
    h("h2", {}, title),
    h("p", {}, text),
    h("p", {}, h("code", {}, `GET ${path}`)),
    h("div", { class: "row" }, action(`Read ${title.toLowerCase()}`, show)),
    shown,
  );
}

export const render = () => h("ul", { class: "cards" }, RESOURCES.map(card));
