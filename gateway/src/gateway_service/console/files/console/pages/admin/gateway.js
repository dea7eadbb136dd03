// The gateway as it is now: rate and latency as they come, and each replica behind it.

import { call } from "../../api.js";
import { lineChart } from "../../charts.js";
import { button, facts, h, table, tag } from "../../dom.js";
import { announce, announceRefusal } from "../../notices.js";

const EVERY_MS = 2000;
const MOST_SAMPLES = 60;

const HEALTH = { ready: "good", unknown: "wait" };

/** What happened between two looks at a gateway's counters, which begin anew when it is restarted. */
function between(before, now) {
  const seconds = (now.at - before.at) / 1000;
  const count = now.requests.count - before.requests.count;
  if (count < 0 || seconds <= 0) return { rate: 0, latency: 0 };
  const busy = now.requests.seconds - before.requests.seconds;
  return { rate: count / seconds, latency: count ? (busy / count) * 1000 : 0 };
}

/** One gateway: its samples of the last minutes, and a section that shows them. */
class Gateway {
  samples = [];
  section = h("section", { class: "card" });

  show({ url, reachable, reason, status }, at) {
    const title = h("h2", {}, url);
    if (!reachable) {
      this.last = null;
      this.section.replaceChildren(title, tag("Cannot be reached", "bad"), ` ${reason}`);
      return;
    }
    const now = { at, requests: status.requests };
    if (this.last) this.samples = [...this.samples, between(this.last, now)].slice(-MOST_SAMPLES);
    this.last = now;
    if (this.section.contains(document.activeElement)) return; // nobody loses the place they are reading
    this.section.replaceChildren(
      title,
      h(
        "div",
        { class: "cards" },
        lineChart("Requests a second", this.samples.map(({ rate }) => rate), MOST_SAMPLES),
        lineChart("Mean latency in ms", this.samples.map(({ latency }) => latency), MOST_SAMPLES),
      ),
      ...Object.entries(status.upstreams).map(upstreamTable),
      facts([
        ["Requests refused by rate limits", String(status.rate_limits.refused)],
        ["Rate limits are counted in", status.rate_limits.store],
      ]),
    );
  }
}

function upstreamTable([name, upstream]) {
  const columns = ["Replica", "Health", "In flight", "Requests", "Failures in a row", "Ejected for"];
  const rows = upstream.replicas.map((replica) => [
    h("code", {}, replica.address),
    tag(replica.readiness.replace("_", " "), HEALTH[replica.readiness] ?? "bad"),
    String(replica.in_flight),
    String(replica.requests),
    String(replica.failures_in_a_row),
    replica.ejected_for ? `${replica.ejected_for} s` : "not ejected",
  ]);
  const most = upstream.limit ?? "any number";
  return h("div", {}, h("h3", {}, `${name}: ${upstream.in_flight} of ${most} in flight`), table(`Replicas of ${name}`, columns, rows));
}

/** Which replicas there are and how they are, as one text to compare. */
const healthOf = (gateways) =>
  gateways
    .map(({ url, reachable, status }) =>
      reachable
        ? Object.values(status.upstreams).flatMap(({ replicas }) => replicas.map((each) => `${each.address} is ${each.readiness}`))
        : `${url} cannot be reached`)
    .flat()
    .join(", ");

export async function render(leaving) {
  const known = new Map();
  const none = h("p", {}, "No gateway is configured: name them in IDENTITY_GATEWAY_STATUS_URLS.");
  const shown = h("div", {}, none);
  let isPaused = false;
  let health = null;
  let fault = null;

  async function look() {
    const { data } = await call("GET", "/api/gateway");
    const urls = new Set(data.gateways.map(({ url }) => url));
    for (const [url, { section }] of known) {
      if (urls.has(url)) continue;
      section.remove(); // it was replaced by another one, or is not wanted any more
      known.delete(url);
    }
    for (const each of data.gateways) {
      if (!known.has(each.url)) {
        known.set(each.url, new Gateway());
        shown.append(known.get(each.url).section);
      }
      known.get(each.url).show(each, Date.now());
    }
    none.hidden = urls.size > 0;
    const seen = healthOf(data.gateways);
    if (health !== null && seen !== health) announce(`The state of a replica has changed: ${seen}.`, "wait");
    health = seen;
  }

  /** Say what is wrong once, not every two seconds. */
  function complain(error) {
    if (!leaving.aborted && error.message !== fault) announceRefusal(error);
    fault = error.message;
  }

  async function repeat() {
    while (!leaving.aborted) {
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
      if (isPaused || document.hidden || leaving.aborted) continue;
      await look().then(() => (fault = null), complain);
    }
  }

  const pause = button("Pause", () => {
    isPaused = !isPaused;
    pause.textContent = isPaused ? "Resume" : "Pause";
    announce(isPaused ? "Updates are paused." : "Updates continue.");
  });
  await look();
  repeat();
  return [h("div", { class: "row" }, h("p", { class: "quiet" }, "Updated every two seconds."), pause), shown];
}
