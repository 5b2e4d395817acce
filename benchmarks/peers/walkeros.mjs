// walkerOS, as its documentation wires it: node walkeros.mjs FOLDER VENDOR flow|collector. Its packages are those
// of FOLDER/node_modules. The address stands in the first line of standard error.
//
// flow       the Express source, the GA4 transformer, the API and the Meta destinations
// collector  what is on npm: collector and API destinations, behind a plain http server that hands it events
import http from "node:http";
import querystring from "node:querystring";
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const [folder, vendor, kind] = process.argv.slice(2);
const require = createRequire(resolve(folder, "package.json"));
const { startFlow } = require("@walkeros/collector");
const { destinationAPI } = require("@walkeros/server-destination-api");
const PIXEL = { pixelId: "1234567890", accessToken: "a-token-for-the-stand-in", url: `${vendor}/v22.0/` };

const api = { code: destinationAPI, config: { settings: { url: `${vendor}/events-of-walkeros` } } };
const isProduct = (entity) => entity.entity === "product";
const purchase = {
  name: "Purchase",
  data: {
    map: {
      order_id: "data.id",
      currency: { key: "data.currency", value: "EUR" },
      value: "data.total",
      contents: {
        loop: [
          "nested",
          {
            condition: isProduct,
            map: { id: "data.id", item_price: "data.price", quantity: { key: "data.quantity", value: 1 } },
          },
        ],
      },
    },
  },
};

async function flow() {
  const { sourceExpress } = require("@walkeros/server-source-express");
  const { transformerGa4 } = require("@walkeros/transformer-ga4");
  const { destinationMeta } = require("@walkeros/server-destination-meta");
  const ingest = { map: Object.fromEntries(["url", "path", "method", "body"].map((key) => [key, { key }])) };
  const { collector } = await startFlow({
    sources: {
      http: { code: sourceExpress, config: { settings: { path: "/g/collect" }, ingest }, before: "ga4" },
    },
    transformers: { ga4: { code: transformerGa4 } },
    destinations: {
      api,
      meta: {
        code: destinationMeta,
        config: {
          settings: { ...PIXEL, user_data: { external_id: "user.device" } },
          mapping: { order: { complete: purchase } },
        },
      },
    },
  });
  return collector.sources.http.app;
}

async function collector() {
  const { elb } = await startFlow({
    destinations: {
      api,
      meta: {
        code: destinationAPI,
        config: {
          settings: {
            url: `${PIXEL.url}${PIXEL.pixelId}/events`,
            headers: { Authorization: `Bearer ${PIXEL.accessToken}` },
            transform: (data) => JSON.stringify({ data: [{ event_name: "Purchase", ...data }] }),
          },
          mapping: {
            order: {
              complete: {
                ...purchase,
                data: {
                  map: { ...purchase.data.map, event_id: "id", user_data: { map: { external_id: "user.hash" } } },
                },
              },
            },
          },
        },
      },
    },
  });
  return (request, response) => {
    elb(eventOf(querystring.parse(request.url.slice(request.url.indexOf("?") + 1)))).then(({ ok }) => {
      response.writeHead(ok ? 200 : 502);
      response.end();
    });
  };
}

function eventOf(hit) {
  const items = ["pr1", "pr2", "pr3"].filter((name) => name in hit).map((name) => hit[name].split("~"));
  return {
    name: "order complete",
    data: {
      id: hit["ep.transaction_id"],
      total: Number(hit["epn.value"]),
      tax: Number(hit["epn.tax"]),
      currency: hit.cu,
      page: hit.dl,
    },
    user: { device: hit.cid, hash: createHash("sha256").update(hit.cid).digest("hex") },
    nested: items.map((parts) => {
      const of = Object.fromEntries(parts.map((part) => [part.slice(0, 2), part.slice(2)]));
      return {
        entity: "product",
        data: { id: of.id, name: of.nm, price: Number(of.pr), quantity: Number(of.qt) },
      };
    }),
  };
}

const server = http.createServer(await (kind === "flow" ? flow() : collector()));
server.listen(0, "127.0.0.1", () => console.error(`http://127.0.0.1:${server.address().port}`));
