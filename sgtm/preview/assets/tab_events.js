// Tabs about one event of the request: data, transformations, variables, triggers, tags, console.

import { html, nothing } from "./lit-html.js";
import {
  condition,
  copyButton,
  counted,
  diff,
  empty,
  icon,
  link,
  marked,
  outcome,
  section,
  value,
} from "./parts.js";
import { special, textOf } from "./store.js";

/** The event that is chosen, and its tags as far as they are wanted. */
export function chosen(state) {
  const event = state.view.events[state.event] ?? state.view.events[0];
  const tags = (event?.tags ?? []).filter((tag) =>
    state.tag ? tag.name === state.tag : !state.hidesSilent || tag.group !== "not",
  );
  return { event, tags };
}

const noEvent = () => empty("This request made no event", "What its client answered stands under Response.");

/** A tag's part of a tab, under its name. */
const ofTag = (tag, content) =>
  section(html`${icon(tag.group)}<span>${tag.name}</span>`, content, tag.outcome);

// -- event data -----------------------------------------------------------------------------------

export function data(state, on) {
  const { event } = chosen(state);
  if (!event) return noEvent();
  const word = state.search.trim().toLowerCase();
  const rows = [...treeRows(event.data, word, state.folded)];
  const tree = html`<div class="tree" role="tree" aria-label="Event data">
    ${rows.map((row) => treeRow(row, word, on, event.inherited[row.path]))}
  </div>`;
  return html` ${event.note ? html`<p class="warning">${icon("held")}${event.note}</p>` : nothing}
    <div class="search inline">
      <input
        type="search"
        id="search"
        placeholder="Search keys and values"
        spellcheck="false"
        aria-label="Search event data"
        .value=${state.search}
        @input=${(input) => on.search(input.target.value)}
      />${copyButton(() => JSON.stringify(event.data, null, 2), "Copy JSON")}
    </div>
    ${rows.length ? tree : empty("Nothing matches", `No key or value holds “${word}”.`)}`;
}

/** The tree as rows: {path, key, value, level, size, isFolded}. With a search, what matches and the way to it. */
function* treeRows(node, word, folded, path = "", level = 1) {
  for (const [key, item] of Array.isArray(node) ? node.entries() : Object.entries(node)) {
    const inner = path ? `${path}.${key}` : String(key);
    const isBranch =
      item !== null && typeof item === "object" && !special(item) && Object.keys(item).length > 0;
    const isFound = !word || inner.toLowerCase().includes(word);
    if (!isBranch) {
      if (isFound || textOf(item).toLowerCase().includes(word))
        yield { path: inner, key: String(key), item, level };
      continue;
    }
    const below = [...treeRows(item, isFound ? "" : word, word ? new Set() : folded, inner, level + 1)];
    if (!isFound && !below.length) continue;
    const isFolded = !word && folded.has(inner);
    yield {
      path: inner,
      key: String(key),
      item,
      level,
      size: Object.keys(item).length,
      isList: Array.isArray(item),
      isFolded,
    };
    if (!isFolded) yield* below;
  }
}

const copied = (item) => (typeof item === "string" ? item : JSON.stringify(item));

function treeRow(row, word, on, origin) {
  const name = html`<span class="key">${marked(row.key, word)}</span>`;
  return html`<div
    class="leaf indent-${Math.min(row.level, 12)}"
    role="treeitem"
    aria-level=${row.level}
    aria-expanded=${row.size ? !row.isFolded : nothing}
  >
    ${
      row.size
        ? html`<button
              type="button"
              class="twig ${row.isFolded ? "folded" : ""}"
              aria-label=${row.isFolded ? `unfold ${row.path}` : `fold ${row.path}`}
              @click=${() => on.fold(row.path)}
            >
              ${name}
            </button>
            <span class="soft">${counted(row.size, row.isList ? "item" : "key")}</span>`
        : html`${name}<span class="colon">:</span>${value(row.item, word)}`
    }
    ${origin ? html`<span class="soft">inherited from ${origin}</span>` : nothing}
    <span class="copies"
      >${copyButton(() => copied(row.item), "Copy value", `Copy value of ${row.path}`)}
      ${copyButton(row.path, "Copy key path", `Copy key path ${row.path}`)}</span
    >
  </div>`;
}

// -- transformations ------------------------------------------------------------------------------

export function changes(state) {
  const { event, tags } = chosen(state);
  if (!event) return noEvent();
  const withSteps = tags.filter((tag) => tag.transformations.length);
  if (!event.preparations.length && !withSteps.length) {
    return empty("Nothing was transformed", "No preparation and no transformation is meant for these tags.");
  }
  return html`
    ${event.preparations.length ? section("Before any trigger", steps(event.preparations), "for all tags") : nothing}
    ${withSteps.map((tag) => ofTag(tag, steps(tag.transformations)))}
  `;
}

