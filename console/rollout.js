// rollout.js - the list of rollouts, and one in full: how it stands in the first line, why in the second.
// SPDX-License-Identifier: Apache-2.0

import {badge, phaseBadge} from "/badge.js";
import {confirmVerb} from "/confirm.js";
import {coded, english, h} from "/dom.js";
import {filterField, narrowed} from "/filter.js";
import {duration, percent, time} from "/format.js";
import {guardsView} from "/guards.js";
import {engineOf, live} from "/live.js";
import {t, tOr} from "/words.js";

const urgency = (rollout) => (rollout.phase === "Inconclusive" ? 0 : rollout.phase === "Paused" ? 1 : rollout.ended ? 3 : 2);

export function rolloutsPage() {
    const list = [...live.rollouts].sort((a, b) => urgency(a) - urgency(b) || b.started_ms - a.started_ms);
    const running = list.filter((one) => !one.ended).length, person = list.filter((one) => one.phase === "Inconclusive").length;
    const cell = (label, ...content) => h("td", {"data-label": t(label)}, ...content), whole = (text) => h("span", {class: "whole"}, text);
    const shown = narrowed(list, (one) => `${one.id} ${one.canary}`);

    return [
        h("h1", {}, t("rollouts")),
        h("p", {class: "state"}, !live.status ? t("loading")
            : list.length === 0 ? coded(t("noRollouts"))
                : [person ? badge("warn", t("rolloutsPerson", {n: person})) : badge("good", running ? t("rolloutsRunning", {n: running}) : t("rolloutsNone"))]),
        filterField("rollouts", list.length, shown.length),
        list.length ? h("table", {class: "wide card"},
            h("thead", {}, h("tr", {}, ["event", "version", "state", "steps", "share", "why"].map((key, i) =>
                h("th", {scope: "col"}, i === 0 ? t("rollouts") : t(key))))),
            h("tbody", {}, shown.map((one) => h("tr", {id: `r-${one.id}`},
                h("th", {scope: "row"}, h("a", {href: `#/rollouts/${encodeURIComponent(one.id)}`}, one.id)),
                cell("version", t("against", one)), cell("state", phaseBadge(one)), cell("steps", whole(`${one.step}/${one.steps}`)),
                cell("share", whole(percent(one.share_percent / 100))), cell("why", english(one.waiting || one.why)))))) : null,
    ];
}

// ---- one ----

function stepsView(rollout) {
    const well = rollout.phase === "Promoted" || rollout.phase === "Completed";

    return h("section", {id: "steps", "aria-labelledby": "steps-h"}, h("h2", {id: "steps-h", class: "unseen"}, t("steps")),
        h("ol", {class: "steps"}, rollout.plan_steps.map((step, i) => {
            const here = i + 1 === rollout.step && !well, passed = well || i + 1 < rollout.step;
            const ended = here && rollout.ended;
            const where = passed ? "stepDone" : ended ? "stepEnded" : !here ? "stepAhead" : rollout.step_begun ? "stepHere" : "stepWaits";
            const kind = passed ? "passed" : ended ? "here bad" : here ? "here" : "ahead";
            return h("li", {class: kind, "aria-current": here ? "step" : null},
                h("span", {"aria-hidden": "true"}, passed ? "✔" : ended ? "✖" : !here ? "○" : rollout.step_begun ? "▶" : "◷"), " ",
                step.weight_percent > 0 ? percent(step.weight_percent / 100) : t("mirror", {share: percent(step.mirror_percent / 100)}),
                h("span", {class: here ? "small" : "unseen"}, ` ${t(where)}`),
                step.pause ? h("span", {class: "small"}, ` ${t("stepPause")}`) : null);
        })));
}

function actions(rollout) {
    if (live.session?.required && live.session.role === "viewer")
        return h("p", {class: "small", id: "actions"}, t("mayOnlyRead", live.session));
    return h("div", {class: "buttons", id: "actions", role: "group", "aria-label": t("actions")}, rollout.possible.map((verb) =>
        h("button", {id: `do-${verb}`, type: "button", class: verb === "abort" || verb === "undo" ? "danger" : null,
            onclick: () => confirmVerb(live.rollout, verb)}, tOr(`verb_${verb}`, verb))));
}

