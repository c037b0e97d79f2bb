// confirm.js - the question before anything is changed: what will happen, in words.
// SPDX-License-Identifier: Apache-2.0

import {announce, h, show} from "/dom.js";
import {number, percent} from "/format.js";
import {namesOf} from "/guards.js";
import {rates} from "/live.js";
import {call, failure} from "/server.js";
import {t, tOr} from "/words.js";

function stepText(rollout, index) {
    const step = rollout.plan_steps[index], canary = rollout.canary;

    if (!step || step.weight_percent >= 100)
        return t("nextAll", {canary});
    return step.weight_percent > 0 ? t("nextWeight", {share: percent(step.weight_percent / 100), canary})
        : t("nextMirror", {share: percent(step.mirror_percent / 100), canary});
}

/// The sentences that say what the verb does to this rollout as it stands.
function effects(rollout, verb) {
    const {model, stable, canary, step, steps} = rollout;
    const words = {model, stable, canary, step, steps, share: percent(rollout.share_percent / 100), skipped: Math.max(0, steps - step)};
    const guards = rollout.guards || [], forward = verb === "promote" || verb === "promote-full";
    const unproven = guards.filter((guard) => guard.required && !guard.slice && guard.verdict === "unknown");
    const harmed = guards.filter((guard) => guard.verdict === "harm");
    const rate = rates(model, canary);
    const says = [];

    if (verb === "promote" && !rollout.step_begun)
        says.push(t("does_promote_begin", {...words, next: stepText(rollout, step - 1)}));
    else
        says.push(t(`does_${verb}`, {...words, next: stepText(rollout, verb === "retry" ? 0 : step)}));
    if (forward && harmed.length)
        says.push(t("harmed", {guards: namesOf(harmed)}));
    if (forward && unproven.length)
        says.push(t("unproven", {guards: namesOf(unproven)}));
    if ((verb === "abort" || verb === "undo") && rate?.requests > 0)
        says.push(t("rateNow", {canary, n: number(rate.requests)}));
    return says;
}

/// Opens the dialog. The verb is sent once it is confirmed; what the server says of it is shown where it was asked.
export function confirmVerb(rollout, verb) {
    const dialog = document.getElementById("dialog");
    const label = tOr(`verb_${verb}`, verb);
    const problem = h("p", {class: "problem", role: "alert"});
    const reason = h("input", {id: "reason", maxlength: 200, autocomplete: "off"});
    const yes = h("button", {type: "submit", class: verb === "abort" || verb === "undo" ? "danger" : "primary"}, label);

    const send = async (event) => {
        event.preventDefault();
        yes.disabled = true;
        problem.textContent = t("sent");
        try {
            await call("POST", `rollouts/${encodeURIComponent(rollout.id)}/${verb}`, {why: reason.value});
            dialog.close();
            announce(t("done", {verb: label}));
        } catch (error) {
            problem.textContent = failure(error);
            yes.disabled = false;
        }
    };
    show(dialog);
    dialog.append(h("form", {onsubmit: send},
        h("h2", {id: "dialog-title"}, `${label}: ${rollout.id}`),
        effects(rollout, verb).map((sentence) => h("p", {}, sentence)),
        h("label", {for: "reason"}, t("reason")), reason, problem,
        h("div", {class: "buttons"}, h("button", {type: "button", onclick: () => dialog.close()}, t("cancel")), yes)));
    dialog.showModal();
    reason.focus();
}
