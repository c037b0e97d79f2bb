// format.js - numbers, times and values as people read them.
// SPDX-License-Identifier: Apache-2.0

import {language, t, tOr} from "/words.js";

const known = (value) => typeof value === "number" && Number.isFinite(value);

/// Three figures that count; "–" for what is not known.
export function number(value, digits = 3) {
    if (!known(value))
        return "–";
    if (value !== 0 && Math.abs(value) < 1e-4)
        return value.toExponential(1);
    return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString(language(), {useGrouping: Math.abs(value) >= 10000})
        : String(Number(value.toPrecision(digits)));
}

export function percent(share, digits = 3) {
    return known(share) ? `${number(100 * share, digits)} %` : "–";
}

export function bytes(value) {
    if (!known(value) || value <= 0)
        return "–";
    if (value < 1e7)
        return `${(value / 1e6).toFixed(1)} MB`; // 1.5 and .5 were 2 and 1
    return value < 1e9 ? `${Math.round(value / 1e6)} MB` : `${(value / 1e9).toFixed(1)} GB`;
}

export function duration(seconds) {
    if (!known(seconds))
        return "–";
    if (seconds < 90)
        return t("seconds", {n: Math.round(seconds)});
    if (seconds < 5400)
        return t("minutes", {n: Math.round(seconds / 60)});
    if (seconds < 129600)
        return t("hours", {n: (seconds / 3600).toFixed(1)});
    return t("days", {n: (seconds / 86400).toFixed(1)});
}

/// "2026-11-22 20:15:38", as `serin rollout history` writes it.
export function time(ms) {
    const two = (n) => String(n).padStart(2, "0"), at = new Date(ms);

    if (!known(ms) || ms <= 0)
        return "–";
    return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/// A value of a guard's metric: "3.1 %" of a share, "36 ms".
export function valueOf(value, guard) {
    if (!known(value))
        return "–";
    return guard.unit === "share" ? percent(value) : `${number(value, 4)} ${tOr(`unit_${guard.unit}`, guard.unit)}`;
}

/// A difference from stable: "+12 %", or in points where the metric is a share itself.
export function changeOf(change, guard) {
    if (!known(change))
        return "?";
    const points = guard.unit === "share" && !guard.relative;
    const text = number(guard.relative || points ? 100 * change : change);

    return `${change > 0 ? "+" : ""}${text.replace("-", "−")}${guard.relative ? " %" : points ? ` ${t("points")}` : ""}`;
}

/// What a guard has found: of something that stable never does there is no ratio.
export function estimateOf(guard) {
    if (!known(guard.estimate) && guard.relative && guard.stable === 0 && guard.canary > 0)
        return "+∞ %";
    return known(guard.estimate) ? changeOf(guard.estimate, guard) : "–";
}

/// -1, 0, 1 by the SemVer-like tags' natural order.
export const naturally = (a, b) => a.localeCompare(b, "en", {numeric: true});
