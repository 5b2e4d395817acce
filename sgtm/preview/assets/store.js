// What the page knows: the requests of a session, which of them are listed, what is open.
// Nothing here touches the page, so all of it can be run without one.

const WORDS = /(-?)(?:(client|event|path|status|tag|method|worker):)?(?:"([^"]*)"|(\S+))/g;

export const GROUPS = ["fired", "failed", "held", "not"];

/** A filter: all words must be found; `-word` must not; `client:`, `event:`, `path:`, `status:`, `method:`,
 *  `worker:` look in one place; `tag:fired`, `tag:failed`, `tag:held`, `tag:not` at how tags ended, any other
 *  `tag:` at names of tags. `status:4` finds 4xx. */
export function parseFilter(text) {
  const tests = [];
  for (const [, minus, place, quoted, bare] of text.matchAll(WORDS)) {
    const word = (quoted ?? bare).toLowerCase();
    const test = testOf(place, word);
    tests.push(minus ? (summary) => !test(summary) : test);
  }
  return (summary) => tests.every((test) => test(summary));
}

function testOf(place, word) {
  const has = (text) => text.toLowerCase().includes(word);
  switch (place) {
    case "client":
      return (one) => (word === "none" ? !one.client : has(one.client));
    case "event":
      return (one) => one.events.some(has);
    case "path":
      return (one) => has(one.path);
    case "method":
      return (one) => has(one.method);
    case "status":
      return (one) => String(one.status).startsWith(word);
    case "worker":
      return (one) => String(one.worker) === word;
    case "tag": {
      if (word === "failed") return (one) => one.tags.failed > 0 || one.deliveries.failed > 0;
      if (GROUPS.includes(word)) return (one) => one.tags[word] > 0;
      return (one) => has(one.search);
    }
    default:
      return (one) => (one.haystack ??= haystackOf(one)).includes(word);
  }
}

function haystackOf(one) {
  return [one.method, one.path, one.client, one.status, one.id, one.search, ...one.events]
    .join("\n")
    .toLowerCase();
}

/** The requests of one session, newest first, and those of them that the filter lets through. */
export class Requests {
  constructor() {
    this.all = [];
    this.byId = new Map();
    this.filter = "";
    this._passes = () => true;
    this._frozen = null; // what was there when the list was paused
    this._shown = null; // null: to be found out when somebody looks
  }

  get isPaused() {
    return this._frozen !== null;
  }

  /** How many came since the list was paused. */
  get waiting() {
    return this._frozen === null
      ? 0
      : this.all.length - this._frozen.filter((one) => this.byId.has(one.id)).length;
  }

  get shown() {
    this._shown ??= (this._frozen ?? this.all).filter(this._passes);
    return this._shown;
  }

  setFilter(text) {
    this.filter = text;
    this._passes = parseFilter(text);
    this._shown = null;
  }

  /** Add a request, or tell something new of one. */
  put(summary) {
    const known = this.byId.get(summary.id);
    this._shown = null;
    if (known) {
      Object.assign(known, summary, { haystack: undefined });
      return;
    }
    this.byId.set(summary.id, summary);
    let place = 0; // nearly always: workers' clocks agree, their messages may overtake each other
    while (place < this.all.length && this.all[place].at_micros > summary.at_micros) place++;
    this.all.splice(place, 0, summary);
  }

  drop(ids) {
    const gone = new Set(ids);
    for (const id of ids) this.byId.delete(id);
    this.all = this.all.filter((one) => !gone.has(one.id));
    this._frozen &&= this._frozen.filter((one) => !gone.has(one.id));
    this._shown = null;
  }

  pause(isPaused) {
    this._frozen = isPaused ? [...this.all] : null;
    this._shown = null;
  }

  clear() {
    this.all = [];
    this.byId.clear();
    this._frozen &&= [];
    this._shown = null;
  }

  /** The neighbour of a listed request: `step` 1 is the older one. */
  neighbour(id, step) {
    const at = this.shown.findIndex((one) => one.id === id);
    if (at < 0) return this.shown[0];
    return this.shown[Math.min(Math.max(at + step, 0), this.shown.length - 1)];
  }
}

