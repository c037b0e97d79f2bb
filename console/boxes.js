// boxes.js - both versions' boxes over a frame: stable's dashed, canary's solid, so that no colour is needed to tell them apart.
// SPDX-License-Identifier: Apache-2.0
//
// Boxes come in shares of the picture's sides and are drawn in its own pixels. Each line has a dark one under it, so that it
// is seen on any picture.

import {svg} from "/dom.js";
import {number} from "/format.js";

const LINES = 250;      // of the longer side: a line's width
const LETTERS = 42;     // and a letter's height
const LETTER_WIDE = .6; // of its height, about

function boxView(arm, one, {width, height}, thick) {
    const [x1, y1, x2, y2] = one.box, unit = Math.max(width, height), size = unit / LETTERS, text = `${one.name} ${number(one.confidence, 2)}`;
    const place = {x: x1 * width, y: y1 * height, width: (x2 - x1) * width, height: (y2 - y1) * height};
    const wide = text.length * size * LETTER_WIDE, left = Math.max(0, Math.min(place.x, width - wide));
    // Stable's label stands over its box and canary's under it: often the boxes are nearly the same.
    const at = arm === "stable" ? Math.max(size, place.y - size / 4) : Math.min(height - size / 4, place.y + place.height + size);
    const line = thick * unit / LINES, dash = arm === "stable" ? `${4 * line} ${2.5 * line}` : null;

    return svg("g", {class: `${arm}${one.alone ? " alone" : ""}`},
        svg("rect", {...place, class: "under", "stroke-width": 2 * line}),
        svg("rect", {...place, "stroke-width": line, "stroke-dasharray": dash}),
        one.alone ? svg("text", {x: left, y: at, "font-size": size}, text) : null); // of the others the list below has the scores
}

/// frame: as the server has it. shown: {stable, canary, agreed}: which boxes. thick: lines, where the picture is small.
export function boxesOver(frame, shown, thick = 1) {
    const of = (arm) => (shown[arm] ? frame.boxes[arm].filter((one) => one.alone || shown.agreed) : []);

    return svg("svg", {class: "over", viewBox: `0 0 ${frame.width} ${frame.height}`, "aria-hidden": "true"},
        ["canary", "stable"].map((arm) => of(arm).map((one) => boxView(arm, one, frame, thick)))); // the dashed ones on top
}
