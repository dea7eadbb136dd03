// Draws a QR code that the API has made: dark on light, whatever the page's colours are.

import { svg } from "./dom.js";

const QUIET = 4; // light modules around it, which readers need

/** The rows are texts of 0 and 1, where 1 is dark. */
export function qrCode(rows, label) {
  const size = rows.length + 2 * QUIET;
  const dark = rows.flatMap((row, y) =>
    [...row.matchAll(/1+/g)].map((run) => `M${run.index + QUIET} ${y + QUIET}h${run[0].length}v1h-${run[0].length}z`),
  );
  return svg(
    "svg",
    { class: "qr", viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": label, "shape-rendering": "crispEdges" },
    svg("rect", { width: size, height: size, fill: "#fff" }),
    svg("path", { d: dark.join(""), fill: "#000" }),
  );
}
