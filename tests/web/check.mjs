// check.mjs BUILD SCRATCH COUNT: what the status page is like in Chromium. Prints a line for each check, and how long pages
// take; pictures go to BUILD/web. Ends with "N passed, N failed".
import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { breaches, contract } from "./contract.mjs";
import { serve } from "./gateway.mjs";
import { openSetup, startGithub } from "./setup.mjs";
import { GONE, STATES } from "./states.mjs";

const [build, scratch, countText] = process.argv.slice(2);
const COUNT = Number(countText);
const STATES_OPEN = STATES.filter(([title]) => title !== "closed").length;
const OPEN = COUNT + 2 + STATES_OPEN + 1; // octo/widgets#7 and #8, those of octo/states, and gone/repo#1
const axe = fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp; \u202egnp.exe javascript:alert(3)";

const site = await serve(`${build}/prgate.fcgi`, `${scratch}/prgate.conf`);
const shown = await serve(`${build}/prgate.fcgi`, `${scratch}/private.conf`);
const dry = await serve(`${build}/prgate.fcgi`, `${scratch}/dry.conf`);
const fresh = await serve(`${build}/prgate.fcgi`, `${scratch}/setup.conf`);
const github = await startGithub();
for (const [word, url] of [["PUBLIC_URL", fresh.url], ["GITHUB_URL", github.url]])
    fs.writeFileSync(`${scratch}/setup.conf`, fs.readFileSync(`${scratch}/setup.conf`, "utf8").replace(word, url));
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });

// Whatever no page may do, looked for on all of them.
const complaints = [];

async function open(path, options = {}) {
    const { base = site.url, status = 200, others, ...rest } = options;
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...rest });
    const page = await context.newPage();
    page.on("console", (message) => {
        // A page that is meant to be an error is told as one.
        if (["error", "warning"].includes(message.type()) && !(status !== 200 && message.text().includes(`${status}`)))
            complaints.push(`${path}: console: ${message.text()}`);
    });
    page.on("pageerror", (error) => complaints.push(`${path}: ${error}`));
    page.on("dialog", (dialog) => { complaints.push(`${path}: a dialog: ${dialog.message()}`); dialog.dismiss(); });
    page.on("requestfailed", (request) => complaints.push(`${path}: failed: ${request.url()}`));
    page.on("request", (request) => {
        if (!request.url().startsWith(base) && !(others && request.url().startsWith(others)))
            complaints.push(`${path}: somebody else's: ${request.url()}`);
    });
    const response = await page.goto(base + path);
    assert.equal(response.status(), status, path);
    return page;
}

async function barriers(page) {
    await page.evaluate(axe);
    const found = await page.evaluate(() => window.axe.run(document, {
        runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }));
    return found.violations.map((one) => `${one.id}: ${one.help}: ${one.nodes.map((node) => node.html).join(" ")}`);
}

const picture = (page, name, options = {}) => page.screenshot({ path: `${build}/web/${name}.png`, ...options });
const texts = (page, selector) => page.locator(selector).allInnerTexts();
const background = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
const PULLS = "section table:not(.numbers) tbody tr";
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

