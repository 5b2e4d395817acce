// Tabs about the request as a whole: summary, clients, response, timing.

import { html, nothing, svg } from "./lit-html.js";
import {
  body,
  copyButton,
  counted,
  deliveryGroup,
  deliveryName,
  empty,
  icon,
  link,
  outcome,
  pairs,
  section,
  status,
  value,
} from "./parts.js";
import { curlOf, duration, pairsOf, parsed } from "./store.js";

// -- summary --------------------------------------------------------------------------------------

export function summary({ view }, on) {
  const tags = view.events.flatMap((event, at) =>
    event.tags.filter((tag) => tag.group !== "not").map((tag) => ({ ...tag, at })),
  );
  const silent = view.events.flatMap((event) => event.tags).length - tags.length;
  return html` <p class="verdict">${verdict(view)}</p>
    ${view.warnings.map((text) => html`<p class="warning">${icon("held")}${text}</p>`)}
    ${
      tags.length
        ? html`<table class="grid">
            <caption class="unseen">
              Tags that a trigger wanted
            </caption>
            <thead>
              <tr>
                <th>Tag</th>
                ${view.events.length > 1 ? html`<th>Event</th>` : nothing}
                <th>Outcome</th>
                <th>Sent</th>
                <th class="num">Took</th>
              </tr>
            </thead>
            <tbody>
              ${tags.map((tag) => tagLines(tag, view, on))}
            </tbody>
          </table>`
        : view.events.length
          ? empty("No tag fired", "No trigger of any tag wanted this event.")
          : nothing
    }
    ${silent ? html`<p>${link(`${silent} more that no trigger wanted`, on.showSilent)}</p>` : nothing}
    ${section("Request", requestPart(view))}`;
}

function verdict(view) {
  const counts = view.summary.tags;
  const lost = view.summary.deliveries.failed;
  const said = [
    view.claimed_by ? html`<b>${view.claimed_by}</b> claimed it` : html`<b>No client</b> claimed it`,
    view.events.length
      ? html`${view.events.length === 1 ? "one event" : `${view.events.length} events`}`
      : nothing,
    counts.fired ? outcome("fired", `${counts.fired} fired`) : nothing,
    counts.failed ? outcome("failed", `${counts.failed} failed`) : nothing,
    counts.held ? outcome("held", `${counts.held} held back`) : nothing,
    lost ? outcome("failed", lost === 1 ? "one delivery given up" : `${lost} deliveries given up`) : nothing,
    view.answer
      ? html`answered ${status(view.answer.status)} in ${duration(view.summary.took_micros)}`
      : html`not answered yet`,
  ];
  return said.filter((one) => one !== nothing).map((one) => html`<span>${one}</span>`);
}

function tagLines(tag, view, on) {
  const [first, ...more] = tag.deliveries;
  const isReplay = view.summary.source === "replay";
  return html`<tr>
      <th scope="row">
        <button type="button" class="link" @click=${() => on.openTag(tag.name, tag.at)}>${tag.name}</button>
      </th>
      ${view.events.length > 1 ? html`<td class="soft">${tag.at + 1} ${view.events[tag.at].name}</td>` : nothing}
      <td>
        ${outcome(tag.group, tag.outcome)}${tag.reason ? html`<div class="soft">${tag.reason}</div>` : nothing}
      </td>
      ${
        first
          ? sent(first, isReplay)
          : html`<td class="soft">nothing</td>
              <td></td>`
      }
    </tr>
    ${more.map(
      (one) =>
        html`<tr class="under">
          <td></td>
          ${view.events.length > 1 ? html`<td></td>` : nothing}
          <td></td>
          ${sent(one, isReplay)}
        </tr>`,
    )}`;
}

function became(one, isReplay) {
  const name = deliveryName(one, isReplay);
  return one.status ? `${one.status} ${name}` : one.error || name;
}

const sent = (one, isReplay) =>
  html`<td>
      ${outcome(deliveryGroup(one), became(one, isReplay))}
      <div class="soft host">${one.method} ${hostOf(one.url)}</div>
    </td>
    <td class="num">${one.attempts ? duration(one.took_micros) : ""}</td>`;

