// filter.js - a field above a long list that leaves those whose name has what was typed.
// SPDX-License-Identifier: Apache-2.0

import {h} from "/dom.js";
import {t} from "/words.js";

const LONG = 12; // a list of more has the field

let wanted = "", redraw = () => {};

/// Called when somebody types.
export function onFilter(changed) {
    redraw = changed;
}

/// Another page's list: what was typed was of the one before.
export function clearFilter() {
    wanted = "";
}

/// Of [item], those that are wanted. nameOf: what a reader would look for.
export function narrowed(list, nameOf) {
    const text = wanted.trim().toLowerCase();

    return text && list.length > LONG ? list.filter((item) => nameOf(item).toLowerCase().includes(text)) : list;
}

/// The field of that page, and how many are left; null above a short list.
export function filterField(page, count, left) {
    return count <= LONG ? null : h("p", {class: "filter"},
        h("input", {id: `filter-${page}`, type: "search", "aria-label": t("filter"), placeholder: t("filter"), autocomplete: "off", spellcheck: "false",
            oninput: (event) => {
                wanted = event.target.value;
                redraw();
            }}),
        left < count ? h("span", {class: "small"}, " ", t("filtered", {n: left, of: count})) : null);
}
