// Node's side of benchmarks/gallery: lines of JSON in, lines of JSON out. The templates run in a `vm` context.
//   {"load": name, "code": code}  ->  {}
//   {"run": name, "context": text, "fields": text, "count": n}  ->  {"us": microseconds of one run, "out": text}
import vm from "node:vm";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const site = (host) => host.replace(/^https?:\/\//, "").split("/")[0].split(".").slice(-2).join(".");
const HOST = {
  sha256: (text, encoding) => createHash("sha256").update(text).digest(encoding),
  base64: (text) => Buffer.from(text).toString("base64"),
  unbase64: (text) => Buffer.from(text, "base64").toString(),
  site,
  url: (text) => {
    try {
      const url = new URL(text);
      const searchParams = Object.fromEntries(url.searchParams);
      const { href, origin, protocol, username, password, host, hostname, port, pathname, search, hash } = url;
      return JSON.stringify({ href, origin, protocol, username, password, host, hostname, port, pathname, search, searchParams, hash });
    } catch {
      return "null";
    }
  },
};
const context = vm.createContext({ HOST });
vm.runInContext(readFileSync(new URL("prelude.js", import.meta.url), "utf8"), context);
const loaded = new Map();
for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  if (asked.load) {
    loaded.set(asked.load, vm.runInContext("make", context)(asked.code));
    console.log("{}");
    continue;
  }
  const run = loaded.get(asked.run);
  let out = "";
  const begin = process.hrtime.bigint();
  for (let index = 0; index < asked.count; index += 1) out = run(asked.context, asked.fields);
  const us = Number(process.hrtime.bigint() - begin) / 1000 / asked.count;
  console.log(JSON.stringify({ us, out }));
}
