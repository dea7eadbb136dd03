// One's own sessions: where, when, and an end to them.

import { call } from "../../api.js";
import { h, table, tag, time } from "../../dom.js";
import { action } from "../../forms.js";
import { cut } from "../../lists.js";
import { go } from "../../router.js";

const BROWSERS = [
  [/Edg(A|iOS)?\//, "Edge"],
  [/Firefox\/|FxiOS\//, "Firefox"],
  [/Chrom(e|ium)\/|CriOS\//, "Chrome"],
  [/Safari\//, "Safari"],
];
const SYSTEMS = [
  [/Android/, "Android"],
  [/iPhone|iPad/, "iOS"],
  [/Windows/, "Windows"],
  [/Mac OS X/, "macOS"],
  [/CrOS/, "ChromeOS"],
  [/Linux/, "Linux"],
];

/** What a `User-Agent` means, as far as people know the words. */
function deviceName(userAgent) {
  const find = (names) => names.find(([pattern]) => pattern.test(userAgent))?.[1];
  const browser = find(BROWSERS);
  const system = find(SYSTEMS);
  if (!browser) return userAgent || "An unknown device";
  return system ? `${browser} on ${system}` : browser;
}

async function end(path) {
  const { data, said } = await call("DELETE", `/api/users/me/sessions${path}`);
  const count = data.ended === undefined ? "" : ` Ended: ${data.ended}.`;
  go(location.hash.slice(1), [said, count]);
}

function row(each) {
  const device = deviceName(each.device);
  return [
    h("span", { title: each.device }, device),
    each.address,
    time(each.createdAt),
    time(each.lastUsedAt),
    time(each.expiresAt),
    each.current
      ? tag("This session", "good")
      : action("End", () => end(`/${each.id}`), { "aria-label": `End the session of ${device} at ${each.address}` }),
  ];
}

export async function render() {
  const { data } = await call("GET", "/api/users/me/sessions");
  const { shown, nav } = cut("/sessions", data.sessions);
  return [
    h("p", {}, "A session is one sign-in on one device."),
    table("Your live sessions", ["Device", "Address", "Signed in", "Last used", "Expires", "Action"], shown.map(row)),
    nav,
    data.sessions.length > 1 &&
      h("div", { class: "row" }, action("End all others", () => end(""), { class: "danger" })),
  ];
}
