// Judge pages in a browser that runs: node judge.mjs PORT URL...
// Prints, for each page, the scores of its categories and what was not right.

import lighthouse from "lighthouse";

const [port, ...urls] = process.argv.slice(2);
const options = {
  port: Number(port),
  onlyCategories: ["accessibility", "best-practices"],
  formFactor: "desktop",
  screenEmulation: { disabled: true },
  throttlingMethod: "provided",
  disableStorageReset: true,
};

for (const url of urls) {
  const { lhr } = await lighthouse(url, options);
  const wrong = Object.values(lhr.audits).filter(({ score }) => score !== null && score < 1);
  const scores = Object.values(lhr.categories).map(({ id, score }) => [id, score]);
  console.log(JSON.stringify({
    url,
    scores: Object.fromEntries(scores),
    wrong: wrong.map(({ id, title, displayValue }) => `${id}: ${title} ${displayValue ?? ""}`),
    error: lhr.runtimeError ?? null,
  }));
}
