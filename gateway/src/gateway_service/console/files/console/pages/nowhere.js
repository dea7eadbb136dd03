import { h } from "../dom.js";

export const render = () => [
  h("p", {}, "There is no page at this address."),
  h("a", { href: "#/" }, "Go to the start page"),
];
