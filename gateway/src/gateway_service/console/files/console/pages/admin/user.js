// One user: roles, sessions, state, and the end.

import { call } from "../../api.js";
import { confirm } from "../../dialogs.js";
import { facts, h, tag, time } from "../../dom.js";
import { action, check, form } from "../../forms.js";
import { announce } from "../../notices.js";
import { address, go, parameters } from "../../router.js";
import { session } from "../../session.js";

export async function render() {
  const id = parameters().get("id");
  const path = `/api/users/${encodeURIComponent(id)}`;
  const [{ data: user }, { data: known }] = await Promise.all([call("GET", path), call("GET", "/api/roles")]);
  async function here(message) {
    if (String(session.user.id) === id) await session.update(); // the menu is of one's own roles
    go(address("/user", { id }).slice(1), message);
  }

  async function setRoles(_, element) {
    const roles = new FormData(element).getAll("roles");
    await call("PUT", `${path}/roles`, { roles });
    await here(`${user.username} now has ${roles.length ? `the roles ${roles.join(", ")}` : "no roles"}.`);
  }
  async function setDisabled() {
    await call("PATCH", path, { disabled: !user.disabled });
    await here(user.disabled ? `${user.username} can sign in again.` : `${user.username} is disabled and signed out.`);
  }
  async function endSessions() {
    const { data, said } = await call("DELETE", `${path}/sessions`);
    announce([said, ` Ended: ${data.ended}.`]);
  }
  async function sendReset() {
    announce((await call("POST", `${path}/password-reset`)).said);
  }
  async function remove() {
    const text = `${user.username} and all their sessions are deleted. This cannot be undone.`;
    if (!(await confirm(`Delete ${user.username}?`, text, "Delete"))) return;
    const { said } = await call("DELETE", path);
    go("/users", said);
  }

  const roles = known.details.map(({ name, description }) =>
    check("roles", `${name}: ${description}`, { value: name, checked: user.roles.includes(`ROLE_${name.toUpperCase()}`) }),
  );
  return [
    h("h2", {}, user.username),
    facts([
      ["Number", String(user.id)],
      ["E-mail address", user.email],
      ["State", user.disabled ? tag("Disabled", "bad") : tag("Enabled", "good")],
      ["Member since", time(user.createdAt)],
      ["Last changed", time(user.updatedAt)],
    ]),
    h("div", { class: "card" }, form(h("fieldset", {}, h("legend", {}, "Roles"), roles), "Save the roles", setRoles)),
    h(
      "div",
      { class: "card row" },
      action("End all sessions", endSessions),
      action("Mail a link for a new password", sendReset),
      action(user.disabled ? "Enable" : "Disable", setDisabled),
      action("Delete", remove, { class: "danger" }),
      h("a", { href: address("/audit", { subject: id }) }, "What was done to this user"),
    ),
    h("p", {}, h("a", { href: "#/users" }, "All users")),
  ];
}
