// The keys that sign access tokens, and when each takes the next step of its life.

import { call } from "../../api.js";
import { h, svg, table, tag, time } from "../../dom.js";
import { cut } from "../../lists.js";

const STATES = {
  next: ["Next", "wait"],
  active: ["Signs", "good"],
  retiring: ["Retiring", ""],
};
const PHASES = [
  ["waiting", "published, not yet signing"],
  ["signing", "signs"],
  ["leaving", "published to verify what it signed"],
];

const WIDTH = 800;
const ROW = 34;
const BAR = 18;
const LEFT = 90;
const SHORT_KID = 10;

const at = (moment) => new Date(moment).getTime();

/** A row of bars for each key, on one axis of time. */
function timeline({ keys, now }) {
  const first = Math.min(...keys.map((key) => at(key.publishedAt)));
  const last = Math.max(...keys.map((key) => at(key.unpublishedAt)));
  const x = (moment) => LEFT + ((at(moment) - first) / (last - first)) * (WIDTH - LEFT - 10);
  const height = keys.length * ROW + 24;
  const bar = (kind, from, to, row) =>
    svg("rect", { class: kind, x: x(from), y: row * ROW + 8, width: Math.max(2, x(to) - x(from)), height: BAR, rx: 3 });
  const rows = keys.flatMap((key, row) => [
    svg("text", { x: 0, y: row * ROW + 21 }, key.kid.slice(0, SHORT_KID)),
    bar("waiting", key.publishedAt, key.signsFrom, row),
    bar("signing", key.signsFrom, key.signsUntil, row),
    bar("leaving", key.signsUntil, key.unpublishedAt, row),
  ]);
  return svg(
    "svg",
    { class: "chart", viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": "The life of each key; the table below says the same." },
    rows,
    svg("line", { class: "now", x1: x(now), x2: x(now), y1: 0, y2: height - 18 }),
    svg("text", { x: x(now) + 4, y: height - 6 }, "now"),
  );
}

const legend = () =>
  h("ul", { class: "legend" }, PHASES.map(([kind, words]) =>
    h("li", {}, svg("svg", { class: "chart", viewBox: "0 0 10 10", "aria-hidden": "true" }, svg("rect", { class: kind, width: 10, height: 10 })), words),
  ));

function row(key) {
  const [words, tone] = STATES[key.state];
  return [
    h("code", {}, key.kid),
    tag(words, tone),
    time(key.publishedAt),
    time(key.signsFrom),
    time(key.signsUntil),
    time(key.unpublishedAt),
  ];
}

export async function render() {
  const { data } = await call("GET", "/api/signing-keys");
  const columns = ["Key", "State", "Published", "Signs from", "Signs until", "Unpublished"];
  const { shown, nav } = cut("/keys", data.keys);
  return [
    h("p", {}, "The next key is always published in advance, so that every verifier knows it before it signs."),
    h("div", { class: "card" }, timeline({ ...data, keys: shown }), legend()),
    h("h2", {}, "Schedule"),
    table("Signing keys", columns, shown.map(row)),
    nav,
  ];
}
