// One request: its head, its tabs.

import { html, nothing, render } from "./lit-html.js";
import { ways } from "./dialogs.js";
import { finding } from "./find.js";
import { icon, status } from "./parts.js";
import * as events from "./tab_events.js";
import { outgoing } from "./tab_outgoing.js";
import { replayed } from "./tab_replay.js";
import * as whole from "./tab_request.js";
import { clock, duration } from "./store.js";

export const TABS = [
  ["summary", "Summary", whole.summary],
  ["clients", "Clients", whole.clients],
  ["data", "Event data", events.data],
  ["changes", "Transformations", events.changes],
  ["variables", "Variables", events.variables],
  ["triggers", "Triggers", events.triggers],
  ["tags", "Tags", events.tags],
  ["outgoing", "Outgoing", outgoing],
  ["console", "Console", events.consoles],
  ["response", "Response", whole.response],
  ["timing", "Timing", whole.timing],
];
const OF_EVENTS = new Set(["data", "changes", "variables", "triggers", "tags", "outgoing", "console"]);
const OF_TAGS = new Set(["changes", "variables", "triggers", "tags", "outgoing", "console"]);
const OF_SILENT = new Set(["triggers", "tags"]);

/** The tabs that this request has. */
export const tabsOf = (state) => (state.replay ? [...TABS, ["replay", "Replay", replayed]] : TABS);

/** Draws what is open into `place`. `on` has tab, event, tag, copyTest, replay, close, seek. */
export function drawDetail(place, state, on) {
  const { find, view } = state;
  render(find.isOpen ? finding(find, on) : view ? opened(state, on) : unopened(state, on), place);
}

function unopened(state, on) {
  if (state.problem) {
    return html`<div class="empty large" role="alert">
      <h3>${state.problem.title}</h3>
      <p>${state.problem.text}</p>
      ${
        state.problem.act
          ? html`<button type="button" class="primary" @click=${state.problem.act}>
              ${state.problem.name}
            </button>`
          : nothing
      }
    </div>`;
  }
  if (state.opening)
    return html`<div class="empty large">
      <h3>Loading</h3>
      <div class="bones" aria-hidden="true"><i></i><i></i><i></i><i></i><i></i></div>
    </div>`;
  if (state.isEmpty && state.source === "session" && state.session) {
    return html`<div class="panel first">
      <h2>Send the first request here</h2>
      ${ways(state.session, state.boot?.url)}
    </div>`;
  }
  return html`<div class="empty large">
    <h3>No request is open</h3>
    <p>Choose one of the list, or press <kbd>j</kbd>.</p>
    <dl class="keys">
      ${[
        ["j k", "next, previous"],
        ["[ ]", "tabs"],
        ["/", "filter"],
        ["f", "find an id"],
        ["p", "pause"],
        ["?", "all keys"],
      ].map(
        ([key, what]) =>
          html`<div>
            <dt>${key.split(" ").map((one) => html`<kbd>${one}</kbd>`)}</dt>
            <dd>${what}</dd>
          </div>`,
      )}
    </dl>
  </div>`;
}

