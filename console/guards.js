// guards.js - the judge's readings: each guard with its chart, slices that stand out above, the rest in a table.
// SPDX-License-Identifier: Apache-2.0

import {badge} from "/badge.js";
import {chartOf} from "/chart.js";
import {h} from "/dom.js";
import {changeOf, duration, estimateOf, number, percent, valueOf} from "/format.js";
import {guardName, live} from "/live.js";
import {t, tOr} from "/words.js";

const NEAR = .5; // of the evidence that calls it harm: a slice that has so much stands out

const kinds = {harm: "bad", "no harm": "good", unknown: "still"};

/// How much of the evidence for harm is there, 0 to 1 and more.
function nearness(guard) {
    const share = guard.log_e_harm / guard.log_e_harm_needed;

    return guard.verdict === "harm" ? 2 : Number.isFinite(share) && guard.log_e_harm !== null ? share : -1;
}

const rank = (guard) => ({harm: 0, unknown: 1}[guard.verdict] ?? 2);

/// Harm first; then what must be proven and is not; then what is nearest to harm.
const worstFirst = (a, b) => rank(a) - rank(b) || b.required - a.required || nearness(b) - nearness(a) || guardName(a).localeCompare(guardName(b));

const nameOf = (guard) => tOr(`metric_${guard.guard}`, guard.guard);

/// A step may prove less than the margin: "no harm" would then say too much.
/// A step that asks for no proof, as the one behind a promotion, is told what an earlier one has proven.
const verdictText = (guard) => (guard.verdict === "no harm" && guard.proves > guard.margin
    ? t("verdictWithin", {margin: changeOf(guard.proves, guard).replace("+", "")})
    : guard.verdict === "unknown" && guard.proves === null && guard.proven_step
    ? t(guard.proven_margin > guard.margin ? "verdictWithinIn" : "verdictProven",
        {step: guard.proven_step, margin: changeOf(guard.proven_margin, guard).replace("+", "")})
    : tOr(`verdict_${guard.verdict}`, guard.verdict));
const verdictOf = (guard) => badge(kinds[guard.verdict] ?? "still", verdictText(guard));

function within(guard) {
    const lower = changeOf(guard.lower, guard), upper = changeOf(guard.upper, guard);

    if ((guard.lower === null || (guard.relative && guard.lower <= -1)) && guard.upper === null)
        return t("withinAll");
    if (guard.lower === null)
        return guard.upper === null ? "–" : `≤ ${upper}`;
    return guard.upper === null ? `≥ ${lower}` : `${lower} … ${upper}`;
}

function marginOf(guard) {
    return guard.worse === "either" ? `±${changeOf(guard.margin, guard).replace("+", "")}`
        : changeOf(guard.worse === "lower" ? -guard.margin : guard.margin, guard);
}

/// People's choices are one number, the share of those who say that stable is right: it is shown as what it says of both.
const sides = (guard) => (guard.metric === "choices"
    ? [["right_stable", guard.canary], ["right_canary", guard.canary === null ? null : 1 - guard.canary]]
    : [["role_stable", guard.stable], ["role_canary", guard.canary]]);

const PAIRED = ["disagreement", "lost", "gained", "flipped", "jitter", "score_shift"]; // counted once, with the canary

function evidence(guard) {
    if (guard.metric === "choices")
        return t("answersGiven", {n: number(guard.canary_count)});
    return PAIRED.includes(guard.metric) ? t("evidenceBoth", {n: number(guard.canary_count)})
        : t("evidence", {stable: number(guard.stable_count), canary: number(guard.canary_count)});
}