const hostOf = (url) => url.replace(/^https?:\/\//, "").split("?")[0];

function requestPart(view) {
  const { request } = view;
  const [target, ...rest] = request.url.split("?");
  const query = pairsOf(rest.join("?"));
  const type = request.headers.find(([name]) => name === "content-type")?.[1] ?? "";
  const isForm =
    type.includes("urlencoded") ||
    (view.claimed_by && /^[\w.]+=/.test(request.body) && !request.body.includes("\n"));
  const form = isForm ? Object.entries(pairsOf(request.body)) : null;
  const content = body(request.body, request.body_bytes, parsed(request.body), form);
  return html` <p class="wire">
      <code>${request.method} ${target}</code>
      ${copyButton(request.url, "Copy URL")}${copyButton(() => curlOf(request), "Copy as curl")}
    </p>
    <p class="soft">
      from
      ${request.remote_address || "an unknown address"}${request.has_secrets ? "; a credential in it is not shown" : ""}
    </p>
    ${fold("Query", Object.keys(query).length, pairs(Object.entries(query), "Query"))}
    ${fold("Headers", request.headers.length, pairs(request.headers, "Headers"))}
    ${request.body ? fold("Body", counted(request.body_bytes, "byte"), content) : nothing}`;
}

export const fold = (title, count, content, isOpen = false) =>
  count
    ? html`<details ?open=${isOpen}>
        <summary>${title} <span class="soft">${count}</span></summary>
        ${content}
      </details>`
    : nothing;

// -- clients --------------------------------------------------------------------------------------

const askedLine = (one) =>
  html`<li>
    <b>${one.name}</b> ${outcome(one.group, one.word)}
    ${one.reason ? html`<span class="reason">${one.reason}</span>` : nothing}
  </li>`;

export function clients({ view }) {
  const asked = [
    ...view.declined.map((one) => ({ name: one.client, group: "not", word: "declined", reason: one.reason })),
    ...(view.claimed_by ? [{ name: view.claimed_by, group: "fired", word: "claimed it", reason: "" }] : []),
  ];
  return html`<p class="soft">
      In the order in which they were asked: higher priority first. The first that claims a request has it.
    </p>
    ${
      asked.length
        ? html`<ol class="steps">
            ${asked.map(askedLine)}
          </ol>`
        : nothing
    }
    ${view.claimed_by ? nothing : html`<p class="warning">${icon("failed")}No client claimed this request.</p>`}
    ${view.warnings.map((text) => html`<p class="warning">${icon("held")}${text}</p>`)}
    ${section("What they saw", requestPart(view))}`;
}

// -- response -------------------------------------------------------------------------------------

export function response({ view }) {
  const { answer } = view;
  if (!answer) return empty("Not answered yet");
  return html`<p class="verdict">
      <span>${status(answer.status)}</span
      ><span>${answer.body_bytes ? `${answer.body_bytes.toLocaleString("en")} bytes` : "no body"}</span
      ><span>in ${duration(view.summary.took_micros)}</span>
    </p>
    ${section(
      "Cookies",
      answer.cookies.length
        ? html`<table class="grid">
            <thead>
              <tr>
                <th>Name</th>
                <th>Value</th>
                <th>Attributes</th>
              </tr>
            </thead>
            <tbody>
              ${answer.cookies.map(
                (one) =>
                  html`<tr>
                    <th scope="row">${one.name}</th>
                    <td>${value(one.value)}</td>
                    <td>${one.attributes.map((word) => html`<span class="word">${word}</span>`)}</td>
                  </tr>`,
              )}
            </tbody>
          </table>`
        : html`<p class="soft">none is set</p>`,
    )}
    ${section("Headers", pairs(answer.headers, "Headers of the answer"))}
    ${section("Body", body(answer.body, answer.body_bytes, parsed(answer.body), null))}`;
}

// -- timing ---------------------------------------------------------------------------------------

export function timing({ view }) {
  const hops = view.timing.filter((span) => span.kind !== "delivery");
  const deliveries = view.timing.filter((span) => span.kind === "delivery");
  return html` ${section("Until the answer", waterfall(hops), duration(view.summary.took_micros))}
  ${
    deliveries.length
      ? section(
          "Deliveries",
          waterfall([{ ...hops[0], what: "request" }, ...deliveries]),
          "the answer does not wait for them",
        )
      : html`<p class="soft">Nothing was sent yet.</p>`
  }`;
}

const tick = (part, end) =>
  svg`<text x=${`${part * 100}%`} y="11" text-anchor=${{ 0: "start", 1: "end" }[part] ?? "middle"}>${duration(Math.round(end * part))}</text>`;

function waterfall(spans) {
  const end = Math.max(1, ...spans.map((span) => span.end_micros));
  const at = (micros) => `${Math.min(100, (micros / end) * 100)}%`;
  const ticks = [0, 0.25, 0.5, 0.75, 1];
  return html`<div class="waterfall">
    <div class="axis" aria-hidden="true">
      <span></span><svg height="16">${ticks.map((part) => tick(part, end))}</svg><span></span>
    </div>
    ${spans.map(
      (span) =>
        html`<div class="span of-${span.kind} ${span.outcome && span.outcome !== "done" ? "bad" : ""}">
          <span class="what" title=${span.what}
            >${span.outcome ? icon(deliveryGroup(span)) : nothing} ${span.what}<span class="unseen">
              ${span.outcome}</span
            ></span
          >
          <svg
            height="18"
            role="img"
            aria-label=${`from ${duration(span.begin_micros)} to ${duration(span.end_micros)}`}
          >
            ${ticks.slice(1, -1).map((part) => svg`<line x1=${`${part * 100}%`} x2=${`${part * 100}%`} y1="0" y2="18"/>`)}
            <rect
              x=${at(span.begin_micros)}
              width=${at(span.end_micros - span.begin_micros)}
              y="4"
              height="10"
              rx="2"
            />
            <rect
              class="least"
              x=${at(Math.min(span.begin_micros, end * 0.998))}
              width="2"
              y="4"
              height="10"
              rx="1"
            />
          </svg>
          <span class="num">${duration(span.end_micros - span.begin_micros)}</span>
        </div>`,
    )}
  </div>`;
}
