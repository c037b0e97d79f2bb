// server.js - calls of the control API.
// SPDX-License-Identifier: Apache-2.0

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
export async function call(method, path, body, signal) {
    const options = {method, credentials: "same-origin", cache: "no-store", signal, 
        headers: {"X-Serin-Author": "console", "X-Serin-Console": "1"}}; // the second: no other page can send it
    let answer;

    if (body instanceof Blob)
        options.body = body;
    else if (body !== undefined) {
        options.body = JSON.stringify(body);
        options.headers["Content-Type"] = "application/json";
    }
    try {
        answer = await fetch(`/api/v1/${path}`, options);
    } catch (error) {
        if (error.name === "AbortError")
            throw error;
        throw new Refused(0, String(error.message || error));
    }
    const text = await answer.text();
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

export const get = (path, signal) => call("GET", path, undefined, signal);