function card(guard) {
    const name = nameOf(guard), id = `g-${guardName(guard)}`;
    const label = t("chartLabel", {guard: name, change: estimateOf(guard), lower: changeOf(guard.lower, guard),
        upper: changeOf(guard.upper, guard), margin: marginOf(guard), verdict: verdictText(guard)});
    const near = nearness(guard);

    return h("section", {class: "card guard", id, "aria-labelledby": `${id}-h`},
        h("h3", {id: `${id}-h`}, h("span", {}, name, name.replaceAll(" ", "_") === guard.guard ? null : h("code", {class: "small"}, ` ${guard.guard}`)), " ", verdictOf(guard)),
        h("dl", {class: "pair"}, sides(guard).map(([word, value]) => h("div", {}, h("dt", {}, t(word)), h("dd", {}, valueOf(value, guard)))),
            h("div", {}, h("dt", {}, t("change")), h("dd", {}, estimateOf(guard))),
            h("div", {}, h("dt", {}, t("margin")), h("dd", {}, marginOf(guard)))),
        chartOf(guard, label),
        h("p", {class: "small"},
            `${guard.required ? t("required") : t("watched")} · ${t("within")} ${within(guard)} · ${evidence(guard)}`,
            near > 0 && guard.verdict !== "harm" ? ` · ${t("harmNearness", {share: percent(near, 2)})}` : null,
            guard.verdict === "unknown" && guard.left_s !== null && !live.rollout?.ended ? ` · ${t("aboutLeft", {time: duration(guard.left_s)})}` : null));
}

function table(guards, caption) {
    const cell = (label, ...content) => h("td", {"data-label": t(label)}, ...content);

    return h("table", {class: "wide"}, h("caption", {class: "unseen"}, caption),
        h("thead", {}, h("tr", {}, ["guard", "slice", "role_stable", "role_canary", "change", "within", "margin", "verdict"].map((key) =>
            h("th", {scope: "col"}, t(key))))),
        h("tbody", {}, guards.map((guard) => h("tr", {id: `s-${guardName(guard)}`},
            h("th", {scope: "row"}, nameOf(guard)), cell("slice", guard.slice), cell("role_stable", valueOf(guard.stable, guard)),
            cell("role_canary", valueOf(guard.canary, guard)), cell("change", estimateOf(guard)),
            cell("within", within(guard)), cell("margin", marginOf(guard)), cell("verdict", verdictOf(guard))))));
}

/// Nothing has been measured of either version: memory of other people's servers, labels that nobody gives.
const isBlank = (guard) => guard.verdict === "unknown" && guard.stable_count === 0 && guard.canary_count === 0 &&
    guard.stable === null && guard.canary === null;

function legend() {
    const item = (kind, word) => h("li", {}, h("span", {class: `line ${kind}`, "aria-hidden": "true"}), ` ${t(word)}`);

    return h("ul", {class: "legend small"}, item("estimate", "legendChange"), item("band", "legendBand"), item("margin", "legendMargin"));
}

/// readings: those of now, or of the last decision where the rollout has ended.
export function guardsView(readings) {
    const guards = readings.filter((guard) => !isBlank(guard)).sort(worstFirst);
    const blank = readings.filter((guard) => isBlank(guard) && !guard.slice);
    const slices = guards.filter((guard) => guard.slice);
    const out = slices.filter((guard) => nearness(guard) >= NEAR), rest = slices.filter((guard) => nearness(guard) < NEAR);

    return h("section", {id: "guards", "aria-labelledby": "guards-h"},
        h("h2", {id: "guards-h"}, t("guards")),
        guards.length === 0 ? h("p", {}, t("noGuards")) : legend(),
        out.length ? h("div", {class: "card", id: "slices-out"}, h("h3", {}, t("slicesOut")), table(out, t("slicesOut"))) : null,
        h("div", {class: "grid"}, guards.filter((guard) => !guard.slice).map(card)),
        rest.length ? h("details", {class: "card", id: "slices-rest"}, h("summary", {}, t("otherSlices", {n: rest.length})),
            table(rest, t("otherSlices", {n: rest.length}))) : null,
        blank.length ? h("p", {class: "small"}, t("blankGuards", {guards: namesOf(blank)})) : null);
}

/// Names for a sentence.
export const namesOf = (guards) => guards.map((guard) => nameOf(guard) + (guard.slice ? ` ${guard.slice}` : "")).join(", ");
