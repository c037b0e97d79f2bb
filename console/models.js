// models.js - what serves now: each model with its versions, worst first.
// SPDX-License-Identifier: Apache-2.0

import {badge, phaseBadge} from "/badge.js";
import {coded, english, h} from "/dom.js";
import {filterField, narrowed} from "/filter.js";
import {bytes, duration, naturally, number, percent, time} from "/format.js";
import {engineOf, live, rates} from "/live.js";
import {t, tOr} from "/words.js";

/// [class, sentence]: how a version fares. bad: somebody must look; warn: worth a look.
function stateOf(model, version, rate) {
    const all = version.replicas.length;

    if (version.breaker === "open")
        return ["bad", t("broken")];
    if (version.ready === 0)
        return [version.weight > 0 || version.tag === model.stable ? "bad" : "warn", t("down")];
    if (rate && rate.errors > .01)
        return ["bad", t("failing")];
    if (rate && rate.failures > .01)
        return ["warn", t("failing")];
    if (version.ready < all)
        return ["warn", t("someDown")];
    return rate && rate.requests + rate.mirrored === 0 ? ["still", t("idle")] : ["good", t("ok")];
}

function whyOf(version) {
    const replica = version.replicas.find((one) => one.why);

    return replica ? h("div", {class: "small"}, english(replica.why)) : null;
}

function versionRow(model, version) {
    const rate = rates(model.model, version.tag), engine = engineOf(model.model, version.tag);
    const [kind, text] = stateOf(model, version, rate);
    const memory = version.replicas.reduce((sum, replica) => sum + replica.resident_bytes + replica.gpu_bytes, 0);
    const cell = (label, ...content) => h("td", {"data-label": t(label)}, ...content);

    return h("tr", {id: `v-${model.model}-${version.tag}`},
        h("th", {scope: "row"}, version.tag, version.tag === model.stable ? h("span", {class: "role"}, t("role_stable")) : null,
            engine ? h("div", {class: "small", title: engine.why || null}, engine.provider) : null),
        cell("share", h("span", {class: "share"}, h("meter", {
            min: 0, max: 1, value: version.share, "aria-label": `${t("share")} ${percent(version.share)}`}), percent(version.share))),
        cell("rate", number(rate?.requests ?? NaN), rate?.mirrored > 0 ? h("span", {class: "small"}, " ", t("mirroredRate", {n: number(rate.mirrored)})) : null),
        cell("p95", version.counters.answered > 0 ? `${number(version.latency_ms.p95)} ms` : "–"),
        cell("failures", percent(rate?.failures ?? NaN, 2)),
        cell("errors", percent(rate?.errors ?? NaN, 2)),
        cell("replicas", t("replicasReady", {ready: version.ready, all: version.replicas.length})),
        cell("memory", bytes(memory)),
        cell("state", h("div", {}, badge(kind, text), whyOf(version))));
}

const rolloutOf = (model) => live.rollouts.find((one) => one.model === model.model);

function rank(model) {
    if (model.damage || model.unstored)
        return 0;
    const rollout = rolloutOf(model), waits = rollout?.phase === "Inconclusive";
    const kinds = model.versions.map((version) => stateOf(model, version, rates(model.model, version.tag))[0]);

    return kinds.includes("bad") ? 0 : waits || kinds.includes("warn") ? 1 : 2;
}

/// The last one, also when it has ended: whoever is called at night sees first what was taken off, and when.
function rolloutLine(rollout) {
    return h("p", {}, h("a", {href: `#/rollouts/${encodeURIComponent(rollout.id)}`}, t("rolloutOf", rollout)), " ", phaseBadge(rollout),
        h("span", {class: "small"}, " ", rollout.ended ? time(rollout.ended_ms) : t("stepOf", rollout)));
}

function modelCard(model) {
    const rollout = rolloutOf(model);
    const unit = {request: "byRequest", key: "byKey", key_block: "byBlock"}[model.unit];
    const versions = [...model.versions].sort((a, b) =>
        (b.tag === model.stable) - (a.tag === model.stable) || b.share - a.share || naturally(b.tag, a.tag));
    const head = (key, help) => h("th", {scope: "col", title: help ? t(help) : null}, t(key));

    return h("section", {class: "card", id: `m-${model.model}`, "aria-labelledby": `h-${model.model}`},
        h("h2", {id: `h-${model.model}`}, model.model, h("span", {class: "small"}, tOr(unit, model.unit))),
        model.damage ? h("p", {}, badge("bad", t("logDamaged", {why: model.damage, model: model.model}))) : null,
        model.unstored ? h("p", {}, badge("warn", t("unstored")), " ", english(model.unstored)) : null,
        rollout ? rolloutLine(rollout) : null,
        h("table", {class: "wide versions"},
            h("thead", {}, h("tr", {}, head("version"), head("share"), head("rate"), head("p95"), head("failures", "failuresHelp"),
                head("errors", "errorsHelp"), head("replicas"), head("memory"), head("state"))),
            h("tbody", {}, versions.map((version) => versionRow(model, version)))));
}

export function modelsPage() {
    const models = live.status?.models || [];
    const sorted = [...models].sort((a, b) => rank(a) - rank(b) || naturally(a.model, b.model));
    const bad = models.filter((model) => rank(model) < 2).length, shown = narrowed(sorted, (model) => model.model);

    if (!live.status)
        return [h("h1", {}, t("models")), h("p", {class: "state"}, t("loading"))];
    return [
        h("h1", {}, t("models")),
        h("p", {class: "state"},
            models.length === 0 ? coded(t("noModels"))
                : bad ? badge(sorted.some((model) => rank(model) === 0) ? "bad" : "warn", t("troubles", {n: bad, of: models.length}))
                    : badge("good", models.length === 1 ? t("oneWell") : t("allWell", {n: models.length})),
            h("span", {class: "small"}, ` serin ${live.status.version}, ${t("uptime", {time: duration(live.status.uptime_s)})}`)),
        filterField("models", sorted.length, shown.length),
        shown.map(modelCard),
    ];
}
