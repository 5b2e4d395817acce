// The list of requests: only the rows that can be seen are in the page, however many there are.

import { html, nothing, render } from "./lit-html.js";
import { icon, statusClass } from "./parts.js";
import { clock, windowOf } from "./store.js";

export const ROW = 46;

/** Draws `requests` into `place`. `on` has select, filter, pause, clear; `about` says what else is so. */
export function listView(place, requests, on) {
  let scroller = null;
  let drawn = { count: 0, top: null };

  function draw(about) {
    const shown = requests.shown;
    keepPlace(shown);
    const height = scroller?.clientHeight || 800;
    const { first, last } = windowOf(shown.length, ROW, scroller?.scrollTop ?? 0, height);
    const rows = shown.slice(first, last);
    const open = shown.findIndex((one) => one.id === about.selected);
    render(
      html` ${tools(about)}
        <div
          class="rows"
          role="listbox"
          tabindex="0"
          aria-label="Requests, newest first"
          aria-activedescendant=${open >= first && open < last ? `row-${open}` : nothing}
          @scroll=${() => draw(about)}
        >
          <div class="stretch" role="presentation">
            ${rows.map((one, at) => row(one, first + at, shown.length, about.selected))}
          </div>
          ${shown.length ? nothing : nobody(about)}
        </div>`,
      place,
    );
    if (!scroller) {
      scroller = place.querySelector(".rows");
      new ResizeObserver(() => draw(about)).observe(scroller);
    }
    // sizes that only the script knows: set on the object, since the policy allows no inline style
    const stretch = scroller.firstElementChild;
    stretch.style.height = `${shown.length * ROW}px`;
    stretch.style.paddingTop = `${first * ROW}px`;
    drawn = { count: shown.length, top: shown[0]?.id };
  }

  /** New rows come in above: who has scrolled down goes on looking at the same ones. */
  function keepPlace(shown) {
    if (!scroller || scroller.scrollTop < ROW || !drawn.top) return;
    const above = shown.findIndex((one) => one.id === drawn.top);
    if (above > 0) scroller.scrollTop += above * ROW;
  }

  function tools(about) {
    const words = [
      ["tag:failed", "Failed", "failed"],
      ["tag:held", "Held back", "held"],
      ["client:none", "Unclaimed", "not"],
    ];
    return html`<div class="tools">
      <div class="search">
        <input
          type="search"
          id="filter"
          placeholder="Filter: a word, client:GA4, tag:failed …"
          spellcheck="false"
          autocomplete="off"
          aria-label="Filter requests"
          .value=${requests.filter}
          @input=${(event) => on.filter(event.target.value)}
        /><kbd aria-hidden="true">/</kbd>
      </div>
      <div class="row-of-buttons">
        ${words.map(
          ([word, name, group]) =>
            html` <button
              type="button"
              class="chip"
              aria-pressed=${requests.filter.includes(word)}
              @click=${() => on.toggleWord(word)}
            >
              ${icon(group)}${name}
            </button>`,
        )}
      </div>
      <div class="count">
        <span>${count()}${requests.isPaused ? html` <b class="paused">paused</b>` : nothing}</span
        ><span class="grow"></span>
        <button type="button" class="quiet" aria-pressed=${requests.isPaused} @click=${on.pause} title="p">
          ${requests.isPaused ? `Resume${requests.waiting ? ` (${requests.waiting} new)` : ""}` : "Pause"}
        </button>
        <button type="button" class="quiet" @click=${on.clear} title="c" ?disabled=${!requests.all.length}>
          Clear
        </button>
      </div>
    </div>`;
  }

  function count() {
    const all = requests.all.length.toLocaleString("en");
    if (!requests.filter.trim()) return `${all} ${requests.all.length === 1 ? "request" : "requests"}`;
    return `${requests.shown.length.toLocaleString("en")} of ${all} requests`;
  }

  function row(one, at, total, selected) {
    const isOpen = one.id === selected;
    const name = one.events.length ? one.events : [one.client ? "no event" : "unclaimed"];
    return html`<div
      class="row ${isOpen ? "open" : ""}"
      role="option"
      id=${`row-${at}`}
      aria-selected=${isOpen}
      aria-posinset=${at + 1}
      aria-setsize=${total}
      @click=${() => on.select(one.id)}
    >
      <span class="time">${clock(one.at_micros)}</span>
      <span class="names ${one.events.length ? "" : "soft"}"
        >${name[0]}${name.length > 1 ? html`<span class="more">+${name.length - 1}</span>` : nothing}</span
      >
      <span class="status ${statusClass(one.status)}">${one.status || "–"}</span>
      <span class="where"
        ><span class="client">${one.client || "nobody"}</span> ${one.method} ${one.path}</span
      >
      <span class="tally">${tally(one)}</span>
    </div>`;
  }

  function nobody(about) {
    if (about.loading)
      return html`<div class="empty">
        <h3>Loading</h3>
        <div class="bones" aria-hidden="true"><i></i><i></i><i></i><i></i></div>
      </div>`;
    if (requests.all.length)
      return html`<div class="empty">
        <h3>Nothing matches the filter</h3>
        <button type="button" @click=${() => on.filter("")}>Clear the filter</button>
      </div>`;
    if (about.source === "lookback" && about.boot && !about.boot.look_back.share) {
      return html`<div class="empty">
        <h3>The look-back is off</h3>
        <p>
          Serve with <code>--look-back-percent 1</code> to keep a sample of production requests in memory,
          personal data masked.
        </p>
      </div>`;
    }
    if (about.source === "lookback")
      return html`<div class="empty">
        <h3>No sampled requests yet</h3>
        <p>
          A share of production requests is kept for a while, with personal data masked. The next one appears
          here.
        </p>
      </div>`;
    return html`<div class="empty">
      <h3>Waiting for the first request</h3>
      <p>Only requests that carry this session's token appear here. Live traffic is untouched.</p>
    </div>`;
  }

  function reveal(id) {
    const at = requests.shown.findIndex((one) => one.id === id);
    if (at < 0 || !scroller) return;
    const top = at * ROW;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top + ROW > scroller.scrollTop + scroller.clientHeight)
      scroller.scrollTop = top + ROW - scroller.clientHeight;
  }

  return { draw, reveal };
}

const TALLIED = [
  ["fired", "fired"],
  ["failed", "failed"],
  ["held", "held back"],
];

function tally(one) {
  const counts = { ...one.tags, failed: one.tags.failed + one.deliveries.failed };
  return TALLIED.filter(([group]) => counts[group]).map(
    ([group, words]) =>
      html`<span class="n ${group}" title=${`${counts[group]} ${words}`}
        >${icon(group)}${counts[group]}<span class="unseen"> ${words}</span></span
      >`,
  );
}
