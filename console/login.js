// login.js - the form that turns a token into a session.
// SPDX-License-Identifier: Apache-2.0

import {h} from "/dom.js";
import {call} from "/server.js";
import {t} from "/words.js";

/// done is called once the server has let somebody in. The form that is on the page is the one of the first look at it, so
/// what was typed is read there.
export function loginPage(done) {
    const send = async (event) => {
        const form = event.currentTarget, token = form.querySelector("#token");

        event.preventDefault();
        try {
            await call("POST", "login", {token: token.value});
            done();
        } catch (error) {
            form.querySelector(".problem").textContent = t("loginFailed", {why: error.message});
            token.select();
        }
    };

    return [h("h1", {}, t("loginTitle")),
        h("form", {class: "card login", id: "login", "data-keep": "", onsubmit: send}, h("p", {}, t("loginText")),
            h("label", {for: "token"}, t("token")),
            h("input", {id: "token", type: "password", autocomplete: "current-password", required: true}),
            h("p", {class: "problem", role: "alert"}),
            h("div", {class: "buttons"}, h("button", {type: "submit", class: "primary"}, t("login"))))];
}
