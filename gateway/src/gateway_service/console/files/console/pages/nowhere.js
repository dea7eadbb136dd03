import { h } from "../dom.js";

export const render = () => [
  h("p", {}, "Nothing is at this address."),
  h("a", { href: "#/" }, "Go to the start"),
];
