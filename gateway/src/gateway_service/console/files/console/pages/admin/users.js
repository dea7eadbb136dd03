// All users, found by the beginning of a word of their names.

import { call } from "../../api.js";
import { h, table, tag, time } from "../../dom.js";
import { field, form } from "../../forms.js";
import { PAGE_SIZE, cursorLinks } from "../../lists.js";
import { address, go, parameters } from "../../router.js";

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
  const query = new URLSearchParams({ ...values, limit: PAGE_SIZE });
  const { data } = await call("GET", `/api/users?${query}`);
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
      ({ search }) => go(address("/users", { search }).slice(1), `Searched for ${search || "everybody"}.`),
    ),
    h("h2", {}, values.search ? `Users found for “${values.search}”` : "All users"),
    found,
    cursorLinks("/users", values, data.nextCursor),
  ];
}
