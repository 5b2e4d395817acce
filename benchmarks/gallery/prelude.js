// The server sandbox's APIs for engines that have none: a run gets {event, headers, cookies, url, ip, now} as
// JSON text and gives the requests and cookies that it wants as JSON text. Hashes, base64 and URLs are the
// host's: HOST.sha256(text, encoding), HOST.base64(text), HOST.unbase64(text), HOST.url(text) -> JSON,
// HOST.site(host). `make(code)` gives the function of one template.
function make(code) {
  "use strict";
  let context, effects;
  const read = (value, path) => {
    for (const key of path.split(".")) value = value === undefined || value === null ? undefined : value[key];
    return value;
  };
  const later = (value) => {
    const one = {
      then: (done) => (done ? later(done(value)) : one),
      catch: () => one,
      finally: (done) => (done(), one),
    };
    return value && typeof value.then === "function" ? value : one;
  };
  const send = (url, options, body) => {
    effects.push(["send", url, options, body]);
    return later({ statusCode: 200, headers: {}, body: "{}" });
  };
  const apis = {
    JSON: { parse: (text) => { try { return JSON.parse(text); } catch { return undefined; } }, stringify: JSON.stringify },
    Math,
    Object: {
      keys: Object.keys, values: Object.values, entries: Object.entries, freeze: (value) => value,
      delete: (value, key) => delete value[key],
    },
    Promise: { create: (start) => { let said; start((v) => (said = v), (v) => (said = v)); return later(said); }, all: (all) => later(all) },
    getAllEventData: () => JSON.parse(JSON.stringify(context.event)),
    getEventData: (path) => read(context.event, path),
    getCookieValues: (name) => (name in context.cookies ? [context.cookies[name]] : []),
    setCookie: (name, value, options) => { effects.push(["cookie", name, value, options]); },
    getRequestHeader: (name) => context.headers[name.toLowerCase()],
    getRequestQueryParameters: () => context.query,
    getRequestQueryParameter: (name) => context.query[name],
    getRequestQueryString: () => context.queryString,
    getRequestPath: () => "/g/collect",
    getRequestMethod: () => "POST",
    getRequestBody: () => undefined,
    getRemoteAddress: () => context.ip,
    getClientName: () => "GA4",
    getContainerVersion: () => ({ containerId: "GTM-1", version: "1", debugMode: false, previewMode: false, environmentName: "" }),
    getTimestampMillis: () => context.now,
    getTimestamp: () => context.now,
    generateRandom: (low, high) => low + (context.now % (high - low)),
    getType: (value) =>
      value === null ? "null" : Array.isArray(value) ? "array" : typeof value,
    makeString: (value) => String(value),
    makeNumber: (value) => Number(value),
    makeInteger: (value) => Math.trunc(Number(value)) || 0,
    makeTableMap: (rows, key, value) => {
      if (!rows || !rows.length) return null;
      const map = {};
      for (const row of rows) map[row[key]] = row[value];
      return map;
    },
    encodeUri: encodeURI,
    encodeUriComponent: encodeURIComponent,
    decodeUri: decodeURI,
    decodeUriComponent: (text) => { try { return decodeURIComponent(text); } catch { return undefined; } },
    sha256Sync: (text, options) => HOST.sha256(String(text), (options && options.outputEncoding) || "base64"),
    sha256: (text, done, options) => done(HOST.sha256(String(text), (options && options.outputEncoding) || "base64")),
    toBase64: (text) => HOST.base64(text),
    fromBase64: (text) => HOST.unbase64(text),
    parseUrl: (text) => (typeof text === "string" ? JSON.parse(HOST.url(text)) || undefined : undefined),
    computeEffectiveTldPlusOne: (text) => HOST.site(String(text)),
    createRegex: (text, flags) => new RegExp(text, flags),
    testRegex: (pattern, text) => pattern.test(text),
    sendHttpRequest: (url, ...rest) => {
      const done = typeof rest[0] === "function" ? rest.shift() : null;
      const answer = send(url, rest[0], rest[1]);
      if (done) done(200, {}, "{}");
      return answer;
    },
    sendHttpGet: (url, ...rest) => {
      const done = typeof rest[0] === "function" ? rest.shift() : null;
      const answer = send(url, { method: "GET", ...(rest[0] || {}) });
      if (done) done(200, {}, "{}");
      return answer;
    },
    sendPixelFromBrowser: (url) => { effects.push(["pixel", url]); return true; },
    logToConsole: () => {},
    queryPermission: () => true,
    callLater: (function_) => { function_(); },
    addEventCallback: () => {},
    isRequestMpv1: () => false,
    isRequestMpv2: () => true,
    BigQuery: { insert: () => later(undefined) },
    Firestore: { read: () => later({ id: "", data: {} }), write: () => later(""), query: () => later([]), runTransaction: () => later(undefined) },
    getGoogleAuth: () => ({}),
    hmacSha256: () => "",
    hasMessageListener: () => false,
    addMessageListener: () => {},
    sendMessage: () => {},
    sendEventToGoogleAnalytics: () => later({}),
    getGoogleScript: () => later(""),
    setResponseStatus: () => {}, setResponseHeader: () => {}, setResponseBody: () => {}, setPixelResponse: () => {},
    returnResponse: () => {},
    templateDataStorage: { getItemCopy: () => undefined, setItemCopy: () => {}, removeItem: () => {}, clear: () => {} },
  };
  const require = (name) => {
    if (!(name in apis)) throw new Error("no API " + name);
    return apis[name];
  };
  const template = new Function("require", "data", code);
  return (text, fields) => {
    context = JSON.parse(text);
    effects = [];
    const ends = { gtmOnSuccess: () => { effects.push(["success"]); }, gtmOnFailure: () => { effects.push(["failure"]); } };
    const value = template(require, { ...JSON.parse(fields), ...ends });
    return JSON.stringify({ effects, value });
  };
}
