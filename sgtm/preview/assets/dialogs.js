// Dialogs: how a request gets into the session, and the keys.

import { html, nothing, render } from "./lit-html.js";
import { copyButton } from "./parts.js";

const KEYS = [
  ["j ↓", "next request (older)"],
  ["k ↑", "previous request (newer)"],
  ["[ ]", "previous, next tab"],
  ["1 … 9", "tab by number"],
  ["/", "filter the list"],
  ["f", "find an id in what is kept"],
  ["s", "search the event data"],
  ["p", "pause, resume"],
  ["c", "clear the list"],
  ["t", "copy as test"],
  ["r", "replay"],
  ["h", "how to send a request here"],
  ["d", "dark, light, as the system"],
  ["Esc", "leave a field, close the request"],
  ["?", "these keys"],
];
const FILTERS = [
  ["purchase", "anywhere: path, client, event, tag, vendor's host"],
  ["event:purchase", "an event's name"],
  ["client:GA4", "who claimed it; client:none for nobody"],
  ["path:/g/", "part of the path"],
  ["status:4", "4xx"],
  ["tag:failed", "how tags ended: fired, failed, held, not"],
  ["tag:Meta", "a tag that was wanted"],
  ["-event:scroll", "not"],
  ['"add to cart"', "with blanks"],
];

let opener = null;

/** Open a dialog with this content; it goes on being drawn by whoever calls again. */
function show(title, content) {
  const place = document.getElementById("dialogs");
  render(
    html`<dialog
      aria-labelledby="dialog-title"
      @close=${close}
      @click=${(event) => event.target.tagName === "DIALOG" && event.target.close()}
    >
      <div class="inside">
        <header>
          <h2 id="dialog-title">${title}</h2>
          <button
            type="button"
            class="quiet"
            aria-label="Close"
            @click=${() => place.querySelector("dialog").close()}
          >
            ✕
          </button>
        </header>
        ${content}
      </div>
    </dialog>`,
    place,
  );
  const dialog = place.querySelector("dialog");
  if (!dialog.open) {
    opener = document.activeElement;
    dialog.showModal();
  }
}

function close() {
  render(nothing, document.getElementById("dialogs"));
  opener?.focus?.();
}

export const isOpen = () => document.querySelector("dialog[open]") !== null;

const rows = (list) =>
  html`<dl class="keys wide">
    ${list.map(
      ([key, what]) =>
        html`<div>
          <dt>${key.split(" ").map((one) => html`<kbd>${one}</kbd>`)}</dt>
          <dd>${what}</dd>
        </div>`,
    )}
  </dl>`;
const filters = (list) =>
  html`<dl class="keys wide">
    ${list.map(
      ([key, what]) =>
        html`<div>
          <dt><code>${key}</code></dt>
          <dd>${what}</dd>
        </div>`,
    )}
  </dl>`;

export function help() {
  show(
    "Keys and filters",
    html`<div class="columns">
      <section>
        <h3>Keys</h3>
        ${rows(KEYS)}
      </section>
      <section>
        <h3>Filter</h3>
        ${filters(FILTERS)}
        <h3>Marks</h3>
        <p class="soft">
          Each outcome has a shape and a word: a disc with a tick fired, a cross failed, a square with two
          bars was held back, a ring did not fire.
        </p>
      </section>
    </div>`,
  );
}

const line = (title, text, note) =>
  html`<section class="way">
    <h3>${title}</h3>
    <p class="soft">${note}</p>
    <div class="copyable"><code>${text}</code>${copyButton(text, "Copy", `Copy ${title}`)}</div>
  </section>`;

const HEADER = "For webhooks, curl, Postman, a proxy rule, or a sender of yours.";
const LINK =
  "For a browser: open it once, on the host that the site sends its hits to. From then on this browser is in " +
  "the session. The parameter works on any request.";

/** The ways into a session, each with a button to copy it; `url` is where the server listens. */
export function ways(session, url = "https://YOUR-SERVER") {
  const curl = `curl -i -H '${session.header}' '${url}/g/collect?v=2&tid=G-1&cid=1.2&en=page_view&gcd=13t3t3t3t5l1'`;
  const script = `document.cookie = "${session.cookie}; domain=YOUR-DOMAIN; path=/; secure; samesite=none"`;
  return html` <p>
      A request that carries this session's token runs like any other and is shown here, to you alone.
      Everybody else's traffic is untouched. The token ends ${until(session.expires_at)}.
    </p>
    ${line("Header", session.header, HEADER)} ${line("Link", `${url}/?${session.parameter}`, LINK)}
    ${line("Cookie", session.cookie, "The same, for whoever sets cookies on the site's registrable domain.")}
    ${line("In the console of the site", script, "Sets that cookie.")} ${line("curl", curl, "To try it now.")}`;
}

/** How to send a request into this session. */
export const howTo = (session, url) =>
  show("Send a request here", session ? ways(session, url) : html`<p>There is no session yet.</p>`);

function until(seconds) {
  const at = new Date(seconds * 1000);
  if (Number.isNaN(at.getTime())) return "with the session";
  const time = at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  return at.toDateString() === new Date().toDateString()
    ? `at ${time}`
    : `on ${at.toLocaleDateString("en-GB", { day: "numeric", month: "long" })} at ${time}`;
}
