// One's own passkeys: make, name, remove.

import { call } from "../../api.js";
import { confirm } from "../../dialogs.js";
import { h, table, time } from "../../dom.js";
import { action, field, form } from "../../forms.js";
import { cut } from "../../lists.js";
import { announce } from "../../notices.js";
import { canUsePasskeys, makePasskey } from "../../passkeys.js";
import { go } from "../../router.js";
import { showCodes } from "./second_factor.js";

const PASSKEYS = "/api/users/me/passkeys";

async function rename({ id }, { name }) {
  await call("PATCH", `${PASSKEYS}/${id}`, { name });
  go("/passkeys", `The passkey is now called ${name}.`);
}

async function remove({ id, name }) {
  if (!(await confirm(`Remove ${name}?`, "It will no longer sign you in. Your device may still offer it.", "Remove"))) return;
  const { said } = await call("DELETE", `${PASSKEYS}/${id}`);
  go("/passkeys", said);
}

function row(each) {
  return [
    each.name,
    each.backedUp ? "On several devices" : "On one device",
    time(each.createdAt),
    time(each.lastUsedAt),
    h(
      "div",
      { class: "row" },
      form(
        field("name", `New name of ${each.name}`, { key: `-${each.id}`, required: true, maxlength: 64 }),
        "Rename",
        (values) => rename(each, values),
      ),
      action("Remove", () => remove(each), { class: "danger", "aria-label": `Remove the passkey ${each.name}` }),
    ),
  ];
}

export async function render() {
  const { data } = await call("GET", PASSKEYS);
  const { shown, nav } = cut("/passkeys", data.passkeys);
  const page = h("div");
  async function add({ name }) {
    const credential = await makePasskey();
    const { data: passkey } = await call("POST", PASSKEYS, { name, credential });
    if (!passkey.recoveryCodes.length) {
      go("/passkeys", `The passkey ${passkey.name} is registered.`);
      return;
    }
    showCodes(page, passkey.recoveryCodes);
    announce(`The passkey ${passkey.name} is registered. Keep the recovery codes.`);
  }
  const columns = ["Name", "Stored", "Created", "Last used", "Actions"];
  page.append(
    h("p", {}, "A passkey signs you in with your device's own lock: fingerprint, face or PIN. It cannot be phished."),
    data.passkeys.length ? table("Your passkeys", columns, shown.map(row)) : h("p", {}, "You have no passkeys yet."),
    nav ?? "",
    canUsePasskeys()
      ? h(
          "div",
          { class: "narrow" },
          h("h2", {}, "Add a passkey"),
          form(field("name", "Name", { value: "Passkey", required: true, maxlength: 64 }), "Add a passkey", add),
        )
      : h("p", {}, "This browser does not support passkeys."),
  );
  return page;
}
