// login.js - the form that turns a token into a session.
// SPDX-License-Identifier: Apache-2.0

import {h} from "/dom.js";
import {call} from "/server.js";
import {t} from "/words.js";

/// done is called once the server has let somebody in.
export function loginPage(done) {
    const problem = h("p", {class: "problem", role: "alert"});
    const token = h("input", {id: "token", type: "password", autocomplete: "current-password", required: true});
    const send = async (event) => {
        event.preventDefault();
        try {
            await call("POST", "login", {token: token.value});
            done();
        } catch (error) {
            problem.textContent = t("loginFailed", {why: error.message});
            token.select();
        }
    };

    return [h("h1", {}, t("loginTitle")),
        h("form", {class: "card login", id: "login", "data-keep": "", onsubmit: send}, h("p", {}, t("loginText")),
            h("label", {for: "token"}, t("token")), token, problem, h("div", {class: "buttons"},
                h("button", {type: "submit", class: "primary"}, t("login"))))];
}
