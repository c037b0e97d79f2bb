// frames.js - the frames on which a rollout's versions differ most: look, and say by one key which is right.
// SPDX-License-Identifier: Apache-2.0
//
// The list is asked for again when the rollout's event says that frames have come or gone. The frame that is looked at
// stays, whatever happens to the list around it, until somebody goes on.

import {badge} from "/badge.js";
import {boxesOver} from "/boxes.js";
import {announce, h} from "/dom.js";
import {number, time} from "/format.js";
import {live} from "/live.js";
import {call, failure, get} from "/server.js";
import {t} from "/words.js";

const MOST = 200;        // thumbnails; the rest comes when these are judged
const THUMB_THICK = 2.5;  // lines in a thumbnail
const AGAIN_MS = 2000;   // between two questions for the list
const ZOOMS = [1, 2, 4];

const answers = [["stable", "1", "←"], ["canary", "2", "→"], ["both", "3", ""], ["neither", "4", ""]];

let rollout = "", list = null, known = "", askedAt = 0, current = null, problem = "", busy = false;
let shown = {stable: true, canary: true, agreed: true}, zoom = 1, bright = false, redraw = () => {};

export function framesChanged(changed) {
    redraw = changed;
}

const at = () => list.frames.findIndex((frame) => frame.number === current?.number);

// ---- asking ----

async function load() {
    const asked = rollout;
    let found;

    askedAt = performance.now();
    try {
        found = await get(`rollouts/${encodeURIComponent(asked)}/frames?limit=${MOST}`);
        problem = "";
    } catch (error) {
        problem = error.message;
    }
    if (asked !== rollout || !found)
        return redraw();
    list = found;
    const fresh = list.frames[at()];
    current = fresh || current || list.frames.find((frame) => frame.state === "open") || list.frames[0] || null;
    redraw();
}

/// Asks where what the server told of the frames differs from what is here.
function keepUp() {
    const sum = live.rollout?.frames, now = sum ? `${sum.kept} ${sum.open} ${sum.bytes}` : "";

    if (live.session?.role === "viewer" && live.session.required)
        return;
    if (list && (now === known || performance.now() - askedAt < AGAIN_MS))
        return;
    if (!list && askedAt && performance.now() - askedAt < AGAIN_MS)
        return;
    known = now;
    load();
}

function select(frame) {
    current = frame;
    zoom = 1;
    problem = "";
    redraw();
}

function step(by) {
    const next = list?.frames[at() + by];

    if (next)
        select(next);
}

/// The next one that nobody has judged, behind this one or from the beginning; the one behind it where all are.
function goOn() {
    const {frames} = list, here = at();
    const next = frames.slice(here + 1).find((frame) => frame.state === "open") || frames.find((frame) => frame.state === "open");

    if (next && next.number !== current.number)
        select(next);
    else
        announce(t("framesAllJudged"));
}

async function judge(right) {
    const frame = current;

    if (!frame || busy || frame.state === "counted" || live.session?.role === "viewer")
        return;
    busy = true;
    try {
        const said = await call("POST", `frames/${frame.number}/judge`, {right});
        problem = "";
        list.frames = list.frames.map((one) => (one.number === said.number ? said
            : one.state === "given" ? {...one, state: "counted"} : one)); // who goes on means the last one
        if (current.number === said.number)
            current = said;
        announce(t("frameSaid", {right: t(`right_${right}`)}));
        goOn();
    } catch (error) {
        problem = failure(error);
    }
    busy = false;
    redraw();
}

// ---- keys ----

