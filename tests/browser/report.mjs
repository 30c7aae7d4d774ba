// Opens pages of hepar from disk in headless Chromium, as a user does, and looks at what they show.
//
// node report.mjs case REPORT.html [SCREENSHOTS]       the report of a case: viewer, clicks, keys, pixels
// node report.mjs outlines REPORT.html [SCREENSHOTS]   that of thick slices, all with liver: outlines alone are lines
// node report.mjs page PAGE.html [SCREENSHOTS]         any other page: it loads nothing and says no error
//
// Ends with 0 when everything is as it should be, with a sentence otherwise. CHROMIUM names the browser.
import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import AxeBuilder from "@axe-core/playwright";
import { HtmlValidate } from "html-validate";
import { chromium } from "playwright-core";

const [kind, file, folder] = process.argv.slice(2);
const problems = [];
const expect = (holds, what) => holds || problems.push(what);
const shot = async (page, name, options = {}) => {
  if (folder) await page.screenshot({ path: `${folder}/${name}.png`, ...options });
};
if (folder) mkdirSync(folder, { recursive: true });

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"],
});

// A page that tells of every error, and of every request but for itself.
const open = async (options = {}, before = async () => {}) => {
  const context = await browser.newContext({ viewport: { width: 1200, height: 1000 }, ...options });
  const page = await context.newPage();
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
  page.on("request", (request) => {
    const own = request.url() === pathToFileURL(resolve(file)).href || request.url().startsWith("data:");
    expect(own, `request: ${request.url().slice(0, 100)}`);
  });
  await before(page);
  await page.goto(pathToFileURL(resolve(file)).href);
  return page;
};

// What the pixels of an element are, by thirds of its width.
const pixels = async (page, selector) => {
  const png = (await page.locator(selector).screenshot()).toString("base64");
  return page.evaluate(async (png) => {
    const image = new Image();
    image.src = "data:image/png;base64," + png;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width, image.height];
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, image.width, image.height);
    const thirds = [0, 1, 2].map(() => ({ grey: 0, blue: 0, red: 0, yellow: 0, column: 0 }));
    for (let n = 0; n < data.length; n += 4) {
      const [r, g, b] = data.slice(n, n + 3);
      const x = (n / 4) % image.width;
      const third = thirds[Math.min(2, Math.floor((3 * x) / image.width))];
      if (Math.max(r, g, b) - Math.min(r, g, b) < 8 && r > 60) third.grey += 1;
      if (b > r + 15 && b > 60) third.blue += 1;
      if (r > b + 30 && r > g + 15) third.red += 1;
      if (r > 150 && g > 140 && b < 120) [third.yellow, third.column] = [third.yellow + 1, third.column + x];
    }
    return thirds.map((third) => ({ ...third, column: Math.round(third.column / Math.max(1, third.yellow)) }));
  }, png);
};

