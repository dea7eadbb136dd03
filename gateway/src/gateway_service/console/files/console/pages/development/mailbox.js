// The mails that were sent, newest first.

import { h, table, time } from "../../dom.js";
import { action } from "../../forms.js";
import { cursorLinks, readList } from "../../lists.js";
import { address, go, parameters } from "../../router.js";

const row = ({ id, to, subject, keptAt }) => [h("a", { href: address("/mail", { id }) }, subject), to, time(keptAt)];

export async function render() {
  const values = Object.fromEntries(parameters());
  const data = await readList("/api/auth/mailbox", values);
  return [
    h("p", {}, "On this machine, mails are stored here instead of being sent. A new one appears within a second or two."),
    h("div", { class: "row" }, action("Refresh", () => go("/mailbox", "The list is up to date."))),
    data.mails.length ? table("Mails", ["Subject", "To", "When"], data.mails.map(row)) : h("p", {}, "There are no mails yet."),
    cursorLinks("/mailbox", values, data.nextBefore, "before"),
  ];
}
