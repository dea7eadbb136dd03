// All that is held of one, and the way out.

import { call } from "../../api.js";
import { confirm } from "../../dialogs.js";
import { h, time } from "../../dom.js";
import { action } from "../../forms.js";
import { announce } from "../../notices.js";
import { go } from "../../router.js";
import { session } from "../../session.js";

/** Hand a document to the browser as a file. */
function save(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  h("a", { href: url, download: name }).click();
  URL.revokeObjectURL(url);
}

async function exportAll() {
  const { data } = await call("GET", "/api/users/me/export");
  save(`${session.user.username}.json`, JSON.stringify(data, null, 2));
  announce("The saved file has all data about you.");
}

async function leave() {
  const text = "You are signed out everywhere, and the account is deleted after a grace period. To keep it, sign in before then.";
  if (!(await confirm("Delete your account?", text, "Delete"))) return;
  const { data, said } = await call("DELETE", "/api/users/me");
  session.forget();
  go("/", [said, " It is deleted on ", time(data.deletedAt), "."], "wait");
}

export const render = () => [
  h("h2", {}, "Export your data"),
  h("p", {}, "A file with all data about you: profile, sessions, second factors and recorded events."),
  action("Save the file", exportAll),
  h("h2", {}, "Delete your account"),
  h("p", {}, "Your account is deleted after a grace period. Signing in during that time keeps it."),
  action("Delete my account", leave, { class: "danger" }),
];
