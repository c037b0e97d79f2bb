// versions.js - what is in the store: each version's bundle, classes, evaluation and scan, and what differs from another.
// SPDX-License-Identifier: Apache-2.0

import {badge} from "/badge.js";
import {coded, h} from "/dom.js";
import {filterField, narrowed} from "/filter.js";
import {bytes, naturally, number} from "/format.js";
import {engineOf, live} from "/live.js";
import {get} from "/server.js";
import {t} from "/words.js";

const MOST_CLASSES = 200; // that are listed

let list = null, problem = "", diff = null, diffOf = "", found = null, foundOf = "", redraw = () => {};

/// Asked for when the page is opened, and when what serves has changed: versions come and go by hand.
export async function loadVersions(changed) {
    redraw = changed;
    try {
        list = await get("versions");
        problem = "";
    } catch (error) {
        problem = error.message;
    }
    redraw();
}

async function loadDiff(from, to) {
    const wanted = `${from} ${to}`;

    if (diffOf === wanted)
        return;
    diffOf = wanted;
    diff = null;
    try {
        diff = await get(`versions/${encodeURIComponent(to)}?against=${encodeURIComponent(from)}`);
    } catch (error) {
        diff = {error: error.message};
    }
    if (diffOf !== wanted)
        return;
    redraw();
}

/// What the scan of one version found; the list of versions has only how many.
async function loadFindings(name) {
    if (foundOf === name)
        return;
    foundOf = name;
    found = null;
    let asked;
    try {
        asked = (await get(`versions/${encodeURIComponent(name)}`)).findings;
    } catch (error) {
        asked = {error: error.message};
    }
    if (foundOf !== name)
        return;
    found = asked;
    redraw();
}

const severityKinds = {CRITICAL: "bad", HIGH: "bad", MEDIUM: "warn"};

function findingsView() {
    if (!found || found.error)
        return found ? h("p", {class: "problem", role: "alert"}, found.error) : null;
    const cell = (label, ...content) => h("td", {"data-label": t(label)}, ...content), hidden = found.count - found.list.length;

    return h("details", {class: "card", id: "findings", open: found.count > 0}, h("summary", {}, t("findings", {n: found.count})),
        found.list.length ? h("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": t("findings", {n: found.count})}, h("table", {class: "wide"},
            h("thead", {}, h("tr", {}, ["finding", "severity", "package", "target"].map((key) => h("th", {scope: "col"}, t(key))))),
            h("tbody", {}, found.list.map((one) => h("tr", {}, h("th", {scope: "row"}, one.id),
                cell("severity", badge(severityKinds[one.severity] ?? "still", one.severity)), cell("package", one.package), cell("target", one.target)))))) : null,
        hidden > 0 ? h("p", {class: "small"}, t("findingsMore", {n: hidden})) : null);
}

const MEASURES = ["map50_95", "map50", "precision", "recall", "f1", "small", "medium", "large", "top1", "top5"];

/// The evaluation of one version: over all, and by class, the worst first.
function evaluationView(version) {
    const {per_class: classes = [], ...all} = version.eval;
    const measured = MEASURES.filter((name) => Number.isFinite(all[name]));
    const cell = (label, ...content) => h("td", {"data-label": label}, ...content), word = (name) => t(`measure_${name}`);
    const columns = measured.filter((name) => classes.some((one) => Number.isFinite(one[name])));
    const sorted = [...classes].sort((a, b) => (a[columns[0]] ?? 2) - (b[columns[0]] ?? 2)).slice(0, MOST_CLASSES);

    return h("section", {class: "card", id: "evaluation", "aria-labelledby": "evaluation-h"},
        h("h2", {id: "evaluation-h"}, t("evaluation"), h("span", {class: "small"}, t("evaluatedOn", {n: all.images ?? "–", objects: all.instances ?? "–"}))),
        h("table", {class: "wide"},
            h("thead", {}, h("tr", {}, h("th", {scope: "col"}, t("class")), measured.map((name) => h("th", {scope: "col"}, word(name))))),
            h("tbody", {}, h("tr", {}, h("th", {scope: "row"}, t("allClasses")), measured.map((name) => cell(word(name), number(all[name])))),
                classes.length > 1 ? sorted.map((one) => h("tr", {}, h("th", {scope: "row"}, one.name),
                    measured.map((name) => cell(word(name), number(one[name]))))) : null)));
}

