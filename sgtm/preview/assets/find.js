// Finding an id: what became of an event, an order or a client, in what the server still keeps.

import { html, nothing } from "./lit-html.js";
import { copyButton, counted, empty, icon, outcome, status } from "./parts.js";

const STATES = {
  delivered: "fired",
  waiting: "waiting",
  "given up": "failed",
  unknown: "unknown",
};
const TRIES = {
  done: ["fired", "accepted"],
  retry: ["held", "to be sent again"],
  isolate: ["held", "to be sent alone"],
  refused: ["held", "refused: credential or set-up"],
  dead: ["failed", "refused for good"],
  "given up": ["failed", "given up"],
};
const OWES_NOTHING = "nothing to deliver";

/** The place where ids are sought. `on` has seek(text), close. */
export const finding = (find, on) =>
  html`<header class="head finder">
      <div class="title">
        <button type="button" class="quiet back" @click=${on.close} aria-label="Back to the list">←</button>
        <h2>Find</h2>
        <span class="grow"></span>
        <button type="button" class="quiet" @click=${on.close} title="Esc">Close</button>
      </div>
      <form class="search inline" role="search" @submit=${(event) => submit(event, on)}>
        <input
          id="find"
          type="text"
          maxlength="512"
          autocomplete="off"
          spellcheck="false"
          aria-label="Find an event id, order id or client id"
          placeholder="Find an event id, order id or client id"
          .value=${find.text}
          @input=${(event) => (find.text = event.target.value)}
        />
        <button type="submit" class="primary" ?disabled=${find.isBusy}>Find</button>
      </form>
    </header>
    <div class="panel found" id="panel" tabindex="0" aria-label="What was found" aria-busy=${find.isBusy}>
      <p class="unseen" role="status">${spoken(find)}</p>
      ${content(find)}
    </div>`;

function submit(event, on) {
  event.preventDefault();
  on.seek(event.target.elements.find.value);
}

function spoken({ isBusy, said, problem }) {
  if (isBusy) return "Searching";
  if (problem) return problem;
  return said ? `${counted(said.found.length, "request")} found` : "";
}

function content(find) {
  if (find.isBusy) return busy(find);
  if (find.problem)
    return html`<div class="empty large" role="alert">
      <h3>${icon("failed")} It could not be searched</h3>
      <p>${find.problem}</p>
    </div>`;
  if (!find.said) return beginning;
  return html`${find.said.found.length ? found(find) : nowhere(find)} ${notes(find.said.notes)}`;
}

const busy = ({ sought, since }) =>
  html`<div class="empty large">
    <h3>Searching for <code class="sought">${sought}</code></h3>
    <p>All that is kept is looked through: ${Math.round((Date.now() - since) / 1000)} s of at most 60.</p>
    <div class="bones" aria-hidden="true"><i></i><i></i><i></i></div>
  </div>`;

const beginning = html`<div class="empty large">
  <h3>What became of it?</h3>
  <p>
    Type an order id, an event id or a client id. For each request that it belongs to, this tells which client
    took it, what each tag did, every attempt to deliver it, what the vendor said, and how it stands now.
  </p>
  <p>
    It looks through what waits to be sent, what was given up, and what
    <code>sgtm serve --archive 7d</code> keeps.
  </p>
</div>`;

const nowhere = ({ sought }) =>
  html`<div class="empty large">
    <h3>Nothing holds <code class="sought">${sought}</code></h3>
    <p>
      What was delivered is kept only where the server archives it: <code>sgtm serve --archive 7d</code> keeps
      it for seven days. Without, only what waits or was given up can be found.
    </p>
    <p>
      An id has to be whole, as it stands in the event. Ids that the server made itself stand in no request:
      <code>sgtm find --deep</code> finds them.
    </p>
  </div>`;

const notes = (list) => list.map((text) => html`<p class="warning">${icon("held")}<span>${text}</span></p>`);

const found = ({ said, sought }) =>
  html`<p class="verdict">
      <span><b>${counted(said.found.length, "request")}</b> with <code class="sought">${sought}</code></span
      >${tally(said.found).map(([state, count]) => html`<span>${outcome(STATES[state], `${count} ${state}`)}</span>`)}
    </p>
    ${said.found.map(request)}`;