const applied = (changes) => (changes.length ? "applied" : "applied, changed nothing");

/** Why not: the condition that decided, or words. */
function reason(failed, text) {
  if (failed) return html`<span class="reason">${condition(failed)}</span>`;
  return text ? html`<span class="reason">${text}</span>` : nothing;
}

const steps = (list) =>
  html`<ol class="steps">
    ${list.map(
      (step) =>
        html`<li>
          <b>${step.name}</b>
          ${step.applied ? outcome("fired", step.reason || applied(step.changes)) : outcome("not", "not applied")}
          ${reason(step.failed, step.applied ? "" : step.reason)}
          ${step.changes.length ? diff(step.changes) : nothing}
        </li>`,
    )}
  </ol>`;

// -- variables ------------------------------------------------------------------------------------

export function variables(state) {
  const { event, tags } = chosen(state);
  if (!event) return noEvent();
  const withVariables = tags.filter((tag) => tag.variables.length);
  if (!withVariables.length)
    return empty("No variable was read", "Variables are evaluated only when a tag that fires needs them.");
  return withVariables.map((tag) =>
    ofTag(
      tag,
      html`<table class="grid">
        <thead>
          <tr>
            <th>Variable</th>
            <th>Kind</th>
            <th>Type</th>
            <th>Value</th>
          </tr>
        </thead>
        <tbody>
          ${tag.variables.map(
            (one) =>
              html`<tr>
                <th scope="row">${one.name}</th>
                <td class="soft">${one.type}</td>
                <td><span class="type">${one.value_type}</span></td>
                <td>${value(one.value)}${one.failed ? outcome("failed", "it raised") : nothing}</td>
              </tr>`,
          )}
        </tbody>
      </table>`,
    ),
  );
}

// -- triggers -------------------------------------------------------------------------------------

export function triggers(state) {
  const { event, tags } = chosen(state);
  if (!event) return noEvent();
  if (!tags.length)
    return empty("No trigger wanted this event", "Tick the box above for the conditions that were false.");
  return tags.map((tag) => ofTag(tag, triggerList(tag)));
}

function triggerList(tag) {
  if (!tag.triggers.length)
    return html`<p class="soft">It has no trigger: it runs only as another tag's set-up or clean-up tag.</p>`;
  return html`<ul class="steps">
    ${tag.triggers.map(
      (one) =>
        html`<li>
          <b>${one.name}</b>${one.blocking ? html`<span class="word">exception</span>` : nothing}
          ${outcome(one.matched ? (one.blocking ? "held" : "fired") : "not", one.matched ? "matches" : "does not match")}
          ${reason(one.failed, one.reason)}
        </li>`,
    )}
  </ul>`;
}

// -- tags -----------------------------------------------------------------------------------------

const ORDER = { failed: 0, fired: 1, held: 2, not: 3 };

export function tags(state, on) {
  const { event, tags: list } = chosen(state);
  if (!event) return noEvent();
  if (!list.length)
    return empty(
      "No tag fired",
      "No trigger of any tag wanted this event. Tick the box above for each tag's reason.",
    );
  const sorted = [...list].sort((one, other) => ORDER[one.group] - ORDER[other.group]);
  const more = (tag, list, word, tab) =>
    list.length ? link(counted(list.length, word), () => on.openTag(tag.name, state.event, tab)) : nothing;
  return sorted.map((tag) =>
    ofTag(
      tag,
      html` <p class="facts">
          <span class="soft">${tag.type}</span
          >${tag.match_keys.length ? html`<span class="soft">knows the person by ${tag.match_keys.join(", ")}</span>` : nothing}
          ${more(tag, tag.deliveries, "request", "outgoing")}
          ${more(tag, tag.variables, "variable", "variables")}
          ${more(tag, tag.transformations, "transformation", "changes")}
        </p>
        ${tag.reason ? html`<p class="why">${tag.reason}</p>` : nothing}
        ${tag.warnings.map((text) => html`<p class="warning">${icon("held")}${text}</p>`)} ${triggerList(tag)}`,
    ),
  );
}

// -- console --------------------------------------------------------------------------------------

const written = (lines) =>
  html`<ol class="console">
    ${lines.map((line) => html`<li>${line}</li>`)}
  </ol>`;

export function consoles(state) {
  const talking = chosen(state).tags.filter((tag) => tag.console.length);
  const { view } = state;
  if (!talking.length && !view.console.length)
    return empty("No template wrote anything", "Lines that templates write with logToConsole appear here.");
  const ofClient = section(view.claimed_by || "Clients", written(view.console), "client");
  return [
    view.console.length ? ofClient : nothing,
    ...talking.map((tag) => ofTag(tag, written(tag.console))),
  ];
}