function opened(state, on) {
  const { view } = state;
  const tabs = tabsOf(state);
  const [name, , panel] = tabs.find(([one]) => one === state.tab) ?? tabs[0];
  return html` <header class="head">
      <div class="title">
        <button type="button" class="quiet back" @click=${on.close} aria-label="Back to the list">←</button>
        <h2>
          ${
            view.events.length
              ? view.events
                  .map((one) => one.name)
                  .slice(0, 4)
                  .join(", ")
              : view.claimed_by
                ? "no event"
                : "unclaimed"
          }${view.events.length > 4 ? html`<span class="more">+${view.events.length - 4}</span>` : nothing}
        </h2>
        ${status(view.answer?.status ?? 0)}
        <span class="grow"></span>
        <button type="button" @click=${on.copyTest} title="t">Copy as test</button>
        <button type="button" @click=${on.replay} title="r" ?disabled=${state.isReplaying}>
          ${state.isReplaying ? "Replaying …" : state.hasDraft ? "Replay against draft" : "Replay"}
        </button>
      </div>
      <p class="about">
        <code>${view.request.method}</code>
        <code class="path" title=${view.request.url}>${view.summary.path}</code>
        <span>${clock(view.summary.at_micros)}</span><span>${duration(view.summary.took_micros)}</span
        ><span>worker ${view.summary.worker}</span><span>container ${view.container_version}</span>${
          view.summary.source === "lookback" ? html`<b class="masked">personal data masked</b>` : nothing
        }
      </p>
      <div class="tabs" role="tablist" aria-label="Parts of the request">
        ${tabs.map(
          ([one, title], at) =>
            html` <button
              type="button"
              role="tab"
              id=${`tab-${one}`}
              aria-selected=${one === name}
              aria-controls="panel"
              tabindex=${one === name ? 0 : -1}
              @click=${() => on.tab(one)}
              @keydown=${(event) => step(event, tabs, at, on)}
            >
              ${title}${badge(one, view)}
            </button>`,
        )}
      </div>
    </header>
    ${OF_EVENTS.has(name) && (view.events.length > 1 || OF_TAGS.has(name)) ? picker(name, state, on) : nothing}
    <div class="panel" id="panel" role="tabpanel" aria-labelledby=${`tab-${name}`} tabindex="0">
      ${panel(state, on)}
    </div>`;
}

function step(event, tabs, at, on) {
  const places = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 };
  if (!(event.key in places)) return;
  event.preventDefault();
  event.stopPropagation();
  const next = tabs[(places[event.key] + tabs.length) % tabs.length][0];
  on.tab(next);
  document.getElementById(`tab-${next}`)?.focus();
}

function badge(tab, view) {
  const tags = view.events.flatMap((event) => event.tags);
  const deliveries = tags.flatMap((tag) => tag.deliveries);
  const count = {
    clients: view.declined.length + (view.claimed_by ? 1 : 0),
    tags: tags.filter((tag) => tag.group !== "not").length,
    outgoing: deliveries.length,
    console: tags.reduce((sum, tag) => sum + tag.console.length, view.console.length),
  }[tab];
  const isBad =
    (tab === "tags" && tags.some((tag) => tag.group === "failed")) ||
    (tab === "outgoing" && deliveries.some((one) => one.outcome === "dead" || one.outcome === "refused"));
  if (!count) return nothing;
  return html`<span class="badge">${isBad ? icon("failed") : nothing}${count}</span>`;
}

const silent = (state, on) =>
  html`<label class="of-tag"
    ><input type="checkbox" .checked=${!state.hidesSilent} @change=${on.silent} /> also tags that no trigger
    wanted</label
  >`;

/** Which of several events, and of many tags. */
function picker(name, state, on) {
  const { view } = state;
  const tags = [...new Set(view.events.flatMap((event) => event.tags.map((tag) => tag.name)))];
  return html`<div class="picker">
    ${
      view.events.length > 1
        ? html`<div class="segments" role="radiogroup" aria-label="Event">
            ${view.events
              .slice(0, 25)
              .map(
                (one, at) =>
                  html` <button
                    type="button"
                    role="radio"
                    aria-checked=${at === state.event}
                    @click=${() => on.event(at)}
                  >
                    <span class="soft">${at + 1}</span> ${one.name}
                  </button>`,
              )}
          </div>`
        : nothing
    }
    ${
      OF_TAGS.has(name) && tags.length
        ? html`<label class="of-tag"
              >Tag
              <select @change=${(change) => on.tag(change.target.value)}>
                <option value="" ?selected=${!state.tag}>all ${tags.length}</option>
                ${tags.map((tag) => html`<option value=${tag} ?selected=${tag === state.tag}>${tag}</option>`)}
              </select></label
            >
            ${OF_SILENT.has(name) ? silent(state, on) : nothing}`
        : nothing
    }
  </div>`;
}
