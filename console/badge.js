// badge.js - a state in few words: a sign, a word, and only then a colour.
// SPDX-License-Identifier: Apache-2.0

import {h} from "/dom.js";
import {tOr} from "/words.js";

const signs = {bad: "✖", warn: "▲", good: "✔", still: "○"};
const phases = {
    Pending: "still", Progressing: "still", Paused: "warn", Inconclusive: "warn", Promoted: "good", Completed: "good",
    RolledBack: "bad", Aborted: "bad", Undone: "bad",
};

/// kind: bad: somebody must look; warn: worth a look; good; still: neither.
export function badge(kind, text) {
    return h("span", {class: `badge ${kind}`}, h("span", {"aria-hidden": "true"}, signs[kind]), " ", text);
}

export const phaseBadge = (rollout) => badge(phases[rollout.phase] ?? "still", tOr(`phase_${rollout.phase}`, rollout.phase));
