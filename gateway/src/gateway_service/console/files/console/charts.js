// Small charts. Each says its last value in words, so the picture is never the only source.

import { h, svg } from "./dom.js";

const WIDTH = 320;
const HEIGHT = 90;

const shownNumber = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });

/** A line of the last values, which come from the right; `room` is how many fit. */
export function lineChart(title, values, room) {
  const top = Math.max(1, ...values);
  const x = (index) => WIDTH - ((values.length - 1 - index) / (room - 1)) * WIDTH;
  const y = (value) => HEIGHT - (value / top) * (HEIGHT - 6);
  const points = values.map((value, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`);
  const last = values.length ? shownNumber.format(values.at(-1)) : "not yet known";
  const most = shownNumber.format(top);
  return h(
    "figure",
    { class: "figure" },
    h("figcaption", {}, `${title}: `, h("strong", { class: "numbers" }, last)),
    svg(
      "svg",
      { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}, the last two minutes: ${last} now, ${most} at the top` },
      svg("line", { class: "axis", x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT }),
      points.length > 1 && svg("polygon", { class: "area", points: `${x(0)},${HEIGHT} ${points.join(" ")} ${WIDTH},${HEIGHT}` }),
      points.length > 1 && svg("polyline", { class: "line", points: points.join(" ") }),
      svg("text", { x: 2, y: 12 }, most),
    ),
  );
}
