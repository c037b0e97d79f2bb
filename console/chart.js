// chart.js - a guard over time: the estimated change, the band that it surely lies within, the margin.
// SPDX-License-Identifier: Apache-2.0
//
// uPlot draws on a canvas; who does not see it has the label. A chart belongs to the element that chartOf made, is
// drawn once that is on the page, and goes with it.

import uPlot from "/vendor/uPlot.js";
import {h} from "/dom.js";
import {changeOf} from "/format.js";
import {guardName, live} from "/live.js";
import {t} from "/words.js";

const HEIGHT = 130;
const LEAST_SPAN_S = 30;
const LEAST_LABEL_PX = 50, LABEL_GAP_PX = 12;
const FAR = 1e6; // more than any change
const charts = new Map(); // element -> {plot, guard}
let guards = new Map();   // name -> reading, of this look

export function chartOf(guard, label) {
    const name = guardName(guard);

    guards.set(name, guard);
    return h("div", {class: "chart", id: `c-${name}`, "data-keep": "", "data-guard": name, role: "img", "aria-label": label});
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/// The margins are drawn where they are: one, or one on each side.
function marginsOf(guard) {
    return guard.worse === "either" ? [guard.margin, -guard.margin] : [guard.worse === "lower" ? -guard.margin : guard.margin];
}

function drawLine(plot, value, style, dash) {
    const y = Math.round(plot.valToPos(value, "y", true)), {left, width, top, height} = plot.bbox;

    if (y < top || y > top + height)
        return;
    plot.ctx.save();
    plot.ctx.strokeStyle = style;
    plot.ctx.lineWidth = devicePixelRatio;
    plot.ctx.setLineDash(dash.map((length) => length * devicePixelRatio));
    plot.ctx.beginPath();
    plot.ctx.moveTo(left, y);
    plot.ctx.lineTo(left + width, y);
    plot.ctx.stroke();
    plot.ctx.restore();
}

/// Zero, the margins and the estimate are always in view; the band as far as three margins, since it begins without end.
function rangeOf(guard, data) {
    const margins = marginsOf(guard), reach = 3 * Math.max(...margins.map(Math.abs), 1e-9);
    const clip = (value) => Math.max(-reach, Math.min(reach, value));
    let low = Math.min(0, ...margins), high = Math.max(0, ...margins);

    for (const value of data[1])
        if (Number.isFinite(value) && value !== null) {
            low = Math.min(low, value);
            high = Math.max(high, value);
        }
    for (const list of [data[2], data[3]])
        for (const value of list)
            if (Number.isFinite(value) && value !== null) {
                low = Math.min(low, clip(value));
                high = Math.max(high, clip(value));
            }
    const room = .08 * (high - low || 1);
    return [low - room, high + room];
}

/// As wide as its longest label, which may be "+40,000 %"; at the least as wide as most are, so that charts stand in line.
function sizeOfLabels(plot, labels, index) {
    const {font} = plot.axes[index];

    plot.ctx.font = Array.isArray(font) ? font[0] : font; // in the canvas's own pixels
    const widths = (labels || []).map((label) => plot.ctx.measureText(label).width / devicePixelRatio);
    return Math.ceil(Math.max(LEAST_LABEL_PX, ...widths) + LABEL_GAP_PX);
}

function make(element, entry) {
    const axis = {stroke: () => colour("--quiet"), grid: {stroke: () => colour("--line"), width: 1}, ticks: {show: false}, font: "11px system-ui"};
    const edge = {stroke: () => colour("--band-edge"), width: 1, points: {show: false}};

    return new uPlot({
        width: Math.max(120, element.clientWidth), height: HEIGHT, legend: {show: false}, cursor: {show: false},
        padding: [6, 26, 0, 0],
        scales: {x: {time: true, range: (_, from, to) => [Math.min(from, to - LEAST_SPAN_S), to]}, y: {range: (plot) => rangeOf(entry.guard, plot.data)}},
        axes: [{...axis, size: 22, space: 70, values: (_, ticks) => ticks.map((tick) => new Date(1000 * tick).toLocaleTimeString([], {hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false}))},
            {...axis, size: sizeOfLabels, space: 26, values: (_, ticks) => ticks.map((tick) => changeOf(tick, entry.guard).replace(t("points"), "").trim())}],
        series: [{}, {stroke: () => colour("--canary"), width: 2, points: {show: false}}, edge, edge],
        bands: [{series: [2, 3], fill: () => colour("--band")}],
        hooks: {draw: [(plot) => {
            drawLine(plot, 0, colour("--quiet"), []);
            for (const margin of marginsOf(entry.guard))
                drawLine(plot, margin, colour("--bad"), [6, 4]);
        }]},
    }, entry.data, element);
}

/// A single reading would be no line.
function dataOf(name) {
    const kept = live.readings.get(name);

    if (!kept || kept.t.length < 2)
        return null;
    // A band that is closed on one side alone goes on as far as can be seen on the other.
    const open = (list, other, end) => list.map((value, i) => (value === null && other[i] !== null ? end : value));
    return [kept.t, kept.estimate, open(kept.upper, kept.lower, FAR), open(kept.lower, kept.upper, -FAR)];
}

/// Once the page is as it should be: new charts are begun, old ones continued, those of what has gone freed.
export function drawCharts() {
    for (const [element, entry] of charts)
        if (!element.isConnected) {
            entry.plot.destroy();
            charts.delete(element);
        }
    for (const element of document.querySelectorAll("[data-guard]")) {
        const guard = guards.get(element.dataset.guard), data = dataOf(element.dataset.guard);
        let entry = charts.get(element);

        if (!guard || !data)
            continue;
        if (!entry) {
            charts.set(element, entry = {guard, data});
            entry.plot = make(element, entry);
        } else {
            entry.guard = guard;
            entry.plot.setData(data);
        }
    }
    guards = new Map();
}

/// Colours or sizes have changed.
export function redrawCharts() {
    for (const [element, {plot}] of charts)
        plot.setSize({width: Math.max(120, element.clientWidth), height: HEIGHT});
}
