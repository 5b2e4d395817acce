// Small pieces that every panel is made of. Whatever came from outside becomes text, never HTML: the
// templates below are the only source of elements.

import { html, svg, nothing } from "./lit-html.js";
import { special, textOf } from "./store.js";

// -- outcomes: a shape and a word each, so that colour is never alone ------------------------------

const SHAPES = {
  fired: svg`<circle cx="8" cy="8" r="6.5" class="fill"/><path d="m5 8.2 2.1 2.1L11 6" class="cut"/>`,
  failed: svg`<path d="m3 3 10 10M13 3 3 13" class="line bold"/>`,
  held: svg`<rect x="1.75" y="1.75" width="12.5" height="12.5" rx="2.5" class="line"/><path d="M6.2 5.4v5.2M9.8 5.4v5.2" class="line"/>`,
  not: svg`<circle cx="8" cy="8" r="5.75" class="line"/>`,
  waiting: svg`<circle cx="8" cy="8" r="6" class="line dashed"/><path d="M8 5v3l2 1.4" class="line"/>`,
  unknown: svg`<path d="M8 1.5 14.5 8 8 14.5 1.5 8Z" class="line"/><path d="M6.4 6.6a1.7 1.7 0 1 1 2.3 1.6c-.5.2-.7.4-.7.9M8 11v.2" class="line thin"/>`,
};
export const GROUP_NAMES = {
  fired: "fired",
  failed: "failed",
  held: "held back",
  not: "not fired",
  waiting: "waiting",
};

export const icon = (group) =>
  html`<svg class="icon ${group}" viewBox="0 0 16 16" aria-hidden="true">${SHAPES[group]}</svg>`;

export const outcome = (group, text = GROUP_NAMES[group]) =>
  html`<span class="outcome ${group}">${icon(group)}<span>${text}</span></span>`;

/** How a delivery stands, as a group. */
export function deliveryGroup(one) {
  if (one.outcome === "done") return "fired";
  if (one.outcome === "dead") return "failed";
  if (one.outcome === "refused" || one.outcome === "retry") return "held";
  return "waiting";
}

const DELIVERY_NAMES = {
  done: "accepted",
  dead: "given up",
  refused: "refused: credential or set-up",
  retry: "will be sent again",
  isolate: "will be sent alone",
};
export const deliveryName = (one, isReplay) =>
  DELIVERY_NAMES[one.outcome] ??
  (isReplay ? "not sent: a dry run" : one.attempts ? "sent, no answer yet" : "waits to be sent");

/** Colour class of an HTTP status. */
export const statusClass = (status) =>
  !status ? "none" : status < 300 ? "good" : status < 400 ? "moved" : "bad";
export const status = (code) => html`<span class="status ${statusClass(code)}">${code || "–"}</span>`;

// -- values ---------------------------------------------------------------------------------------

/** A value with its type to be seen: quotes around texts, words for what is missing. */
export function value(given, highlight = "") {
  const said = special(given);
  if (said) return html`<span class="v ${said.kind}">${said.text}</span>`;
  if (given === null) return html`<span class="v null">null</span>`;
  if (typeof given === "string") return html`<span class="v string">${marked(given, highlight)}</span>`;
  if (typeof given === "object")
    return html`<span class="v object">${marked(cut(textOf(given)), highlight)}</span>`;
  return html`<span class="v ${typeof given}">${marked(String(given), highlight)}</span>`;
}

const cut = (text) => (text.length > 600 ? `${text.slice(0, 600)} …` : text);

/** A text with what was searched for marked in it. */
export function marked(text, word) {
  if (!word) return text;
  const parts = [];
  const lower = text.toLowerCase();
  let from = 0;
  for (let at = lower.indexOf(word); at >= 0 && parts.length < 100; at = lower.indexOf(word, from)) {
    parts.push(text.slice(from, at), html`<mark>${text.slice(at, at + word.length)}</mark>`);
    from = at + word.length;
  }
  return [...parts, text.slice(from)];
}