/// A key that was pressed while the page is shown; those that belong to a field, a dialog or the browser are left alone.
export function framesKey(event) {
    const here = event.target;

    if (event.ctrlKey || event.altKey || event.metaKey || here.closest?.("input, select, textarea, dialog"))
        return;
    if (event.key.startsWith("Arrow") && here.closest?.(".zoomed"))
        return; // it is moved about
    const right = {1: "stable", ArrowLeft: "stable", 2: "canary", ArrowRight: "canary", 3: "both", 4: "neither"}[event.key];
    const does = right ? () => judge(right) : {
        n: () => step(1), p: () => step(-1), s: () => toggle("stable"), c: () => toggle("canary"), a: () => toggle("agreed"), z: zoomOn, b: brighten,
    }[event.key];

    if (!does || !list)
        return;
    event.preventDefault();
    does();
}

function toggle(which) {
    shown = {...shown, [which]: !shown[which]};
    redraw();
}

/// Night frames: the eye needs more light than the model.
function brighten() {
    bright = !bright;
    redraw();
}

function zoomOn() {
    zoom = ZOOMS[(ZOOMS.indexOf(zoom) + 1) % ZOOMS.length];
    redraw();
}

// ---- what is seen ----

const picturePath = (frame) => `/api/v1/frames/${frame.number}/picture`;

function said(frame) {
    if (frame.state === "open")
        return null;
    if (frame.state === "counted" && !frame.right)
        return h("p", {id: "said"}, badge("good", t("frameTold")));
    return h("p", {id: "said"}, badge(frame.state === "counted" ? "good" : "still", t(frame.state === "counted" ? "frameCounted" : "frameGiven",
        {right: t(`right_${frame.right}`), who: frame.author})));
}

function boxList(frame, arm) {
    const boxes = frame.boxes[arm];

    return h("li", {}, h("span", {class: `key ${arm}`, "aria-hidden": "true"}), ` ${t(arm === "stable" ? "oldOne" : "newOne", {tag: frame[arm]})}: `,
        boxes.length === 0 ? t("nothingFound") : boxes.map((one, i) => [i ? ", " : "",
            h(one.alone ? "b" : "span", {}, `${one.name} ${number(one.confidence, 2)}`)]));
}

function picture(frame) {
    const alt = t("frameAlt", {number: frame.number, camera: frame.camera || "–"});

    return h("figure", {class: "frame card", id: "frame", "aria-labelledby": "frame-h"},
        h("figcaption", {}, h("h2", {id: "frame-h"}, t("frameTitle", {number: frame.number}), h("span", {class: "small"},
            [frame.camera && `${t("camera")} ${frame.camera}`, time(frame.time_ms), ...frame.slices].filter(Boolean).join(" · ")))),
        h("div", {class: zoom > 1 ? "stage zoomed" : "stage", id: "stage", tabindex: zoom > 1 ? 0 : null, role: zoom > 1 ? "region" : null,
            "aria-label": zoom > 1 ? alt : null},
        h("div", {class: `plate zoom-${zoom}`}, h("img", {class: bright ? "bright" : null, src: picturePath(frame), alt, width: frame.width, height: frame.height}),
            boxesOver(frame, shown))),
        h("div", {class: "buttons", role: "group", "aria-label": t("shownBoxes")},
            [["stable", "s"], ["canary", "c"], ["agreed", "a"]].map(([which, key]) =>
                h("button", {type: "button", id: `show-${which}`, "aria-pressed": String(shown[which]), "aria-keyshortcuts": key, onclick: () => toggle(which)},
                    which === "agreed" ? null : h("span", {class: `key ${which}`, "aria-hidden": "true"}), ` ${t(`show_${which}`)} `, h("kbd", {}, key))),
            h("button", {type: "button", id: "brighten", "aria-pressed": String(bright), "aria-keyshortcuts": "b", onclick: brighten}, `${t("brighten")} `, h("kbd", {}, "b")),
            h("button", {type: "button", id: "zoom", "aria-keyshortcuts": "z", onclick: zoomOn}, `${t("zoom", {n: zoom})} `, h("kbd", {}, "z"))),
        h("ul", {class: "boxlist"}, boxList(frame, "stable"), boxList(frame, "canary")));
}

