// Node servers to measure against: node server.mjs KIND [VENDOR]. The address stands in the first line of
// standard error.
//
// bare         http, 204 and nothing else
// querystring  the same, and every parameter parsed
// undici       the whole job: parse, build both payloads, await two posts of one undici Pool, then answer
// fetch        the same with the global fetch
import http from "node:http";
import querystring from "node:querystring";
import { createHash } from "node:crypto";

const [kind, vendor = ""] = process.argv.slice(2);
const EVENTS = "/v25.0/1234567890/events";
const JSON_HEADERS = { "content-type": "application/json", authorization: "Bearer a-token-for-the-stand-in" };

async function poster() {
  if (kind === "fetch") {
    return async (path, body, headers) => {
      const answer = await fetch(vendor + path, { method: "POST", body, headers });
      await answer.arrayBuffer();
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    };
  }
  const { Pool } = await import("undici");
  const pool = new Pool(vendor, { connections: 128 });
  return async (path, body, headers) => {
    const answer = await pool.request({ method: "POST", path, body, headers });
    await answer.body.dump();
    if (answer.statusCode >= 300) throw new Error(`HTTP ${answer.statusCode}`);
  };
}

const item = (text) => Object.fromEntries(text.split("~").map((part) => [part.slice(0, 2), part.slice(2)]));

function metaEvent(request, hit) {
  const items = ["pr1", "pr2", "pr3"].filter((name) => name in hit).map((name) => item(hit[name]));
  const fbp = /(?:^|; )_fbp=([^;]*)/.exec(request.headers.cookie ?? "");
  return {
    event_name: "Purchase",
    event_time: Math.floor(Date.now() / 1000),
    event_id: hit["ep.transaction_id"],
    action_source: "website",
    event_source_url: hit.dl,
    user_data: {
      client_ip_address: request.socket.remoteAddress,
      client_user_agent: request.headers["user-agent"],
      external_id: createHash("sha256").update(hit.cid ?? "").digest("hex"),
      fbp: fbp?.[1],
    },
    custom_data: {
      value: Number(hit["epn.value"] ?? 0),
      currency: hit.cu,
      contents: items.map((one) => ({ id: one.id, quantity: Number(one.qt), item_price: Number(one.pr) })),
    },
  };
}

const post = kind === "undici" || kind === "fetch" ? await poster() : null;
let parsed = 0;

async function handle(request, response) {
  if (kind !== "bare") {
    const hit = querystring.parse(request.url.slice(request.url.indexOf("?") + 1));
    parsed += hit.v === "2" ? 1 : 0;
    if (post !== null) {
      const ga4 = querystring.stringify({ ...hit, _uip: request.socket.remoteAddress });
      const meta = JSON.stringify({ data: [metaEvent(request, hit)] });
      await Promise.all([
        post(`/g/collect?${ga4}`, "", { "user-agent": request.headers["user-agent"] }),
        post(EVENTS, meta, JSON_HEADERS),
      ]);
    }
  }
  response.writeHead(204);
  response.end();
}

const server = http.createServer((request, response) => {
  handle(request, response).catch(() => {
    response.writeHead(502);
    response.end();
  });
});
server.listen(0, "127.0.0.1", () => console.error(`http://127.0.0.1:${server.address().port}`));
