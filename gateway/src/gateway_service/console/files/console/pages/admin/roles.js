// The roles that can be given.

import { call } from "../../api.js";
import { confirm } from "../../dialogs.js";
import { h, table } from "../../dom.js";
import { action, field, form } from "../../forms.js";
import { cut } from "../../lists.js";
import { go } from "../../router.js";

async function add({ name, description }) {
  const { data } = await call("POST", "/api/roles", { name, description });
  go("/roles", `The role ${data.name} has been added.`);
}

async function remove(name) {
  if (!(await confirm(`Remove the role ${name}?`, "Only a role that nobody has can be removed.", "Remove"))) return;
  const { said } = await call("DELETE", `/api/roles/${encodeURIComponent(name)}`);
  go(location.hash.slice(1), said);
}

export async function render() {
  const { data } = await call("GET", "/api/roles");
  const { shown, nav } = cut("/roles", data.details);
  const row = ({ name, description }) => [
    name,
    description,
    action("Remove", () => remove(name), { "aria-label": `Remove the role ${name}` }),
  ];
  return [
    table("Roles", ["Name", "Description", "Action"], shown.map(row)),
    nav,
    h("h2", {}, "Add a role"),
    h(
      "div",
      { class: "narrow" },
      form(
        [
          field("name", "Name", { required: true, maxlength: 32, hint: "Lower-case letters, digits, - and _, beginning with a letter." }),
          field("description", "Description", { required: true, hint: "One line: what the role gives access to." }),
        ],
        "Add",
        add,
        { name: "Add a role" },
      ),
    ),
  ];
}
