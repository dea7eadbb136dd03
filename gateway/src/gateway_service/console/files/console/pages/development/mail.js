// One mail, as text: its HTML part says the same, and is not shown.

import { call } from "../../api.js";
import { facts, h, time } from "../../dom.js";
import { isOwnHost } from "../../offers.js";
import { parameters } from "../../router.js";

const LINK = /(https?:\/\/\S+)/;

/** The text, with links that lead to this machine: others may come from whoever chose a user name. */
const linked = (text) =>
  text.split(LINK).map((part) => {
    if (!LINK.test(part) || !URL.canParse(part) || !isOwnHost(new URL(part).hostname)) return part;
    return h("a", { href: part, rel: "noreferrer" }, part);
  });

export async function render() {
  const { data: mail } = await call("GET", `/api/auth/mailbox/${encodeURIComponent(parameters().get("id") ?? "")}`);
  return [
    facts([
      ["Subject", mail.subject],
      ["To", mail.to],
      ["When", time(mail.keptAt)],
    ]),
    h("pre", { class: "wrap", tabindex: "0" }, linked(mail.text)),
    h("p", {}, h("a", { href: "#/mailbox" }, "All mails")),
  ];
}