const checks = {
    async "the overview has groups, counts, landmarks and tables"() {
        const page = await open("/status");
        assert.deepEqual(await texts(page, "h1"), ["Pull requests at the gate"]);
        for (const landmark of ["banner", "main", "contentinfo", "search"])
            assert.equal(await page.getByRole(landmark).count(), 1, landmark);
        assert.match((await texts(page, ".tabs a"))[0], new RegExp(`^All\\s+${OPEN}$`));
        assert.match((await texts(page, "section h2")).join(" "), /Trouble\s+\d+/);
        assert.equal(await page.locator(PULLS).count(), 50);
        assert.equal(await page.getByRole("table").first().getByRole("columnheader").count(), 5);
        assert.equal(await page.locator(`${PULLS} th[scope=row]`).count(), 50);
        assert.match(await page.locator(".tiles").innerText(), /4731/);
        await picture(page, "overview-light");
    },

    async "awaiting ones are sorted, the longest first, running ones the newest first"() {
        for (const [state, sign] of [["awaiting", 1], ["running", -1]]) {
            const page = await open(`/status?state=${state}`);
            const times = await page.locator(`${PULLS} time`).evaluateAll((all) => all.map((one) => Date.parse(one.dateTime)));
            assert.equal(times.length, 50);
            for (let i = 1; i < times.length; i++)
                assert.ok(sign * (times[i] - times[i - 1]) >= 0, `${state}: ${i}`);
        }
    },

    async "filters work without JavaScript, and links keep them"() {
        const page = await open("/status", { javaScriptEnabled: false });
        await page.getByLabel("Search").fill("GERMAN fatima");
        await page.getByLabel("Repository").selectOption("octo/gadgets");
        await page.getByRole("button", { name: "Show" }).click();
        assert.match(page.url(), /q=GERMAN\+fatima&state=&repo=octo%2Fgadgets/);
        const rows = await texts(page, PULLS);
        assert.ok(rows.length > 0);
        for (const row of rows)
            assert.match(row, /octo\/gadgets#\d+\s+Add a German translation\s+fatima/);
        await page.getByRole("navigation", { name: "Groups" }).getByRole("link", { name: "Awaiting" }).click();
        assert.equal(await page.getByLabel("Search").inputValue(), "GERMAN fatima");
        assert.equal(await page.getByLabel("Repository").inputValue(), "octo/gadgets");
        assert.deepEqual(await texts(page, ".tabs a[aria-current]").then((all) => all.map((one) => one.split(/\s/)[0])), ["Awaiting"]);
        await page.getByRole("link", { name: "Clear all filters" }).click();
        assert.equal(await page.locator(PULLS).count(), 50);
    },

    async "pages lead on and back"() {
        const page = await open("/status?state=awaiting");
        const first = await texts(page, PULLS);
        await page.getByRole("link", { name: "Next" }).click();
        assert.match(await page.getByRole("navigation", { name: "Pages" }).innerText(), /Page 2 of \d+/);
        const second = await texts(page, PULLS);
        assert.equal(second.length, 50);
        assert.equal(first.filter((one) => second.includes(one)).length, 0);
        await page.getByRole("link", { name: "Previous" }).click();
        assert.deepEqual(await texts(page, PULLS), first);
        const last = await open("/status?state=awaiting&page=99999999");
        assert.equal(await last.getByRole("link", { name: "Next" }).count(), 0);
        assert.ok(await last.locator(PULLS).count() > 0);
    },

    async "nothing that matches is said"() {
        const page = await open("/status?q=no+such+words");
        assert.match(await page.getByRole("main").innerText(), /No open pull request matches/);
    },

    async "a number finds its pull request, whose page tells all"() {
        const page = await open("/status?q=widgets%237+upload");
        await page.getByRole("link", { name: "octo/widgets#7" }).click();
        assert.equal(new URL(page.url()).pathname, "/status/octo/widgets/7");
        assert.match((await texts(page, "h1"))[0], /octo\/widgets#7\s+awaiting/);
        assert.match(await page.locator(".next").innerText(),
            /CI starts when somebody with at least triage permission sets the label CICD\.\s+Who can do it: anybody with triage/);
        const ledger = await page.locator(".ledger").innerText();
        for (const part of ["Opened by bob", "Label CICD set by tim", "tim may approve (permission maintain)", "Done: GitHub took it; took 341 ms", "the author bob is not trusted (permission read)",
            "The author is not trusted: waiting for the label.", "Pushed to by bob", "Taking the label off"])
            assert.ok(ledger.includes(part), part);
        const links = await page.locator("main a[href^='https://github.com/octo/widgets/']").count();
        assert.ok(links >= 3, `${links} links to GitHub`);
        assert.match(await page.locator("table").innerText(), /by tim/);
        await picture(page, "pull-light", { fullPage: true });
    },

    async "the diagram shows the state and the way there"() {
        const page = await open("/status/octo/widgets/7");
        assert.deepEqual(await page.locator("svg .current text").allTextContents(), ["awaiting"]);
        assert.deepEqual((await page.locator("svg .been text").allTextContents()).sort(), ["CI started", "awaiting", "new"]);
        assert.equal(await page.locator("svg .edge.taken").count(), 3);
        assert.match(await page.getByRole("img").evaluate((svg) => svg.querySelector("desc").textContent),
            /From new to awaiting to CI started to awaiting\. The state now: awaiting\./);
        const [taken, other] = await page.evaluate(() => [".edge.taken", ".edge:not(.taken)"]
            .map((selector) => getComputedStyle(document.querySelector(selector)).stroke));
        assert.notEqual(taken, other);
    },

    async "a hostile title stays text"() {
        for (const path of ["/status?q=onerror", "/status/octo/widgets/8"]) {
            const page = await open(path);
            const shownTitle = await page.locator(".title, .lead").first().textContent();
            assert.equal(shownTitle, HOSTILE);
            assert.equal(await page.locator("script, img, iframe, object, [onerror], [style]").count(), 0, path);
            assert.equal(await page.locator("a[href^='javascript:']").count(), 0, path);
        }
        const page = await open(`/status?q=${encodeURIComponent("\"><script>alert(9)</script>")}`);
        assert.equal(await page.getByLabel("Search").inputValue(), "\"><script>alert(9)</script>");
    },

    async "what was given up is said, with what to do about it"() {
        const page = await open("/status/octo/widgets/8");
        assert.match(await page.locator(".next").innerText(), /Given up: starting CI.*prgatectl dead retry octo\/widgets#8 4/);
        assert.match(await page.locator("ul.dead").innerText(), /HTTP 422: Unexpected <b>inputs<\/b> provided/);
    },

    async "private repositories are hidden, by list, by search and by name"() {
        for (const path of ["/status?q=nobody+is+to+know", "/status?repo=octo%2Fsecret"])
            assert.doesNotMatch(await (await open(path)).locator("table").allInnerTexts().then((all) => all.join()), /secret/);
        await open("/status/octo/secret/1", { status: 404 });
        for (const path of ["/status.json?q=nobody+is+to+know", "/status/octo/secret/1.json"])
            assert.doesNotMatch(await (await fetch(site.url + path)).text(), /octo\/secret|What nobody/);
        const page = await open("/status?q=nobody+is+to+know", { base: shown.url });
        assert.match(await page.locator(PULLS).innerText(), /octo\/secret#1\s+What nobody is to know/);
        await open("/status/octo/secret/1", { base: shown.url });
    },

    async "what is not there is a page for people and JSON for programs"() {
        for (const path of ["/status/octo/widgets/99999", "/status/nobody/nothing/1", "/nothing/here"]) {
            const page = await open(path, { status: 404 });
            assert.deepEqual(await texts(page, "h1"), ["Not found"]);
            assert.notEqual(await background(page), "rgba(0, 0, 0, 0)", "styled");
            const reply = await fetch(site.url + path, { headers: { accept: "application/json" } });
            assert.equal(reply.status, 404);
            assert.equal((await reply.json()).status, "error");
        }
    },

    async "JSON of each is there, by the same filters"() {
        const all = await (await fetch(`${site.url}/status.json?state=trouble&per_page=3`)).json();
        assert.equal(all.pull_requests.length, 3);
        assert.ok(all.pull_requests.every((one) => one.group === "trouble"));
        assert.equal(all.counts.open, OPEN);
        const one = await (await fetch(`${site.url}/status/octo/widgets/7.json`)).json();
        assert.equal(one.state, "awaiting");
        assert.equal(one.way.length, 3);
        const page = await open("/status/octo/widgets/7");
        await page.getByRole("link", { name: "JSON" }).click();
        assert.match(page.url(), /\/status\/octo\/widgets\/7\.json$/);
    },

    async "every state has a page of its own, without a barrier, that says what comes next"() {
        const list = await (await fetch(`${site.url}/status.json?repo=octo%2Fstates&per_page=1000`)).json();
        assert.equal(list.matching, STATES_OPEN);
        const pages = [await open("/status", { ...PHONE, deviceScaleFactor: 1 }), await open("/status", { colorScheme: "dark" })];
        for (const [index, [title, wanted]] of STATES.entries()) {
            const page = pages[index % 2];
            assert.equal((await page.goto(`${site.url}/status/octo/states/${index + 1}`)).status(), 200);
            assert.equal(await page.locator(".lead").innerText(), title);
            assert.match(await page.locator(".next").innerText(), wanted, title);
            assert.deepEqual(await barriers(page), [], title);
            assert.ok(await page.evaluate(() => document.scrollingElement.scrollWidth <= window.innerWidth), `${title} is too wide`);
            await picture(page, `state-${String(index + 1).padStart(2, "0")}-${title.replaceAll(/\W+/g, "-")}`, { fullPage: true });
        }
        const gone = await open("/status/gone/repo/1");
        assert.match(await gone.locator(".next").innerText(), GONE);
    },

    async "merge queues' commits and cancelled starts are told apart"() {
        const row = async (title) => {
            const page = await open(`/status/octo/states/${STATES.findIndex(([name]) => name === title) + 1}`);
            return page.locator("table tbody tr").last().innerText();
        };
        assert.match(await row("merging, and CI runs"), /merge queue[^]*started/);
        assert.match(await row("cancelled"), /started,[^]*cancelled/);
        assert.match(await row("trusted"), /not needed: who pushed it is trusted/);
        assert.match(await row("by the operator"), /by prgate's operator, root \(write\)[^]*asked for by prgate's operator, root/);
        assert.match(await row("a re-run that CI refused"), /2 re-runs[^]*refused to start the re-run/);
    },

    async "in a dry run nothing is said to have been started"() {
        const page = await open(`/status/octo/states/${STATES.findIndex(([title]) => title === "started") + 1}`, { base: dry.url });
        assert.match(await page.locator(".next").innerText(), /Were it not a dry run, CI would have been started[^]*This is a dry run/);
        assert.match(await page.getByRole("banner").innerText(), /Dry run/);
        assert.match((await texts(page, "h1"))[0], /CI would have started/);
        assert.deepEqual(await barriers(page), []);
        await picture(page, "dry-run");
        const list = await open("/status?repo=octo%2Fstates&state=running", { base: dry.url, ...PHONE });
        assert.match((await texts(list, ".badge.running")).join(), /CI would have started/);
        assert.doesNotMatch((await texts(list, ".badge.running")).join(), /CI started/);
        assert.deepEqual(await barriers(list), []);
    },

    async "JSON is what docs/status-json.md says, and all of that is there"() {
        const rules = contract(fs.readFileSync(new URL("../../docs/status-json.md", import.meta.url), "utf8"));
        const paths = ["/status.json", "/status.json?state=trouble&per_page=1000", "/status/octo/widgets/7.json", "/status/octo/widgets/8.json",
            "/status/gone/repo/1.json", ...STATES.map((_, index) => `/status/octo/states/${index + 1}.json`)];
        const seen = new Set(), wrong = [];
        for (const path of paths)
            wrong.push(...breaches(rules, path, await (await fetch(site.url + path)).json(), seen));
        assert.deepEqual(wrong, []);
        assert.deepEqual(rules.all.filter((field) => !seen.has(field)), [], "documented, and never there");
        assert.ok(rules.all.length > 100, `${rules.all.length} fields`);
    },

    async "headers let no page be used against its reader"() {
        for (const path of ["/status", "/status/octo/widgets/7"]) {
            const reply = await fetch(site.url + path, { method: "HEAD" });
            assert.equal(reply.headers.get("content-security-policy"),
                "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'");
            assert.equal(reply.headers.get("cache-control"), "no-store");
        }
    },

    async "the keyboard is enough"() {
        const page = await open("/status");
        await page.keyboard.press("Tab");
        const skip = page.getByRole("link", { name: "Skip to the content" });
        assert.ok(await skip.evaluate((link) => link === document.activeElement && link.getBoundingClientRect().left >= 0));
        await page.keyboard.press("Enter");
        await page.keyboard.press("Tab");
        assert.ok(await page.getByLabel("Search").evaluate((input) => input === document.activeElement));
        await page.keyboard.type("widgets#7 upload");
        await Promise.all([page.waitForURL(/q=widgets/), page.keyboard.press("Enter")]);
        assert.equal(await page.locator(PULLS).count(), 1);
        const ring = await page.getByLabel("Search").evaluate((input) => { input.focus(); return getComputedStyle(input).outlineStyle; });
        assert.equal(ring, "solid");
    },

    async "focus goes through a page in the order of its text, and is seen on each stop"() {
        for (const path of ["/status?state=trouble", "/status/octo/widgets/7"]) {
            const page = await open(path);
            const stops = await page.locator("a[href], input, select, button, [tabindex='0']").count();
            let before = -1;
            for (let i = 0; i < stops; i++) {
                await page.keyboard.press("Tab");
                const [at, ring] = await page.evaluate(() => {
                    const all = [...document.querySelectorAll("a[href], input, select, button, [tabindex='0']")];
                    return [all.indexOf(document.activeElement), getComputedStyle(document.activeElement).outlineStyle];
                });
                assert.equal(at, before + 1, `${path}: stop ${i}`);
                assert.equal(ring, "solid", `${path}: stop ${i}`);
                before = at;
            }
        }
    },

    async "a phone shows it without scrolling sideways"() {
        for (const [path, name] of [["/status", "overview-phone"], ["/status/octo/widgets/7", "pull-phone"],
            ["/status/octo/widgets/8", "hostile-phone"]]) {
            const page = await open(path, PHONE);
            const width = await page.evaluate(() => document.scrollingElement.scrollWidth);
            assert.ok(width <= 390, `${path} is ${width} wide`);
            const wide = await page.evaluate(() => [...document.querySelectorAll(".wide")].filter((one) => one.scrollWidth > one.clientWidth).length);
            assert.equal(wide, 0, `${path}: a table has to be scrolled`);
            assert.equal(await page.getByRole("table").first().getByRole("columnheader").count(), 5, "a card is still a row");
            assert.deepEqual(await barriers(page), []);
            await picture(page, name);
        }
    },

    async "in the dark it is dark"() {
        const light = await background(await open("/status"));
        for (const [path, name] of [["/status", "overview-dark"], ["/status/octo/widgets/7", "pull-dark"],
            ["/status/octo/widgets/8", "hostile-dark"]]) {
            const page = await open(path, { colorScheme: "dark" });
            const dark = await background(page);
            assert.notEqual(dark, light);
            assert.ok(dark.match(/\d+/g).every((one) => Number(one) < 60), dark);
            assert.deepEqual(await barriers(page), [], path);
            await picture(page, name);
        }
    },

    async "axe finds no barrier"() {
        for (const path of ["/status", "/status?state=running&repo=octo%2Fgadgets&page=2", "/status?q=no+such+words",
            "/status/octo/widgets/7", "/status/octo/widgets/8"])
            assert.deepEqual(await barriers(await open(path)), [], path);
        assert.deepEqual(await barriers(await open("/nothing", { status: 404 })), []);
    },

    async "the GitHub App is made without a script, and axe finds no barrier on the way"() {
        const setup = await openSetup(build, `${scratch}/setup.conf`);
        const path = setup.url.slice(fresh.url.length);
        for (const [options, name] of [[{}, "setup-light"], [{ colorScheme: "dark" }, "setup-dark"], [PHONE, "setup-phone"]]) {
            const page = await open(path, { base: fresh.url, ...options });
            assert.deepEqual(await barriers(page), [], name);
            assert.equal(await page.evaluate(() => document.scrollingElement.scrollWidth <= innerWidth), true, name);
            await picture(page, name, { fullPage: true });
        }
        const page = await open(path, { base: fresh.url, others: github.url, javaScriptEnabled: false });
        assert.equal(await page.locator("script, img, iframe, object").count(), 0);
        assert.match(await page.getByRole("main").innerText(), /checks\s+write\s+the check that waits/);
        await page.getByRole("button", { name: "Go on to GitHub" }).click();
        assert.ok(page.url().startsWith(`${github.url}/settings/apps/new?state=`));
        await page.getByRole("button", { name: "Create GitHub App" }).click();
        assert.ok(page.url().startsWith(`${fresh.url}/setup/done?code=`));
        assert.deepEqual(await texts(page, "h1"), ["The GitHub App is set up"]);
        assert.ok((await page.getByRole("link", { name: "Install the App" }).getAttribute("href")).startsWith(`${github.url}/apps/`));
        await picture(page, "setup-done", { fullPage: true });
        assert.equal(await setup.ended, 0);
        await open(path, { base: fresh.url, status: 404 });
    },

    async "10,000 are as fast as a few"() { // told, and not held against a machine that is busy
        for (const path of ["/status", "/status?q=german&page=3", "/status/octo/widgets/7", "/status/style.css"]) {
            const times = [];
            for (let i = 0; i < 5; i++) {
                const start = performance.now();
                const reply = await fetch(site.url + path, { headers: { accept: "text/html" } });
                const body = await reply.text();
                times.push(performance.now() - start);
                assert.ok(body.length < 100_000, `${path} has ${body.length} bytes`);
            }
            times.sort((a, b) => a - b);
            console.log(`      ${path}: ${times[2].toFixed(0)} ms, a process of its own included, of ${OPEN} open`);
        }
    },
};

let passed = 0, failed = 0;
// WEB_ONLY: those whose names match, while one is being written.
for (const [name, check] of Object.entries(checks).filter(([name]) => name.match(process.env.WEB_ONLY ?? ""))) {
    const start = performance.now();
    try {
        await check();
        assert.deepEqual(complaints.splice(0), [], "what the browser complained of");
        console.log(`ok    ${name} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
        passed++;
    } catch (error) {
        console.log(`FAIL  ${name}: ${error.message}\n${error.stack.split("\n").filter((line) => line.includes("check.mjs")).join("\n")}`);
        complaints.length = 0;
        failed++;
    }
    await Promise.all(browser.contexts().map((context) => context.close()));
}
await browser.close();
site.close();
shown.close();
dry.close();
fresh.close();
github.stop();
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