function verdicts(frame) {
    return h("div", {class: "verdicts", role: "group", "aria-label": t("whichIsRight"), id: "verdicts"},
        answers.map(([right, key, arrow]) => h("button", {type: "button", id: `right-${right}`, class: frame.right === right ? "chosen" : null,
            "aria-pressed": String(frame.right === right), disabled: frame.state === "counted", "aria-keyshortcuts": key, onclick: () => judge(right)},
        h("kbd", {}, key), arrow ? h("kbd", {"aria-hidden": "true"}, arrow) : null, ` ${t(`right_${right}`)}`)),
        h("button", {type: "button", id: "previous", "aria-keyshortcuts": "p", disabled: at() <= 0, onclick: () => step(-1)}, h("kbd", {}, "p"), ` ${t("previous")}`),
        h("button", {type: "button", id: "next", "aria-keyshortcuts": "n", disabled: at() + 1 >= list.frames.length, onclick: () => step(1)}, h("kbd", {}, "n"), ` ${t("next")}`));
}

const signs = {open: "○", given: "◐", counted: "✔"};

function thumbnail(frame) {
    return h("li", {id: `t-${frame.number}`}, h("button", {type: "button", class: "thumb",
        "aria-current": frame.number === current?.number ? "true" : null, onclick: () => {
            select(frame);
            document.getElementById("main").scrollIntoView();
        }},
    h("img", {src: picturePath(frame), alt: "", loading: "lazy", decoding: "async"}), boxesOver(frame, {stable: true, canary: true, agreed: false}, THUMB_THICK),
    h("span", {class: "small"}, h("span", {class: "unseen"}, `${t("frameTitle", frame)}, ${t(`frame_${frame.state}`)} `),
        h("span", {"aria-hidden": "true"}, `${signs[frame.state]} `), `${number(frame.difference, 2)} ${frame.camera}`)));
}

/// What people's answers have come to, and about how many more it takes.
function standing() {
    const guard = (live.rollout?.guards || []).find((one) => one.metric === "choices" && !one.slice);

    if (live.rollout?.ended)
        return t("choicesEnded");
    if (!guard)
        return t("choicesUnread");
    if (guard.verdict === "harm")
        return badge("bad", t("choicesHarm", {n: guard.canary_count}));
    if (guard.verdict === "no harm")
        return badge("good", t("choicesNoHarm", {n: guard.canary_count}));
    return guard.left_choices === null ? t("choicesDivided", {n: guard.canary_count}) : t("choicesLeft", {n: guard.canary_count, left: guard.left_choices});
}

function body() {
    if (live.session?.required && live.session.role === "viewer")
        return h("p", {class: "state"}, t("framesRole", live.session));
    if (!list)
        return h("p", {class: "state"}, problem ? t("refusedEvents", {why: problem}) : t("loading"));
    if (list.frames.length === 0 && !current)
        return h("p", {class: "state"}, list.keep ? t("framesNone") : t("framesOff"));
    return [
        h("p", {class: "state", id: "standing"}, t("framesState", list), " ", standing()),
        problem ? h("p", {class: "problem", role: "alert"}, problem) : null,
        current ? h("div", {class: "bench"}, picture(current), h("div", {class: "card", id: "judging"},
            h("h2", {}, t("whichIsRight")), verdicts(current), said(current), h("p", {class: "small"}, t("framesHelp")))) : null,
        h("h2", {}, t("framesAll", {n: list.frames.length})),
        h("ul", {class: "thumbs"}, list.frames.map(thumbnail)),
    ];
}

export function framesPage(id) {
    if (id !== rollout) {
        rollout = id;
        list = current = null;
        known = problem = "";
        askedAt = 0;
    }
    keepUp();
    return [h("h1", {}, t("framesOf", {id: live.rollout?.id || id})),
        h("p", {}, h("a", {href: `#/rollouts/${encodeURIComponent(id)}`}, t("toRollout")),
            live.rollout?.canary ? ` · ${t("against", live.rollout)}` : null),
        body()];
}
