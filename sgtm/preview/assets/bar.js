// The bar at the top: what is served, how the page is connected, what is looked at.

import { html, nothing, render } from "./lit-html.js";

const LINKS = {
  live: "live",
  connecting: "connecting",
  lost: "connection lost, trying again",
  ended: "session over",
};

/** Draws the bar at the top into `place`. `on` has source, change, find, how, theme, help, logOut. */
export function drawBar(place, state, on) {
  const { boot } = state;
  render(
    html`<h1>sgtm <span>preview</span></h1>
      ${
        boot
          ? html`<p class="of">
              <b>${boot.container.id || "container"}</b
              ><code title="version of the container">${boot.container.version}</code>
              <span>${boot.workers} ${boot.workers === 1 ? "worker" : "workers"}</span>
            </p>`
          : nothing
      }
      <p class="connection ${state.link}" role="status"><i aria-hidden="true"></i>${LINKS[state.link]}</p>
      <span class="grow"></span>
      <div class="segments" role="radiogroup" aria-label="Source">
        ${[
          ["session", "My session"],
          ["lookback", "Look back"],
        ].map(
          ([one, name]) =>
            html`<button
              type="button"
              role="radio"
              aria-checked=${state.source === one}
              @click=${() => on.source(one)}
              title=${one === "lookback" ? "a sample of production, masked" : "what carries this session's token"}
            >
              ${name}
            </button>`,
        )}
      </div>
      ${state.session ? sessionTools(state, on) : nothing}
      <button
        type="button"
        class="seek"
        aria-pressed=${state.find.isOpen}
        title="f: what became of an event, an order or a client"
        @click=${on.find}
      >
        Find an id
      </button>
      <button type="button" class="send" @click=${on.how}>Send a request here</button>
      <button type="button" class="quiet" @click=${on.theme} aria-label=${`Theme: ${state.theme}`} title="d">
        ${{ system: "Auto", light: "Light", dark: "Dark" }[state.theme]}
      </button>
      <button type="button" class="quiet" @click=${on.help} aria-label="Keys and filters" title="?">?</button>
      <button type="button" class="quiet" @click=${on.logOut}>Log out</button>`,
    place,
  );
}

/** What the session's requests run through, and whether vendors get them. */
function sessionTools(state, on) {
  const {
    boot,
    session: { container, sends },
  } = state;
  return html`${
      boot?.draft
        ? html`<label class="of-tag"
            >runs
            <select
              aria-label="Container of the session"
              @change=${(event) => on.change({ container: event.target.value })}
            >
              <option value="published" ?selected=${container !== "draft"}>published</option>
              <option value="draft" ?selected=${container === "draft"}>draft</option>
            </select></label
          >`
        : nothing
    }
    <label class="of-tag" title="Otherwise this session's requests run, and nothing of them is sent"
      ><input type="checkbox" .checked=${sends} @change=${() => on.change({ sends: !sends })} /> sends to
      vendors</label
    >`;
}