function eventsView(rollout) {
    const shown = live.history.slice().reverse(), hidden = shown.length > 0 && shown.at(-1).event !== "start";
    const cell = (label, ...content) => h("td", {"data-label": t(label)}, ...content);

    return h("section", {id: "events", "aria-labelledby": "events-h"}, h("h2", {id: "events-h"}, t("events")),
        shown.length === 0 ? h("p", {}, t("noEvents")) : h("table", {class: "wide card"},
            h("thead", {}, h("tr", {}, ["when", "event", "state", "who", "why"].map((key) => h("th", {scope: "col"}, t(key))))),
            h("tbody", {}, shown.map((decision) => h("tr", {id: `d-${decision.number}`},
                cell("when", h("span", {class: "whole"}, time(decision.time_ms))), cell("event", h("span", {class: "whole"}, tOr(`event_${decision.event}`, decision.event))),
                cell("state", h("span", {class: "whole"}, tOr(`phase_${decision.state.phase}`, decision.state.phase))), cell("who", tOr(`who_${decision.author}`, decision.author)),
                cell("why", english(decision.why)))))),
        hidden ? h("p", {class: "small"}, t("moreEvents", {id: rollout.id})) : null);
}

/// Nobody looks for copies that fail and labels that are refused, and the guards wait for both.
function losses({copies, labels}) {
    const row = (kind, label, text, why) => h("div", {class: kind}, h("dt", {}, t(label)), h("dd", {}, text, " ", why ? english(why) : null));
    const told = !labels ? [] : ["unchecked", "unmatched", "refused"].filter((what) => labels[what] > 0);

    return [
        copies?.failed > 0 ? row("warn", "copies", t("copiesFailed", {n: copies.answered, of: copies.answered + copies.failed}), copies.failure) : null,
        told.length ? row(labels.refused > 0 ? "warn" : null, "labels", [t("labels_counted", {n: labels.counted}), ...told.map((what) => t(`labels_${what}`, {n: labels[what]}))].join("; "),
            labels.refused > 0 ? labels.why : "") : null];
}

function facts(rollout) {
    const canary = engineOf(rollout.model, rollout.canary)?.provider, stable = engineOf(rollout.model, rollout.stable)?.provider;
    const ratio = rollout.sample_ratio || {}, model = live.status?.models.find((one) => one.model === rollout.model);
    const row = (label, text, kind) => (text ? h("div", {class: kind || null}, h("dt", {}, t(label)), h("dd", {}, text)) : null);

    return h("dl", {class: "facts"},
        row("why", english(rollout.why)),
        row("now", rollout.waiting !== rollout.why ? english(rollout.waiting) : null),
        rollout.phase === "Progressing" && Number.isFinite(rollout.left_s) && rollout.left_s !== null
            ? row("left", t("aboutLeft", {time: duration(rollout.left_s)})) : null,
        rollout.undo_left_s !== undefined ? row("left", t("undoLeft", {time: duration(rollout.undo_left_s)})) : null,
        row("engine", canary && stable ? (canary === stable ? canary : t("against", {canary, stable})) : ""),
        losses(rollout),
        rollout.no_traffic && !rollout.ended ? row("state", t("noTraffic"), "warn") : null,
        rollout.route_in_force ? null : row("state", t("notInForce"), "warn"),
        model?.unstored ? row("state", t("unstored"), "warn") : null,
        model?.damage ? row("state", t("logDamaged", {why: model.damage, model: model.model}), "bad") : null,
        ratio.alarm ? row("state", t("ratioAlarm", {seen: percent(ratio.seen), expected: percent(ratio.expected)}), "bad") : null);
}

function links(rollout) {
    const {frames, model, stable, canary} = rollout, name = (tag) => encodeURIComponent(`${model}:${tag}`);

    return h("p", {id: "links"}, h("a", {href: `#/versions/${name(canary)}/${name(stable)}`}, t("whatItChanges", rollout)),
        frames && (frames.keep || frames.kept)
            ? [" · ", h("a", {id: "to-frames", href: `#/rollouts/${encodeURIComponent(rollout.id)}/frames`}, t("framesLink", frames))] : null);
}

export function rolloutPage(id) {
    const rollout = live.rollout;

    if (!rollout || rollout.error)
        return [h("h1", {}, id), h("p", {class: "state"}, rollout ? t("gone", {id}) : t("loading")),
            rollout ? h("p", {}, english(rollout.error)) : null];
    return [
        h("h1", {}, rollout.id),
        h("p", {class: "state"}, phaseBadge(rollout), " ", t("against", rollout), ", ",
            t("stepOf", rollout), ", ", t("ofRequests", {share: percent(rollout.share_percent / 100)})),
        facts(rollout),
        stepsView(rollout),
        actions(rollout),
        links(rollout),
        guardsView(rollout.guards || live.history.at(-1)?.numbers.guards || []),
        eventsView(rollout),
    ];
}
