// dom.js - elements made by a function, and a page brought to what was made without losing focus, selection or scroll.
// SPDX-License-Identifier: Apache-2.0
//
// A view is made anew at each look. morph() changes what is on the page into it, node by node: children with an id are
// found by it, the others by their place. An element with data-keep belongs to somebody else from its first moment on
// (a chart, a form that is being filled in): its attributes follow, its children are left alone.

import {translated} from "/words.js";

const HANDLERS = ["onclick", "onchange", "oninput", "onsubmit", "onkeydown", "ondragover", "ondrop"];
const SVG = "http://www.w3.org/2000/svg";

/// h("p", {class: "why", onclick}, "text", h("b", ...), null): what is null, false or undefined is left out.
export function h(tag, attributes, ...children) {
    return fill(document.createElement(tag), attributes, children);
}

/// A text with `commands` in it.
export const coded = (text) => text.split("`").map((part, i) => (i % 2 ? h("code", {}, part) : part));

/// A sentence of the server's: in the page's language where it is known, else as it is; a person's reason may be anything.
export const english = (sentence) => (sentence
    ? translated(sentence) ?? h("span", {lang: /^[ -~]*$/.test(sentence) ? "en" : null}, sentence) : null);

export function svg(tag, attributes, ...children) {
    return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
        if (name.startsWith("on"))
            element[name] = value;
        else if (value !== null && value !== undefined && value !== false)
            element.setAttribute(name, value === true ? "" : value);
    }
    for (const child of children.flat(Infinity))
        if (child !== null && child !== undefined && child !== false)
            element.append(child);
    return element;
}

const idOf = (node) => (node.nodeType === Node.ELEMENT_NODE && node.id) || "";

function morph(from, to) {
    if (from.nodeName !== to.nodeName || idOf(from) !== idOf(to)) {
        from.replaceWith(to);
        return;
    }
    if (from.nodeType === Node.TEXT_NODE) {
        if (from.data !== to.data)
            from.data = to.data;
        return;
    }
    for (const {name} of [...from.attributes])
        if (!to.hasAttribute(name) && name !== "open") // whether a <details> is open is its reader's choice
            from.removeAttribute(name);
    for (const {name, value} of to.attributes)
        if (from.getAttribute(name) !== value && name !== "open")
            from.setAttribute(name, value);
    for (const handler of HANDLERS)
        if (from[handler] !== to[handler])
            from[handler] = to[handler];
    if (!("keep" in to.dataset))
        morphChildren(from, to);
}

function morphChildren(from, to) {
    const known = new Map([...from.children].filter(idOf).map((child) => [child.id, child]));
    let at = from.firstChild;

    for (const next of [...to.childNodes]) {
        const id = idOf(next);
        const found = id ? known.get(id) : at;
        if (!found || idOf(found) !== id) {
            from.insertBefore(next, at);
            continue;
        }
        if (found === at)
            at = at.nextSibling;
        else
            from.insertBefore(found, at);
        morph(found, next);
    }
    while (at) {
        const gone = at;
        at = at.nextSibling;
        gone.remove();
    }
}

/// Makes the children of element those given.
export function show(element, ...children) {
    const to = element.cloneNode(false);
    const focused = document.activeElement;

    fill(to, null, children);
    morphChildren(element, to);
    if (focused && focused !== document.activeElement && focused.isConnected)
        focused.focus(); // it was moved
}

/// Says something to those who do not see the page.
export function announce(text) {
    const live = document.getElementById("live");

    if (live.textContent !== text)
        live.textContent = text;
}
