// live.js - the state of things as the server tells it: server-sent events, and what is worked out of several looks.
// SPDX-License-Identifier: Apache-2.0
//
// Each event is the whole present state, so after a lost connection the next one makes everything right. The browser
// connects again by itself; only where the server refused (a log-in is wanted, too many pages) it does not, and we ask.

import {get} from "/server.js";

const MOST_LOOKS = 11;      // rates are those of the last ten seconds
const MOST_READINGS = 1800; // of a guard that are kept: half an hour of looks
const AGAIN_MS = 2000;
const SILENT_MS = 5000;     // without an event the connection counts as lost

export const live = {
    session: null,   // who we are: {required, name, role}
    connected: false,
    ever: false,     // it has been
    lostAt: 0,
    error: "",       // why nothing is told
    status: null,
    rollouts: [],
    rollout: null,   // the one that is shown
    history: [],     // its decisions, oldest first
    attempt: undefined, // whose readings these are
    readings: new Map(), // of its guards: name -> {t, estimate, lower, upper, stable, canary}
};

let source = null, shown = "", looks = [], changed = () => {}, heardAt = 0, timer = 0;

export function onChange(handler) {
    changed = handler;
}

// ---- rates ----

function keepLook(status) {
    const last = looks.at(-1);

    if (last && status.uptime_s < last.status.uptime_s)
        looks = []; // another process: its counters begin anew
    looks.push({at: performance.now(), status});
    looks = looks.slice(-MOST_LOOKS);
}

function find(status, model, tag) {
    return status.models.find((m) => m.model === model)?.versions.find((v) => v.tag === tag);
}

/// What runs a version, {provider, why}; null where nothing of ours does, or has not told it yet.
export const engineOf = (model, tag) => (live.status && find(live.status, model, tag)?.engine) || null;

/// Of a version's counters over the last looks; null before there are two.
export function rates(model, tag) {
    const first = looks[0], last = looks.at(-1);
    const from = first && find(first.status, model, tag), to = last && find(last.status, model, tag);
    const seconds = first && last ? (last.at - first.at) / 1000 : 0;

    if (!from || !to || seconds < .5)
        return null;
    const grown = (name) => Math.max(0, to.counters[name] - from.counters[name]);
    const requests = grown("requests") + grown("rescued");
    return {
        requests: requests / seconds,
        failures: grown("failures") / Math.max(1, grown("requests")),
        errors: grown("errors") / Math.max(1, requests),
        fallbacks: grown("fallbacks") / seconds,
        mirrored: grown("mirrored") / seconds,
    };
}

// ---- readings over time ----

export const guardName = (guard) => (guard.slice ? `${guard.guard} ${guard.slice}` : guard.guard);

function keepReading(ms, guard) {
    const name = guardName(guard);
    let kept = live.readings.get(name);

    if (!kept)
        live.readings.set(name, kept = {t: [], estimate: [], lower: [], upper: [], stable: [], canary: []});
    if (kept.t.length && ms / 1000 <= kept.t.at(-1))
        return;
    kept.t.push(ms / 1000);
    for (const key of ["estimate", "lower", "upper", "stable", "canary"])
        kept[key].push(guard[key]);
    if (kept.t.length > MOST_READINGS)
        for (const list of Object.values(kept))
            list.shift();
}

/// What the decisions were taken from is the past that the page has not seen itself.
async function readHistory() {
    const id = shown;
    let history;

    try {
        history = await get(`rollouts/${encodeURIComponent(id)}/history?limit=200`);
    } catch {
        return; // told by the events, or again at the next decision
    }
    if (id !== shown)
        return;
    const attempt = history.at(-1)?.state.attempt;
    live.history = history;
    if (attempt !== live.attempt) { // later decisions are of readings that the page has seen itself
        live.readings = new Map();
        for (const decision of history)
            if (decision.state.attempt === attempt)
                for (const guard of decision.numbers.guards || [])
                    keepReading(decision.time_ms, guard);
    }
    live.attempt = attempt;
    changed();
}

function takeRollout(rollout) {
    if (rollout.error || (shown !== rollout.id && shown !== rollout.model))
        rollout = rollout.error ? {error: rollout.error} : null;
    const before = live.rollout;
    live.rollout = rollout;
    if (!rollout || rollout.error)
        return;
    for (const guard of rollout.guards || [])
        keepReading(Date.now(), guard);
    if (!before || before.decision !== rollout.decision)
        readHistory();
}

// ---- the connection ----

function heard() {
    heardAt = performance.now();
    live.connected = live.ever = true;
    live.error = "";
}

function lost(why) {
    if (live.connected || !live.lostAt)
        live.lostAt = Date.now();
    live.connected = false;
    live.error = why;
    changed();
}

const taken = {
    status(found) {
        if (found.error)
            live.error = found.error;
        else {
            live.status = found;
            keepLook(found);
        }
    },
    rollouts(found) {
        live.rollouts = Array.isArray(found) ? found : [];
    },
    rollout: takeRollout,
};

async function askWhy() {
    try {
        await get("status"); // it answers: it was too many pages, or its end is near
    } catch (error) {
        if (error.status)
            lost(error.message);
        if (error.status === 401)
            return; // the log-in begins again
    }
    clearTimeout(timer);
    timer = setTimeout(connect, AGAIN_MS);
}

async function askWho() {
    try {
        live.session = await get("session");
        changed();
    } catch {
        // the events tell what is wrong
    }
}

export function connect() {
    clearTimeout(timer);
    if (!live.session?.name)
        askWho();
    source?.close();
    source = new EventSource(`/api/v1/events${shown ? `?rollout=${encodeURIComponent(shown)}` : ""}`);
    for (const [name, take] of Object.entries(taken))
        source.addEventListener(name, (event) => {
            heard();
            take(JSON.parse(event.data));
            changed();
        });
    source.onerror = (event) => {
        if (event.target !== source)
            return;
        lost("");
        if (source.readyState === EventSource.CLOSED)
            askWhy();
    };
}

export function disconnect() {
    clearTimeout(timer);
    source?.close();
    live.connected = false;
    live.session = null;
}

/// Which rollout's details are wanted; "" for none.
export function follow(rollout) {
    if (rollout === shown && source)
        return;
    shown = rollout;
    live.rollout = null;
    live.history = [];
    live.attempt = undefined;
    live.readings = new Map();
    connect();
}

// A host that went away without a word is not noticed by the browser for a long time.
setInterval(() => {
    const silent = performance.now() - heardAt;

    if (live.connected && silent > SILENT_MS)
        lost("");
    if (live.ever && source?.readyState === EventSource.OPEN && silent > 3 * SILENT_MS)
        connect();
}, 1000);
