// Tab of outgoing requests: as on the wire, with what came back.

import { html, nothing } from "./lit-html.js";
import {
  body,
  copyButton,
  counted,
  deliveryGroup,
  deliveryName,
  empty,
  icon,
  outcome,
  pairs,
  status,
} from "./parts.js";
import { curlOf, duration, pairsOf, parsed } from "./store.js";
import { chosen } from "./tab_events.js";
import { fold } from "./tab_request.js";

export function outgoing(state, on) {
  const { event, tags } = chosen(state);
  const sending = tags.filter((tag) => tag.deliveries.length);
  if (!event || !sending.length)
    return empty("Nothing is sent", "No tag of this event built a request. Tags says why.");
  const isReplay = state.view.summary.source === "replay";
  return html`<p class="switch">
      <label><input type="checkbox" .checked=${state.raw} @change=${on.raw} /> as bytes on the wire</label>
    </p>
    ${sending.flatMap((tag) => tag.deliveries.map((one) => delivery(tag, one, state, isReplay)))}`;
}

const times = (one) =>
  html`<span>attempt ${one.attempts}</span><span>${duration(one.took_micros)}</span>
    <span class="soft">begun after ${duration(Math.max(0, one.begun_micros))}</span>`;

const secret = (one) =>
  html`<p class="soft">
    The sender adds the secret <code>${one.credential}</code> as ${one.credential_place}. It is never shown.
  </p>`;

function delivery(tag, one, state, isReplay) {
  return html`<article class="delivery">
    <h3>
      ${icon(deliveryGroup(one))}<span>${tag.name}</span>
      <code class="to">${one.method} ${one.url.split("?")[0]}</code>
    </h3>
    <p class="facts">
      ${outcome(deliveryGroup(one), deliveryName(one, isReplay))}${one.status ? status(one.status) : nothing}
      ${one.attempts ? times(one) : nothing}
      <span class="grow"></span
      >${copyButton(() => curlOf(one), "Copy as curl")}${one.body ? copyButton(one.body, "Copy body") : nothing}
    </p>
    ${one.reason ? html`<p class="why">${one.reason}</p>` : nothing}
    ${one.error ? html`<p class="warning">${icon("failed")}${one.error}</p>` : nothing}
    ${one.credential ? secret(one) : nothing}
    <div class="exchange">
      <section>
        <h4>Request</h4>
        ${state.raw ? html`<pre class="code">${asBytes(one)}</pre>` : request(one)}
      </section>
      <section>
        <h4>Answer</h4>
        ${answer(one, state, isReplay)}
      </section>
    </div>
    ${one.tries.length > 1 ? fold("Attempts", one.tries.length, attempts(one), true) : nothing}
  </article>`;
}

function asBytes(one) {
  const [, host, path] = /^https?:\/\/([^/?]*)(.*)$/.exec(one.url) ?? ["", "", one.url];
  const head = [
    `${one.method} ${path || "/"} HTTP/1.1`,
    `Host: ${host}`,
    ...one.headers.map(([name, text]) => `${name}: ${text}`),
  ];
  if (one.credential) head.push(`(${one.credential_place}: ${one.credential}, not shown)`);
  if (one.body) head.push(`Content-Length: ${one.body_bytes}`);
  return `${head.join("\n")}\n\n${one.body}`;
}

function request(one) {
  const query = Object.entries(pairsOf(one.url.split("?").slice(1).join("?")));
  const type = one.headers.find(([name]) => name.toLowerCase() === "content-type")?.[1] ?? "";
  const form = type.includes("urlencoded") ? Object.entries(pairsOf(one.body)) : null;
  const content = body(one.body, one.body_bytes, parsed(one.body), form);
  return html`${fold("Query", query.length, pairs(query, "Query"), true)}
  ${fold("Headers", one.headers.length, pairs(one.headers, "Headers"))}
  ${one.body ? fold("Body", counted(one.body_bytes, "byte"), content, true) : content}`;
}

function answer(one, state, isReplay) {
  if (!one.status)
    return html`<p class="soft">
      ${isReplay ? "A dry run sends nothing." : one.error ? "none came" : "none yet"}
    </p>`;
  if (state.raw)
    return html`<pre class="code">
${`HTTP/1.1 ${one.status}\n${one.answer_headers.map((pair) => pair.join(": ")).join("\n")}\n\n${one.answer_body}`}</pre>`;
  return html`<p>${status(one.status)}</p>
    ${fold("Headers", one.answer_headers.length, pairs(one.answer_headers, "Headers of the answer"))}
    ${body(one.answer_body, one.answer_body.length, parsed(one.answer_body), null)}`;
}

const attempts = (one) =>
  html`<table class="grid">
    <thead>
      <tr>
        <th class="num">After</th>
        <th class="num">Took</th>
        <th>Status</th>
        <th>Outcome</th>
      </tr>
    </thead>
    <tbody>
      ${one.tries.map(
        (each) =>
          html`<tr>
            <td class="num">${duration(each.begun_micros)}</td>
            <td class="num">${duration(each.took_micros)}</td>
            <td>${status(each.status)}</td>
            <td>
              ${outcome(deliveryGroup(each), each.outcome)}
              <span class="soft">${each.reason || each.error}</span>
            </td>
          </tr>`,
      )}
    </tbody>
  </table>`;
