// tryit.js - a picture on two versions: both sets of boxes over it, side by side.
// SPDX-License-Identifier: Apache-2.0
//
// The page keeps the picture; nobody else does. Boxes are drawn as SVG in the picture's own pixels.

import {badge} from "/badge.js";
import {announce, coded, h, svg} from "/dom.js";
import {naturally, number} from "/format.js";
import {live} from "/live.js";
import {call} from "/server.js";
import {t} from "/words.js";

const MOST_ROWS = 50; // of detections that are listed

let picture = null, pictureUrl = "", pictureName = "", model = "", chosen = ["", ""], answers = [null, null], redraw = () => {};

export function tryChanged(changed) {
    redraw = changed;
}

function versionsOf(name) {
    const found = live.status?.models.find((one) => one.model === name);

    return found ? [...found.versions].sort((a, b) => (b.tag === found.stable) - (a.tag === found.stable) || naturally(b.tag, a.tag)) : [];
}

async function ask(side) {
    const tag = chosen[side], asked = picture;

    if (!picture || !tag)
        return;
    answers[side] = {asking: true};
    redraw();
    let found;
    try {
        found = await call("POST", `try/${encodeURIComponent(`${model}:${tag}`)}`, picture);
    } catch (error) {
        found = {error: error.message};
    }
    if (asked !== picture || chosen[side] !== tag)
        return;
    answers[side] = found;
    const image = found.images?.[0];
    announce(image ? t("tryFound", {tag, n: image.results.length}) : `${tag}: ${found.error}`);
    redraw();
}

function askBoth() {
    answers = [null, null];
    ask(0);
    ask(1);
}

function take(file) {
    if (!file)
        return;
    URL.revokeObjectURL(pictureUrl);
    picture = file;
    pictureName = file.name || "";
    pictureUrl = URL.createObjectURL(file);
    askBoth();
}

function corners(box) {
    return "x3" in box ? [[box.x1, box.y1], [box.x2, box.y2], [box.x3, box.y3], [box.x4, box.y4]]
        : [[box.x1, box.y1], [box.x2, box.y1], [box.x2, box.y2], [box.x1, box.y2]];
}

function overlay(image) {
    const [height, width] = image.shape, size = Math.max(width, height) / 40;

    return svg("svg", {class: "boxes", viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true"},
        image.results.filter((one) => one.box).map((one) => svg("g", {class: `class-${(one.class ?? 0) % 6}`},
            svg("polygon", {points: corners(one.box).map((at) => at.join(",")).join(" "), "stroke-width": size / 8}),
            svg("text", {x: one.box.x1, y: Math.max(size, one.box.y1 - size / 4), "font-size": size}, `${one.name} ${number(one.confidence, 2)}`))));
}

function sideView(side) {
    const answer = answers[side], image = answer?.images?.[0];
    const versions = versionsOf(model);

    return h("section", {class: "card", id: `side-${side}`, "aria-label": chosen[side] || t("version")},
        h("label", {for: `tag-${side}`}, t("version")),
        h("select", {id: `tag-${side}`, onchange: (event) => {
            chosen[side] = event.target.value;
            answers[side] = null;
            ask(side);
            redraw();
        }}, versions.map((one) => h("option", {value: one.tag, selected: one.tag === chosen[side]}, one.tag))),
        picture ? h("figure", {class: "picture"}, h("img", {src: pictureUrl, alt: pictureName || t("picture")}), image ? overlay(image) : null) : null,
        !answer ? null : answer.asking ? h("p", {}, t("loading")) : answer.error ? h("p", {class: "problem"}, badge("bad", answer.error)) : null,
        image ? [
            h("p", {class: "found"}, t("tryFound", {tag: chosen[side], n: image.results.length}),
                h("span", {class: "small"}, image.speed ? ` ${number(image.speed.inference)} ms` : "")),
            h("table", {}, h("thead", {}, h("tr", {}, h("th", {scope: "col"}, t("class")), h("th", {scope: "col"}, t("score")))),
                h("tbody", {}, image.results.slice(0, MOST_ROWS).map((one) => h("tr", {}, h("td", {}, one.name), h("td", {}, number(one.confidence, 3))))))] : null);
}

export function tryPage() {
    const models = [...live.status?.models || []].sort((a, b) => naturally(a.model, b.model));

    if (!live.status)
        return [h("h1", {}, t("tryit")), h("p", {class: "state"}, t("loading"))];
    if (!models.length)
        return [h("h1", {}, t("tryit")), h("p", {class: "state"}, coded(t("noModels")))];
    if (!models.some((one) => one.model === model))
        model = models[0].model;
    const tags = versionsOf(model).map((one) => one.tag);
    chosen = chosen.map((tag, side) => (tags.includes(tag) ? tag : tags[Math.min(side, tags.length - 1)] || ""));

    return [
        h("h1", {}, t("tryit")),
        h("p", {class: "state"}, t("tryText")),
        h("div", {class: "card drop", id: "drop", ondragover: (event) => event.preventDefault(), ondrop: (event) => {
            event.preventDefault();
            take(event.dataTransfer.files[0]);
        }},
        h("label", {for: "try-model"}, t("model")),
        h("select", {id: "try-model", onchange: (event) => {
            model = event.target.value;
            chosen = ["", ""];
            redraw();
            setTimeout(askBoth);
        }}, models.map((one) => h("option", {value: one.model, selected: one.model === model}, one.model))),
        h("label", {for: "picture"}, t("picture")),
        h("input", {id: "picture", type: "file", accept: "image/*", onchange: (event) => take(event.target.files[0])})),
        h("div", {class: "sides"}, sideView(0), sideView(1)),
    ];
}
