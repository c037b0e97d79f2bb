// server.js - calls of the control API.
// SPDX-License-Identifier: Apache-2.0

import {duration} from "/format.js";
import {t} from "/words.js";

const ANSWER_MS = 20000, UPLOAD_MS = 60000; // a server that hangs is told of, and not waited for without an end

/// What went wrong, in the server's own sentence where it had one. status 0: no answer came.
export class Refused extends Error {
    constructor(status, sentence) {
        super(sentence);
        this.status = status;
    }
}

let wanted = () => {};

/// Called when the server wants somebody to log in.
export function onLoginWanted(handler) {
    wanted = handler;
}

/// path: behind /api/v1/. body: an object to be JSON, a Blob as it is, or nothing. Gives the answer's JSON; throws Refused.
export async function call(method, path, body) {
    const isUpload = body instanceof Blob, limit_ms = isUpload ? UPLOAD_MS : ANSWER_MS;
    const options = {method, credentials: "same-origin", cache: "no-store", signal: AbortSignal.timeout(limit_ms),
        headers: {"X-Serin-Author": "console", "X-Serin-Console": "1"}}; // the second: no other page can send it
    let answer, text;

    if (isUpload)
        options.body = body;
    else if (body !== undefined) {
        options.body = JSON.stringify(body);
        options.headers["Content-Type"] = "application/json";
    }
    try {
        answer = await fetch(`/api/v1/${path}`, options);
        text = await answer.text();
    } catch (error) {
        throw new Refused(0, t(error.name === "TimeoutError" ? "noAnswer" : "noServer", {time: duration(limit_ms / 1000)}));
    }
    let found = null;
    try {
        found = JSON.parse(text);
    } catch {
        found = {error: text.slice(0, 300)};
    }
    if (answer.status === 401 && path !== "login")
        wanted();
    if (!answer.ok)
        throw new Refused(answer.status, (found && found.error) || `${answer.status}`);
    return found;
}

/// What a reader is told of a change that failed: only a server can refuse.
export const failure = (error) => (error.status === 0 ? error.message : t("refused", {why: error.message}));

export const get = (path) => call("GET", path);
