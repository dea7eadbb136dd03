// Walk the console in Firefox, by WebDriver BiDi: node walk.mjs FIREFOX BASE_URL USER PASSWORD AXE
// Prints what was wrong, and which pages were seen.

import { readFileSync } from "node:fs";
import puppeteer from "puppeteer-core";

const [executablePath, baseUrl, user, password, axePath] = process.argv.slice(2);
const axe = readFileSync(axePath, "utf-8");
const faults = [];
const seen = [];

const browser = await puppeteer.launch({ browser: "firefox", executablePath, headless: true, timeout: 90_000 });
const page = await browser.newPage();
page.setDefaultTimeout(40_000);
page.on("console", (message) => {
  if (message.type() === "error") faults.push(`console: ${message.text()}`);
});
page.on("pageerror", (error) => faults.push(`exception: ${error.message}`));
page.on("request", (request) => {
  if (!request.url().startsWith(baseUrl)) faults.push(`another host: ${request.url()}`);
});

/** Wait until a page is drawn, and have axe-core judge it. */
async function judge(title) {
  await page.waitForFunction(
    (wanted) => document.querySelector("main:not([aria-busy]) h1")?.textContent === wanted, {}, title);
  await page.evaluate(axe);
  const found = await page.evaluate(async () =>
    (await axe.run(document, { preload: false })).violations
      .filter(({ impact }) => ["serious", "critical"].includes(impact))
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`));
  faults.push(...found.map((each) => `${title}: ${each}`));
  seen.push(title);
}

/** Have a script fail where it is fetched for the first time, as while the gateway restarts; then try again. */
async function retry(title, script) {
  let refusals = 2; // of the import, and of the look at why it failed
  const refuse = (request) =>
    request.url().endsWith(script) && refusals-- > 0 ? request.respond({ status: 503 }) : request.continue();
  await page.setRequestInterception(true);
  page.on("request", refuse);
  const found = faults.length;
  await page.$$eval("#side a", (all, wanted) => all.find((each) => each.textContent === wanted).click(), title);
  await page.waitForFunction(() => document.getElementById("refused").textContent.includes("cannot be reached"));
  faults.length = found; // Firefox notes what could not be fetched
  await page.click("main button");
  await page.waitForSelector("main .cards");
  page.off("request", refuse);
  await page.setRequestInterception(false);
}

const texts = (selector) => page.$$eval(selector, (all) => all.map((each) => each.textContent));

async function walkMenu() {
  for (const title of await texts("#side a")) {
    await page.$$eval("#side a", (all, wanted) => all.find((each) => each.textContent === wanted).click(), title);
    await judge(title);
  }
}

/** Come back to a page that Firefox kept while its user signed out in another window. */
async function comeBack() {
  const kept = await browser.newPage();
  await kept.goto(`${baseUrl}/console#/profile`);
  await kept.waitForSelector("main:not([aria-busy]) form");
  await kept.evaluate(() => (window.isKept = true));
  await kept.goto(`${baseUrl}/problems`);
  await page.$eval("#who button", (signOut) => signOut.click());
  await page.waitForFunction(() => document.getElementById("said").textContent.includes("signed out"));
  await kept.evaluate(() => setTimeout(() => history.back()));
  await kept.waitForFunction(() => window.isKept && document.getElementById("said").textContent.includes("has ended"));
}

await page.goto(`${baseUrl}/console`);
await judge("Start");
await retry("Resources", "/pages/resources.js");
await walkMenu();
await page.goto(`${baseUrl}/console#/sign-in`);
await judge("Sign in");
await page.type("#field-username", user);
await page.type("#field-password", password);
await page.click("main button.main");
await page.waitForFunction((name) => document.getElementById("said").textContent.includes(name), {}, user);
await walkMenu();
await comeBack();
await browser.close();
console.log(JSON.stringify({ faults, seen }));
