// All users, found by the beginning of a word of their names.

import { h, table, tag, time } from "../../dom.js";
import { field, form } from "../../forms.js";
import { cursorLinks, readList, search } from "../../lists.js";
import { address, parameters } from "../../router.js";

const USERS = "/api/users";

export const roleTags = (roles) => roles.map((role) => tag(role.replace("ROLE_", "").toLowerCase()));

function row(user) {
  return [
    h("a", { href: address("/user", { id: user.id }) }, user.username),
    user.email,
    roleTags(user.roles),
    user.disabled ? tag("Disabled", "bad") : tag("Enabled", "good"),
    time(user.createdAt),
  ];
}

export async function render() {
  const values = Object.fromEntries(parameters());
  const data = await readList(USERS, values);
  const found = data.users.length
    ? table("Users", ["User name", "E-mail address", "Roles", "State", "Member since"], data.users.map(row))
    : h("p", {}, "No user matches.");
  return [
    form(
      field("search", "Search", {
        type: "search",
        value: values.search ?? "",
        hint: "The beginning of a word of a user name or an e-mail address.",
      }),
      "Search",
      (wanted) => search("/users", USERS, wanted, `Searched for ${wanted.search || "everybody"}.`),
    ),
    h("h2", {}, values.search ? `Users found for “${values.search}”` : "All users"),
    found,
    cursorLinks("/users", values, data.nextCursor),
  ];
}
