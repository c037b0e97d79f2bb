// app.js - the frame: which page is shown, in which language and colours, and whether what it shows is of now.
// SPDX-License-Identifier: Apache-2.0

import {drawCharts, redrawCharts} from "/chart.js";
import {announce, h, show} from "/dom.js";
import {clearFilter, onFilter} from "/filter.js";
import {time} from "/format.js";
import {framesChanged, framesKey, framesPage} from "/frames.js";
import {connect, disconnect, follow, live, onChange} from "/live.js";
import {loginPage} from "/login.js";
import {modelsPage} from "/models.js";
import {rolloutPage, rolloutsPage} from "/rollout.js";
import {call, failure, onLoginWanted} from "/server.js";
import {tryChanged, tryPage} from "/tryit.js";
import {loadVersions, versionPage, versionsPage} from "/versions.js";
import {choose, language, remember, remembered, t} from "/words.js";

const THEMES = ["system", "light", "dark"];
let theme = THEMES.includes(remembered("theme")) ? remembered("theme") : "system";
let loginWanted = false, drawn = false, said = "";

// ---- where ----

/// "#/rollouts/ID" as ["rollouts", "ID"].
function place() {
    return location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map((part) => {
        try {
            return decodeURIComponent(part);
        } catch {
            return part;
        }
    });
}

const tabs = [["", "models"], ["rollouts", "rollouts"], ["versions", "versions"], ["try", "tryit"]];

function page() {
    const [where = "", what, other] = place();

    if (loginWanted)
        return loginPage(loggedIn);
    if (where === "")
        return modelsPage();
    if (where === "rollouts")
        return !what ? rolloutsPage() : other === "frames" ? framesPage(what) : rolloutPage(what);
    if (where === "versions")
        return what ? versionPage(what, other) : versionsPage();
    if (where === "try")
        return tryPage();
    return [h("h1", {}, t("title")), h("p", {}, t("notFound"))];
}

// ---- the frame ----

function connection() {
    if (live.connected)
        return h("span", {class: "connection good", id: "connection"}, h("span", {"aria-hidden": "true"}, "● "), t("live"));
    return h("span", {class: `connection ${live.ever ? "bad" : "still"}`, id: "connection"}, h("span", {"aria-hidden": "true"}, live.ever ? "✖ " : "○ "),
        live.ever ? t("lostShort") : t("connecting"));
}

function header() {
    const [where = ""] = place();

    return [
        h("a", {class: "brand", href: "#/"}, h("img", {src: "/icon.svg", alt: "", width: 24, height: 24}), "Serin"),
        h("nav", {"aria-label": t("nav")}, h("ul", {}, tabs.map(([path, word]) =>
            h("li", {}, h("a", {href: `#/${path}`, "aria-current": where === path ? "page" : null}, t(word)))))),
        h("div", {class: "tools"}, connection(),
            h("button", {type: "button", id: "language", lang: language() === "en" ? "zh" : "en", "aria-label": t("languageLabel"),
                onclick: switchLanguage}, t("language")),
            h("button", {type: "button", id: "theme", "aria-label": t("themeLabel", {theme: t(`theme_${theme}`)}), onclick: switchTheme},
                t(`theme_${theme}`)),
            live.session?.name && !loginWanted
                ? h("button", {type: "button", id: "logout", onclick: logOut}, t("logout", live.session)) : null),
    ];
}

function notice() {
    if (live.connected || loginWanted || (!live.ever && !live.error))
        return null;
    return h("p", {class: "notice", id: "notice"}, live.error ? t("refusedEvents", {why: live.error}) : t("lost", {time: time(live.lostAt)}));
}

/// What changes the state in the first line is said aloud; numbers that move are not.
function say() {
    const says = !live.ever ? "" : !live.connected ? t("lostShort")
        : live.rollout?.phase ? `${live.rollout.id}: ${t(`phase_${live.rollout.phase}`)}, ${t("stepOf", live.rollout)}` : t("live");

    if (says && says !== said)
        announce(says);
    said = says;
}

function draw() {
    drawn = false;
    document.documentElement.lang = language() === "zh" ? "zh-Hans" : "en";
    document.documentElement.dataset.theme = theme;
    document.documentElement.classList.toggle("stale", live.ever && !live.connected);
    document.getElementById("skip").textContent = t("skip");
    const title = document.getElementById("main");
    show(document.getElementById("header"), header());
    show(title, notice(), page());
    document.title = `${title.querySelector("h1")?.textContent || ""} – Serin`;
    drawCharts();
    say();
}

/// Once a frame, however much has changed.
function redraw() {
    if (!drawn)
        requestAnimationFrame(draw);
    drawn = true;
}

function go() {
    const [where, what] = place();

    document.getElementById("dialog").close();
    follow(where === "rollouts" && what ? what : "");
    if (where === "versions")
        loadVersions(redraw);
    redraw();
}

function switchLanguage() {
    choose(language() === "en" ? "zh" : "en");
    redraw();
}

function switchTheme() {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    remember("theme", theme);
    draw();
    redrawCharts();
}

function loggedIn() {
    loginWanted = false;
    connect();
    go();
}

function wantLogin() {
    if (loginWanted)
        return;
    loginWanted = true;
    document.getElementById("dialog").close();
    disconnect();
    redraw();
}

async function logOut() {
    try {
        await call("POST", "logout");
        wantLogin();
    } catch (error) {
        announce(failure(error));
    }
}

onLoginWanted(wantLogin);
onChange(redraw);
tryChanged(redraw);
framesChanged(redraw);
onFilter(redraw);
addEventListener("keydown", (event) => {
    const [where, , other] = place();

    if (where === "rollouts" && other === "frames" && !loginWanted)
        framesKey(event);
});
addEventListener("hashchange", () => {
    clearFilter();
    go();
    document.getElementById("main").focus({preventScroll: true});
    scrollTo(0, 0);
});
addEventListener("resize", redrawCharts);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawCharts);
go();