/** How many tags stand how. */
function tally(list) {
  const counts = {};
  const tags = list.flatMap((one) => one.events.flatMap((event) => event.tags));
  for (const { state } of tags) counts[state] = (counts[state] ?? 0) + 1;
  return Object.keys(STATES).flatMap((state) => (counts[state] ? [[state, counts[state]]] : []));
}

const request = (one) =>
  html`<section class="part">
    <h3>
      <code>${moment(one.at_micros)}</code><code class="to">${one.method} ${one.path}</code>
      <span class="aside">${one.client ? html`claimed by <b>${one.client}</b>` : "claimed by nobody"}</span>
    </h3>
    <p class="facts soft">
      <span>read from the ${one.place}</span
      ><span>came in under container <code>${one.container_version}</code></span
      >${one.uses_version === one.container_version ? nothing : html`<span>told by <code>${one.uses_version}</code></span>`}
    </p>
    ${one.events.map((each) => event(each, one.at_micros))}
  </section>`;

const event = (one, at_micros) =>
  html`<p class="of-event">
      <b class="names">${one.name}</b> <span class="soft">the id is</span>
      ${one.found_in.map((place) => html`<span class="word">${place}</span>`)}
    </p>
    ${
      one.tags.length
        ? html`<ul class="fates">
            ${one.tags.map((tag) => fate(tag, at_micros))}
          </ul>`
        : html`<p class="soft">No trigger of any tag wanted it.</p>`
    }`;

const fate = (tag, at_micros) =>
  html`<li>
    <div>
      <b>${tag.name}</b>
      ${outcome(STATES[tag.state] ?? "not", tag.state || OWES_NOTHING)}
      ${tag.state && tag.outcome === "fired" && !tag.reason ? nothing : reason(tag)}
    </div>
    <div>
      ${tag.tries.length ? tries(tag.tries, at_micros) : html`<p class="soft">${untried(tag)}</p>`}
      ${tag.letters.map(letter)}
    </div>
  </li>`;

const reason = (tag) =>
  html`<div class="soft">${tag.outcome}${tag.reason ? html`: ${tag.reason}` : nothing}</div>`;

const untried = ({ state }) =>
  ({ unknown: "no attempt of it is noted any more", waiting: "no attempt yet" })[state] ?? "no attempt";

const tries = (list, at_micros) =>
  html`<table class="tries">
    <caption class="unseen">
      Attempts
    </caption>
    <tbody>
      ${list.map(
        (one) =>
          html`<tr>
            <td><code title=${moment(one.at_micros)}>${momentAfter(one.at_micros, at_micros)}</code></td>
            <td><code>${one.destination}</code></td>
            <td class="soft">${one.attempt ? `attempt ${one.attempt}` : "no attempt"}</td>
            <td>${status(one.status)}</td>
            <td>${attempt(one)} <span class="soft">${reasonOf(one)}</span></td>
          </tr>`,
      )}
    </tbody>
  </table>`;

function attempt(one) {
  const [group, name] = TRIES[one.outcome] ?? ["failed", one.outcome];
  return outcome(group, name);
}

/** The reason without the status, which stands beside it. */
const reasonOf = ({ reason, status }) =>
  reason.startsWith(`HTTP ${status}`)
    ? reason.slice(`HTTP ${status}`.length).replace(/^[:,; ]+/, "")
    : reason;

const letter = (id) =>
  html`<p class="letter">
    <span class="soft">dead letter</span> <code>${id}</code>
    ${copyButton(`sgtm deadletters show ${id}`, "Copy command", "Copy the command that shows it")}
  </p>`;

/** Date and time of day, in UTC as `sgtm find` has it. */
function moment(micros) {
  const at = new Date(micros / 1000);
  return Number.isNaN(at.getTime()) ? "?" : at.toISOString().replace("T", " ");
}

/** The same, without a date that was told before. */
function momentAfter(micros, before) {
  const [date, time] = moment(micros).split(" ");
  return moment(before).startsWith(date) ? time : moment(micros);
}