// What WCAG 2.2 AA asks for, contrast among it, as far as axe can tell.
const accessible = async (page, what) => {
  const { violations } = await new AxeBuilder({ page }).withTags(["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]).analyze();
  for (const { id, help, nodes } of violations) {
    problems.push(`${what}: ${help} (${id}), ${nodes.length} times: ${nodes[0].html.slice(0, 120)}`);
  }
};

// How far the viewer's `data-at` is from a point, in millimetres.
const distance = (at, point) => Math.hypot(...at.split(" ").map((value, n) => Number(value) - point[n]));

const ready = (page) =>
  page.waitForFunction(() => document.getElementById("viewer")?.dataset.ready === "yes", null, { timeout: 60000 });

const caseReport = async () => {
  const page = await open();
  await ready(page).catch(() => problems.push("the viewer did not start"));
  await page.waitForTimeout(500);
  await shot(page, "top");
  await shot(page, "whole", { fullPage: true });
  await accessible(page, "light");
  await page.emulateMedia({ colorScheme: "dark" });
  await accessible(page, "dark");
  await page.emulateMedia({ colorScheme: null });
  await page.locator("#viewer").scrollIntoViewIfNeeded();

  const planes = await pixels(page, "#viewer-planes");
  planes.forEach((third, n) => expect(third.grey > 1500, `plane ${n + 1} shows no scan: ${JSON.stringify(third)}`));
  const lesions = await page.locator("tbody button[data-lesion]").count();
  const liver = (await page.locator("#viewer-body").isVisible()) ? await pixels(page, "#viewer-body") : null;
  const sum = (thirds, key) => thirds.reduce((all, third) => all + third[key], 0);
  if (liver) {
    expect(sum(planes, "blue") > 1500, "no plane shows the liver");
    expect(sum(liver, "blue") > 3000, `the liver is not drawn: ${JSON.stringify(liver)}`);
  }
  if (lesions > 0) expect(sum(liver, "red") > 20, "no lesion is drawn in three dimensions");
  await shot(page, "viewer");

  const at = () => page.locator("#viewer").getAttribute("data-at");
  if (lesions > 1) {
    const before = [await at(), await pixels(page, "#viewer-planes")];
    await page.locator("tbody button[data-lesion='2']").click();
    await page.waitForTimeout(300);
    const after = [await at(), await pixels(page, "#viewer-planes")];
    expect(before[0] !== after[0], "a click on lesion 2 does not move the crosshair");
    const column = (thirds) => thirds.map((third) => third.column).join(" ");
    expect(column(before[1]) !== column(after[1]), "the crosshair is drawn where it was");
    const scene = JSON.parse(await page.locator("#scene").textContent());
    const off = distance(after[0], scene.lesions.find((lesion) => lesion.id === 2).at);
    expect(off <= 2 * Math.max(...scene.spacing), `the crosshair is ${off.toFixed(1)} mm off lesion 2`);
    await shot(page, "lesion-2");
  }
  const here = await at();
  await page.locator("#viewer-planes").focus();
  await page.keyboard.press("PageUp");
  await page.keyboard.press("ArrowLeft");
  expect((await at()) !== here, "keys do not move the crosshair");
  const turned = (await at()).split(" ").map(Number);
  const start = here.split(" ").map(Number);
  expect(turned[0] > start[0] && turned[2] > start[2], `left is to the patient's right, up to the head: ${here}`);
  await page.locator("#viewer-window").selectOption({ index: 1 });
  await page.locator("#viewer-outline").check();
  await page.waitForTimeout(300);
  await shot(page, "window");

  if (lesions > 1) {
    const column = () => page.locator("table[data-sort] tbody tr td:nth-child(4)").allInnerTexts();
    await page.locator("th button.sort", { hasText: "long axis" }).click();
    const up = (await column()).map(Number);
    expect(up.every((value, n) => n === 0 || value >= up[n - 1]), `not sorted: ${up}`);
  }
  await page.setViewportSize({ width: 390, height: 800 });
  await page.waitForTimeout(500);
  expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "wider than a telephone");
  await shot(page, "narrow", { fullPage: true });
  await page.emulateMedia({ media: "print" });
  if (folder) await page.pdf({ path: `${folder}/printed.pdf`, preferCSSPageSize: true });
  await page.context().close();
};

// On a telephone a finger moves the crosshair, and lesions are reached by a tap.
const touched = async () => {
  const page = await open({ hasTouch: true, isMobile: true, viewport: { width: 390, height: 800 } });
  await ready(page).catch(() => problems.push("the viewer did not start on a telephone"));
  const at = () => page.locator("#viewer").getAttribute("data-at");
  const planes = page.locator("#viewer-planes");
  await planes.scrollIntoViewIfNeeded();
  const before = await at();
  const { width, height } = await planes.boundingBox();
  // Where the pictures lie depends on the shape of the scan: some of these places are in one.
  let tapped = before;
  for (const [x, y] of [0.2, 0.4, 0.6, 0.8].flatMap((y) => [0.2, 0.4, 0.6, 0.8].map((x) => [x, y]))) {
    await planes.tap({ position: { x: width * x, y: height * y } });
    await page.waitForTimeout(300);
    tapped = await at();
    if (tapped !== before) break;
  }
  expect(tapped !== before, "a tap does not move the crosshair");
  const lesion = page.locator("tbody button[data-lesion]").last();
  if ((await lesion.count()) > 0) {
    await lesion.tap();
    await page.waitForTimeout(300);
    expect((await at()) !== tapped, "a tap on a lesion does not move the crosshair");
  }
  await shot(page, "touch");
  await page.context().close();
};

// In the first and in the last slice outlines cover as little of the liver as anywhere.
const outlinesAtTheEnds = async () => {
  const page = await open();
  await ready(page).catch(() => problems.push("the viewer did not start"));
  for (const key of ["PageDown", "PageUp"]) {
    await page.locator("#viewer-planes").focus();
    for (let n = 0; n < 20; n += 1) await page.keyboard.press(key);
    const blue = [];
    for (const alone of [false, true]) {
      await page.locator("#viewer-outline").setChecked(alone);
      await page.waitForTimeout(300);
      await shot(page, `${key}-${alone ? "outlines" : "areas"}`);
      blue.push((await pixels(page, "#viewer-planes")).reduce((all, third) => all + third.blue, 0));
    }
    const [areas, lines] = blue;
    expect(areas > 1500, `${key}: no plane shows the liver`);
    expect(lines > 0 && lines < 0.4 * areas, `${key}: outlines cover ${lines} pixels, the liver ${areas}`);
  }
  await page.context().close();
};

// Without WebGL, and without scripts, the rest is there and what is missing is said.
const withoutViewer = async () => {
  const noWebgl = await open({}, (page) =>
    page.addInitScript(() => {
      const get = HTMLCanvasElement.prototype.getContext;
      HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
        return kind.startsWith("webgl") ? null : get.call(this, kind, ...rest);
      };
    }),
  );
  await noWebgl.waitForTimeout(500);
  const status = noWebgl.locator("#viewer-status");
  expect(/WebGL/.test(await status.innerText()) && (await status.isVisible()), "that WebGL is missing is not said");
  expect(!(await noWebgl.locator("#viewer").isVisible()), "an empty viewer is shown");
  await shot(noWebgl, "no-webgl");
  await noWebgl.context().close();
  const noScript = await open({ javaScriptEnabled: false });
  expect(/scripts are switched off/.test(await noScript.locator(".viewer").innerText()), "no word of scripts");
  await noScript.context().close();
};

const plainPage = async () => {
  const page = await open();
  await page.waitForTimeout(300);
  await shot(page, "whole", { fullPage: true });
  await accessible(page, "light");
  await page.setViewportSize({ width: 390, height: 800 });
  expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "wider than a telephone");
  await page.context().close();
};

try {
  if (kind === "case") {
    await caseReport();
    await touched();
    await withoutViewer();
  } else if (kind === "outlines") {
    await outlinesAtTheEnds();
  } else {
    await plainPage();
  }
} finally {
  await browser.close();
}
const validator = new HtmlValidate({
  extends: ["html-validate:recommended", "html-validate:a11y"],
  rules: {
    // Style of writing, not of HTML.
    "no-trailing-whitespace": "off",
    "long-title": "off",
    "no-raw-characters": "off",
    // An application of its own, described by its label.
    "prefer-native-element": "off",
  },
});
const report = await validator.validateFile(resolve(file));
for (const result of report.results) {
  for (const message of result.messages.slice(0, 20)) {
    problems.push(`HTML, line ${message.line}: ${message.message} (${message.ruleId})`);
  }
}
for (const problem of problems) console.error(problem);
process.exit(problems.length === 0 ? 0 : 1);
