// The server's side of the page: questions over fetch, news over an event stream.

let csrf = "";

export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

async function ask(method, path, body) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-Sgtm-Csrf"] = csrf;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path.startsWith("/") ? path.slice(1) : `api/${path}`, {
      method,
      headers,
      credentials: "same-origin",
      redirect: "error",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Refused(0, "The server cannot be reached.");
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => null);
  throw new Refused(answer.status, said?.error || `The server answered ${answer.status}.`);
}

const json = async (...question) => (await ask(...question)).json();
const session = (id) => `sessions/${encodeURIComponent(id)}`;
const request = (id, rid) => `${session(id)}/requests/${encodeURIComponent(rid)}`;

export async function bootstrap() {
  const said = await json("GET", "bootstrap");
  csrf = said.csrf;
  return said;
}

export const openSession = (wanted) => json("POST", "sessions", wanted);
export const logOut = () => ask("POST", "/logout");
export const endSession = (id) => ask("DELETE", session(id));
export const listRequests = async (id) => (await json("GET", `${session(id)}/requests`)).requests;
export const viewRequest = (id, rid) => json("GET", request(id, rid));
export const testOf = async (id, rid) => (await ask("GET", `${request(id, rid)}/test`)).text();
export const replay = (id, rid, container) => json("POST", `${request(id, rid)}/replay`, { container });
/** What `sgtm find` finds: {found, notes}. Takes a while; the server does one at a time. */
export const find = (id) => json("POST", "find", { id });

/** News of a session, until `close` is called. `hear` has request, update, gone, state. */
export function listen(id, hear) {
  let source = null;
  let isClosed = false;
  let retry = 0;
  const open = () => {
    hear.state("connecting");
    source = new EventSource(`api/${session(id)}/stream`);
    source.onopen = () => {
      retry = 0;
      hear.state("live");
    };
    source.addEventListener("request", (event) => hear.request(JSON.parse(event.data)));
    source.addEventListener("update", (event) => hear.update(JSON.parse(event.data)));
    source.addEventListener("gone", (event) => hear.gone(JSON.parse(event.data).ids));
    source.onerror = async () => {
      if (isClosed) return;
      hear.state("lost");
      if (source.readyState !== EventSource.CLOSED) return; // the browser tries again, from the last id on
      try {
        hear.all(await listRequests(id));
      } catch (error) {
        if (isClosed) return;
        if ([401, 403, 404].includes(error.status)) return void hear.ended(error.status);
      }
      if (!isClosed) setTimeout(() => isClosed || open(), Math.min(500 * 2 ** retry++, 8000));
    };
  };
  open();
  return {
    close() {
      isClosed = true;
      source.close();
    },
  };
}