/** Which stretch of a list of `count` rows is drawn: rows around the visible ones, no more. */
export function windowOf(count, rowHeight, scrollTop, height, margin = 8) {
  const first = Math.max(0, Math.floor(scrollTop / rowHeight) - margin);
  const last = Math.min(count, Math.ceil((scrollTop + height) / rowHeight) + margin);
  return { first: Math.min(first, last), last };
}

// -- values ---------------------------------------------------------------------------------------

/** What a value is, where JSON has no word: {kind, text}. */
export function special(value) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return null;
  if ("$undefined" in value) return { kind: "undefined", text: "undefined" };
  if ("$number" in value) return { kind: "number", text: value.$number };
  if ("$bytes" in value) return { kind: "bytes", text: value.$bytes };
  if ("$cut" in value && Object.keys(value).length === 1)
    return { kind: "cut", text: `… ${value.$cut} more` };
  return null;
}

/** One line for a value, as JSON but for what JSON cannot say. */
export function textOf(value) {
  const said = special(value);
  if (said) return said.text;
  return JSON.stringify(value) ?? "undefined";
}

/** Where two plain values differ: [{kind, path, before, after}]; what only one has is told as a whole. */
export function differences(before, after, path = "") {
  if (before === undefined) return [{ kind: "added", path, after }];
  if (after === undefined) return [{ kind: "removed", path, before }];
  if (!isBranch(before) || !isBranch(after) || Array.isArray(before) !== Array.isArray(after)) {
    return textOf(before) === textOf(after) ? [] : [{ kind: "changed", path, before, after }];
  }
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].flatMap((key) => differences(before[key], after[key], path ? `${path}.${key}` : key));
}

const isBranch = (value) => value !== null && typeof value === "object" && !special(value);

/** The parts of a walk that two runs of a request are compared by: nothing that depends on when it ran. */
export function comparable(view) {
  const tags = (event) =>
    Object.fromEntries(
      event.tags.map((tag) => [
        tag.name,
        {
          outcome: tag.outcome,
          ...(tag.reason ? { reason: tag.reason } : {}),
          requests: tag.deliveries.map((one) => ({
            method: one.method,
            url: one.url.split("?")[0],
            query: pairsOf(one.url.split("?").slice(1).join("?")),
            body: parsed(one.body),
          })),
        },
      ]),
    );
  return {
    client: view.claimed_by || "none",
    status: view.answer?.status ?? 0,
    cookies: (view.answer?.cookies ?? []).map((one) => one.name),
    events: view.events.map((event) => ({ name: event.name, data: event.data, tags: tags(event) })),
  };
}

/** A query or form as an object; what stands twice is a list. */
export function pairsOf(text) {
  const found = Object.create(null);
  for (const [name, value] of new URLSearchParams(text)) {
    found[name] = name in found ? [].concat(found[name], value) : value;
  }
  return { ...found };
}

/** A body as data where it is JSON, else as it is. */
export function parsed(body) {
  if (/^\s*[[{]/.test(body)) {
    try {
      return JSON.parse(body);
    } catch {
      /* a text of somebody's own that only begins so */
    }
  }
  return body;
}

/** A duration in the unit that reads best. */
export function duration(micros) {
  if (micros < 1000) return `${micros} µs`;
  if (micros < 1e6) return `${(micros / 1e3).toFixed(micros < 1e4 ? 2 : micros < 1e5 ? 1 : 0)} ms`;
  return `${(micros / 1e6).toFixed(micros < 1e7 ? 2 : 1)} s`;
}

/** Time of day with milliseconds. */
export function clock(micros) {
  const at = new Date(micros / 1000);
  const two = (number) => String(number).padStart(2, "0");
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

/** A request as a curl command for a POSIX shell. */
export function curlOf(request) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const parts = [`curl -X ${request.method} ${quoted(request.url)}`];
  for (const [name, value] of request.headers) {
    if (!/^(host|content-length|connection)$/i.test(name)) parts.push(`-H ${quoted(`${name}: ${value}`)}`);
  }
  if (request.body) parts.push(`--data-binary ${quoted(request.body)}`);
  return parts.join(" \\\n  ");
}
