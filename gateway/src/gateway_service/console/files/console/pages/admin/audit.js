// Who did what, when and from where; and whether anybody has changed the record.

import { call } from "../../api.js";
import { facts, h, table, tag, time } from "../../dom.js";
import { action, field, form } from "../../forms.js";
import { cursorLinks, readList, search } from "../../lists.js";
import { announce } from "../../notices.js";
import { address, parameters } from "../../router.js";

const EVENTS = "/api/audit";
const LAST_MOMENT = "9999-12-31T23:59";
const ASK_AGAIN_MS = 2000;

/** An input of the browser's own time, for a moment of the address. */
function localTime(moment) {
  if (!moment) return "";
  const at = new Date(moment);
  return new Date(at - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

const instant = (text) => (text ? new Date(text).toISOString() : "");

function filters(values) {
  const submit = ({ actor, subject, action: what, since, until }) => {
    const wanted = { actor, subject, action: what, since: instant(since), until: instant(until) };
    return search("/audit", EVENTS, wanted, "The events that match are shown.");
  };
  return form(
    h(
      "div",
      { class: "row end" },
      field("action", "Action", { value: values.action ?? "", placeholder: "session.signed_in" }),
      field("actor", "By user number", { value: values.actor ?? "", inputmode: "numeric", pattern: "[0-9]*" }),
      field("subject", "To user number", { value: values.subject ?? "", inputmode: "numeric", pattern: "[0-9]*" }),
      field("since", "Since", { type: "datetime-local", value: localTime(values.since), max: LAST_MOMENT }),
      field("until", "Until", { type: "datetime-local", value: localTime(values.until), max: LAST_MOMENT }),
    ),
    "Show",
    submit,
    { name: "Filters" },
  );
}

const user = (id) => (id === null ? "nobody" : h("a", { href: address("/user", { id }) }, String(id)));

function row(event) {
  const details = Object.entries(event.details).map(([name, value]) => `${name}: ${value}`);
  return [
    h("code", {}, event.action),
    time(event.at),
    user(event.actor),
    user(event.subject),
    event.address || "the system",
    details.join(", ") || "none",
    h("code", {}, event.requestId || "none"),
  ];
}

/** Ask until the chain has been followed to its end. */
async function verdict(signal) {
  for (;;) {
    const { status, data } = await call("GET", "/api/audit/chain");
    if (status === 200 || signal.aborted) return data;
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  }
}

function chain(signal) {
  const shown = h("div");
  async function verify() {
    shown.replaceChildren(h("p", { class: "busy" }, "The chain is being verified."));
    const found = await verdict(signal).catch((error) => {
      shown.replaceChildren();
      throw error;
    });
    const words = found.intact
      ? `The record is intact: ${found.events} events, none changed, missing or out of place.`
      : `The record was changed: event ${found.brokenAt} is not what was written.`;
    shown.replaceChildren(
      h("p", {}, tag(found.intact ? "Intact" : "Changed", found.intact ? "good" : "bad"), words),
      facts([
        ["Verified", time(found.verifiedAt)],
        ["Last hash", h("code", {}, found.lastHash)],
      ]),
      h("p", { class: "quiet" }, "Store the last hash elsewhere: it changes if somebody rewrites the whole chain."),
    );
    announce(words, found.intact ? "good" : "bad");
  }
  return h(
    "section",
    { class: "card", "aria-labelledby": "chain" },
    h("h2", { id: "chain" }, "The chain of hashes"),
    h("p", {}, "Each event has a hash over all events before it, so that changes to the record are detected."),
    shown,
    action("Verify the chain", verify),
  );
}

export async function render(signal) {
  const values = Object.fromEntries(parameters());
  const data = await readList(EVENTS, values);
  const columns = ["Action", "When", "By", "To", "From", "Details", "Request id"];
  return [
    filters(values),
    h("h2", {}, "Events, newest first"),
    data.events.length ? table("Audit events", columns, data.events.map(row)) : h("p", {}, "No event matches."),
    cursorLinks("/audit", values, data.nextCursor),
    chain(signal),
  ];
}
