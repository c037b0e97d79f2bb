// driver.mjs - a browser that does what it is told, a line of JSON at a time, and answers each with one.
// SPDX-License-Identifier: Apache-2.0
//
// Started by browser_fixture.py with the folder that has playwright-core and axe-core, and the browser's path. Whatever a
// page complains of is kept, and told by "errors".
import {readFileSync} from "node:fs";
import {createRequire} from "node:module";
import {createInterface} from "node:readline";

const [folder, executablePath] = process.argv.slice(2);
const require = createRequire(`${folder}/`);
const {chromium} = require("playwright-core");
const TIMEOUT_MS = 30000;
const browser = await chromium.launch({executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]});
let page = null, errors = [];

async function found(selector, text) {
    const locator = page.locator(selector);
    await (text === undefined ? locator : locator.filter({hasText: text})).first().waitFor({timeout: TIMEOUT_MS});
}

const verbs = {
    async open({url, options}) {
        await page?.context().close();
        errors = [];
        page = await (await browser.newContext(options)).newPage();
        page.setDefaultTimeout(TIMEOUT_MS);
        page.on("console", (message) => ["error", "warning"].includes(message.type()) && errors.push(message.text()));
        page.on("pageerror", (error) => errors.push(String(error)));
        page.on("request", (request) => new URL(request.url()).origin === new URL(url).origin || request.url().startsWith("blob:") ||
            errors.push(`asked another host: ${request.url()}`));
        await page.goto(url);
    },
    go: ({url}) => page.goto(url).then(() => null),
    reload: () => page.reload().then(() => null),
    wait: ({selector, text}) => found(selector, text),
    gone: ({selector}) => page.locator(selector).first().waitFor({state: "detached", timeout: TIMEOUT_MS}),
    click: ({selector}) => page.locator(selector).first().click(),
    fill: ({selector, text}) => page.locator(selector).fill(text),
    choose: ({selector, value}) => page.locator(selector).selectOption(value).then(() => null),
    drop: ({selector, file}) => page.locator(selector).setInputFiles(file),
    press: ({key}) => page.keyboard.press(key),
    type: ({text}) => page.keyboard.type(text),
    text: ({selector}) => page.locator(selector).first().innerText(),
    texts: ({selector}) => page.locator(selector).allInnerTexts(),
    count: ({selector}) => page.locator(selector).count(),
    evaluate: ({code}) => page.evaluate(code),
    pretend: ({pattern, body}) => page.route(pattern, (route) => route.fulfill({contentType: "application/json", body})),
    shot: ({path}) => page.screenshot({path, fullPage: true}).then(() => null),
    errors: () => errors,
    async axe() { // evaluated, since the page's policy lets no script in
        await page.evaluate(readFileSync(require.resolve("axe-core/axe.min.js"), "utf8"));
        const {violations} = await page.evaluate("axe.run()");
        return violations.filter(({impact}) => impact === "serious" || impact === "critical").map(({id, help, nodes}) =>
            `${id}: ${help}: ${nodes.map(({html}) => html.slice(0, 200)).join(" | ")}`);
    },
};

for await (const line of createInterface({input: process.stdin})) {
    const {verb, ...given} = JSON.parse(line);
    try {
        console.log(JSON.stringify({result: (await verbs[verb](given)) ?? null}));
    } catch (error) {
        console.log(JSON.stringify({error: String(error.message || error)}));
    }
}
await browser.close();