const shortDigest = (digest) => digest.replace("sha256:", "").slice(0, 12);

/// mAP50-95 or top-1 with its name, as the evaluation has it.
function accuracy(version) {
    const found = version.eval || {};

    for (const key of ["map50_95", "top1"]) {
        const value = found[key] ?? found.ultralytics?.[key] ?? found.box?.[key];
        if (Number.isFinite(value))
            return `${key === "top1" ? "top-1" : "mAP50-95"} ${number(value)}`;
    }
    return version.eval ? t("evaluated") : "–";
}

function scanOf(version) {
    const {scan} = version;

    if (!scan)
        return "–";
    const bad = (scan.critical || 0) + (scan.high || 0) + (scan.secrets || 0);
    const text = t("scanCounts", {critical: scan.critical ?? 0, high: scan.high ?? 0, medium: scan.medium ?? 0, low: scan.low ?? 0});
    return badge(bad ? "warn" : "good", text);
}

const served = (version) => live.status?.models.some((model) => model.model === version.model && model.versions.some((one) => one.tag === version.tag));

/// What runs it, or would where it is served: auto is one until then.
const providerOf = (version) => engineOf(version.model, version.tag)?.provider ?? version.settings?.provider ?? "cpu";

/// The same, and with provider auto why it is not a faster one.
function engineText(version) {
    const engine = engineOf(version.model, version.tag);

    return engine?.why ? t("engineWhy", engine) : providerOf(version);
}

function problemLine() {
    return problem ? h("p", {class: "problem", role: "alert"}, t("refusedEvents", {why: problem})) : null;
}

export function versionsPage() {
    const cell = (label, ...content) => h("td", {"data-label": t(label)}, ...content);
    const sorted = [...list || []].sort((a, b) => naturally(a.model, b.model) || naturally(b.tag, a.tag));
    const shown = narrowed(sorted, (version) => version.name);

    return [h("h1", {}, t("versions")),
        h("p", {class: "state"}, !list ? t("loading") : list.length ? t("versionCount", {n: list.length}) : coded(t("noVersions"))), problemLine(),
        filterField("versions", sorted.length, shown.length),
        sorted.length ? h("table", {class: "wide card"},
            h("thead", {}, h("tr", {}, ["version", "task", "engine", "size", "accuracy", "scan", "created", "state"].map((key) => h("th", {scope: "col"}, t(key))))),
            h("tbody", {}, shown.map((version) => h("tr", {id: `b-${version.name}`},
                h("th", {scope: "row"}, h("a", {href: `#/versions/${encodeURIComponent(version.name)}`}, version.name)),
                version.problem ? h("td", {"data-label": t("state"), colspan: 7}, badge("bad", version.problem))
                    : [cell("task", version.task, " ", h("span", {class: "small"}, `${version.architecture} ${version.precision}`)),
                        cell("engine", providerOf(version)), cell("size", bytes(version.model_bytes)), cell("accuracy", accuracy(version)), cell("scan", scanOf(version)),
                        cell("created", (version.created || "–").replace("T", " ").replace(/\..*|Z$/, "")),
                        cell("state", served(version) ? badge("good", t("served")) : version.in_use ? badge("still", t("inUse")) : "–")])))) : null];
}

// ---- one ----

const text = (value) => (value === null || value === undefined ? "–" : Array.isArray(value) ? value.join(" ")
    : typeof value === "number" ? number(value, 6) : String(value).startsWith("sha256:") ? shortDigest(String(value)) : String(value));

