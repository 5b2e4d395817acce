// Tab of a replay: the same request through another container, dry, beside what happened.

import { html, nothing } from "./lit-html.js";
import { counted, diff, empty, outcome, status } from "./parts.js";
import { comparable, differences } from "./store.js";

export function replayed(state) {
  const { view, replay } = state;
  const changes = differences(comparable(view), comparable(replay.view)).map(inShort);
  const verdict = changes.length
    ? outcome("held", counted(changes.length, "difference"))
    : outcome("fired", "no difference");
  return html` <p class="verdict">
      <span>${verdict}</span>
      <span class="soft">A dry run: nothing was sent, lookups had their defaults.</span>
    </p>
    <div class="sides">
      <section>
        <h3>As it was <span class="aside">container ${view.container_version}</span></h3>
        ${side(view, replay.view)}
      </section>
      <section>
        <h3>
          ${replay.container === "draft" ? "Draft" : "Published"}
          <span class="aside">container ${replay.view.container_version}</span>
        </h3>
        ${side(replay.view, view)}
      </section>
    </div>
    ${
      changes.length
        ? html`<section class="part">
            <h3>What differs</h3>
            ${diff(changes)}
          </section>`
        : empty("Both do the same", "Same client, same answer, same event data, same requests.")
    }`;
}

/** Of a tag that only one of the two has: what became of it, not all that it sent. */
function inShort(change) {
  const said = (tag) =>
    tag?.outcome && tag.requests ? `${tag.outcome}, ${counted(tag.requests.length, "request")}` : tag;
  return { ...change, before: said(change.before), after: said(change.after) };
}

function side(one, other) {
  const names = new Map(
    other.events.flatMap((event, at) => event.tags.map((tag) => [`${at} ${tag.name}`, tag.outcome])),
  );
  return html`<p>${one.claimed_by || "No client"} ${status(one.answer?.status ?? 0)}</p>
    <table class="grid">
      <tbody>
        ${one.events.flatMap((event, at) =>
          event.tags.map(
            (tag) =>
              html`<tr class=${names.get(`${at} ${tag.name}`) === tag.outcome ? "" : "differs"}>
                <th scope="row">${tag.name}</th>
                ${one.events.length > 1 ? html`<td class="soft">${event.name}</td>` : nothing}
                <td>${outcome(tag.group, tag.outcome)}</td>
                <td class="num">${tag.deliveries.length || ""}</td>
              </tr>`,
          ),
        )}
      </tbody>
    </table>`;
}