const SIGNS = { added: "+", removed: "−", changed: "~" };
const SIGN_NAMES = { added: "added", removed: "removed", changed: "changed" };

const ARROW = html`<span class="arrow" aria-label="became">→</span>`;

/** Changes, one line each. */
export const diff = (changes) =>
  html`<table class="diff">
    <tbody>
      ${changes.map(
        (one) =>
          html` <tr class=${one.kind}>
            <td class="sign" aria-label=${SIGN_NAMES[one.kind]}>${SIGNS[one.kind]}</td>
            <th scope="row">${one.path}</th>
            <td>
              ${one.kind === "added" ? nothing : html`<del>${value(one.before)}</del>`}${one.kind === "changed" ? ARROW : nothing}${
                one.kind === "removed" ? nothing : html`<ins>${value(one.after)}</ins>`
              }
            </td>
          </tr>`,
      )}
    </tbody>
  </table>`;

/** Name and value pairs. */
export const pairs = (list, caption) =>
  list.length
    ? html`<table class="pairs">
        <caption class="unseen">
          ${caption}
        </caption>
        <tbody>
          ${list.map(
            ([name, text]) =>
              html`<tr>
                <th scope="row" title=${name}>${name}</th>
                <td>${value(text)}</td>
              </tr>`,
          )}
        </tbody>
      </table>`
    : nothing;

/** The condition that decided, with both values as they were compared. */
export const condition = (failed) =>
  html`<span class="condition"
    ><code>${failed.text}</code> ${
      failed.error
        ? html`raised <b>${failed.error}</b>`
        : html`<span class="is">is false:</span> ${value(failed.value)}
            <span class="is">against</span> ${value(failed.compared_with)}`
    }</span
  >`;

export const empty = (title, text = "") =>
  html`<div class="empty">
    <h3>${title}</h3>
    ${text ? html`<p>${text}</p>` : nothing}
  </div>`;

export const section = (title, content, aside = nothing) =>
  html`<section class="part">
    <h3>${title}<span class="aside">${aside}</span></h3>
    ${content}
  </section>`;

/** A body: JSON laid out, a form as pairs, or as it came. */
export function body(text, bytes, data, form) {
  if (!text) return html`<p class="soft">no body</p>`;
  if (data !== null && typeof data === "object")
    return html`<pre class="code">${JSON.stringify(data, null, 2)}</pre>`;
  if (form) return pairs(form, "Form");
  return html`<pre class="code">${text}</pre>`;
}

/** A button that reads as a link. */
export const link = (text, act) => html`<button type="button" class="link" @click=${act}>${text}</button>`;

/** "one request", "3 requests". */
export const counted = (count, word) =>
  count === 1 ? `one ${word}` : `${count.toLocaleString("en")} ${word}s`;

// -- copying --------------------------------------------------------------------------------------

export const copyButton = (text, what = "Copy", label = what) =>
  html`<button class="quiet copy" type="button" aria-label=${`${label}`} @click=${() => copy(text, what)}>
    ${what}
  </button>`;

/** Put a text on the clipboard, also where the page is no secure context. */
export async function copy(text, what = "It") {
  const content = typeof text === "function" ? text() : text;
  let isDone = true;
  try {
    await navigator.clipboard.writeText(content);
  } catch {
    const area = document.createElement("textarea");
    area.value = content;
    area.className = "unseen";
    document.body.append(area);
    area.select();
    isDone = document.execCommand("copy");
    area.remove();
  }
  toast(isDone ? `Copied: ${what.replace(/^Copy( as)? /, "")}` : "The browser does not let the page copy");
}

let toasting = 0;
export function toast(text) {
  const place = document.getElementById("toast");
  place.textContent = text;
  place.classList.add("seen");
  clearTimeout(toasting);
  toasting = setTimeout(() => place.classList.remove("seen"), 2200);
}