function diffView() {
    if (!diff)
        return h("p", {}, t("loading"));
    if (diff.error)
        return h("p", {class: "problem"}, diff.error);
    if (diff.same)
        return h("p", {}, badge("good", t("sameContent")));
    const cell = (label, ...content) => h("td", {"data-label": t(label)}, ...content);
    const change = (value) => (Number.isFinite(value) && value !== null ? `${value > 0 ? "+" : ""}${number(value)}` : "–");
    const rows = diff.fields.map(({name, from, to}) => [name, text(from), text(to), ""]);

    if (diff.evaluation)
        rows.push([diff.evaluation.name, text(diff.evaluation.from), text(diff.evaluation.to),
            diff.evaluation.same_data ? change(diff.evaluation.to - diff.evaluation.from) : t("otherData")],
        ...diff.evaluation.classes.map((one) => [`– ${one.name}`, text(one.from), text(one.to), change(one.change)]));
    const findings = [...(diff.scan?.new || []).map((one) => ["warn", "findingNew", one]), ...(diff.scan?.gone || []).map((one) => ["good", "findingGone", one])];
    return [
        h("table", {class: "wide"}, h("thead", {}, h("tr", {}, ["field", "from", "to", "change"].map((key) => h("th", {scope: "col"}, t(key))))),
            h("tbody", {}, rows.map(([name, from, to, note]) => h("tr", {}, h("th", {scope: "row"}, name), cell("from", from), cell("to", to), cell("change", note))))),
        diff.classes.added.length ? h("p", {}, t("classesAdded", {names: diff.classes.added.join(", ")})) : null,
        diff.classes.removed.length ? h("p", {}, badge("warn", t("classesRemoved", {names: diff.classes.removed.join(", ")}))) : null,
        diff.classes.reordered ? h("p", {}, badge("warn", t("classesReordered"))) : null,
        findings.length ? h("ul", {}, findings.map(([kind, word, one]) => h("li", {}, badge(kind, t(word)), ` ${one.severity} ${one.id} ${one.package} ${one.target}`))) : null,
    ];
}

export function versionPage(name, against) {
    const version = (list || []).find((one) => one.name === name);

    if (!version)
        return [h("h1", {}, name), h("p", {class: "state"}, list ? t("noVersion", {name}) : t("loading")), problemLine()];
    const others = list.filter((one) => one.model === version.model && one.name !== name && !one.problem);
    const row = (label, value) => (value ? h("div", {}, h("dt", {}, t(label)), h("dd", {}, value)) : null);

    if (against)
        loadDiff(against, name);
    if (version.scan)
        loadFindings(name);
    return [
        h("h1", {}, version.name),
        h("p", {class: "state"}, version.problem ? badge("bad", version.problem) : served(version) ? badge("good", t("served")) : badge("still", t("notServed"))),
        version.problem ? null : h("dl", {class: "facts"},
            row("task", `${version.task}, ${version.architecture}, ${version.precision}, ${bytes(version.model_bytes)}`),
            row("digest", version.digest), row("inputs", (version.inputs || []).join(" ")), row("outputs", (version.outputs || []).join(" ")),
            row("engine", engineText(version)),
            row("settings", Object.entries(version.settings || {}).map(([key, value]) => `${key} ${value}`).join(", ")),
            row("accuracy", accuracy(version)), row("scan", scanOf(version)),
            row("classes", `${version.classes.length}: ${version.classes.slice(0, MOST_CLASSES).join(", ")}${version.classes.length > MOST_CLASSES ? " …" : ""}`),
            row("golden", version.golden ? t("goldenCount", {n: (version.golden.pictures || version.golden.images || []).length || ""}) : "")),
        version.eval ? evaluationView(version) : null,
        others.length ? h("section", {class: "card", id: "diff", "aria-labelledby": "diff-h"}, h("h2", {id: "diff-h"}, t("diff")),
            h("label", {for: "against"}, t("against_label")),
            h("select", {id: "against", onchange: (event) => {
                location.hash = `#/versions/${encodeURIComponent(name)}${event.target.value ? `/${encodeURIComponent(event.target.value)}` : ""}`;
            }}, h("option", {value: ""}, "–"), others.map((one) => h("option", {value: one.name, selected: one.name === against}, one.name))),
            against ? diffView() : null) : null,
        version.scan ? findingsView() : null,
    ];
}
