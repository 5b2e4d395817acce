// WebCM's configuration file, as its example.config.ts: two components that send what a visitor does to GA4 and
// to Meta. It proxies nothing: only its tracking path is asked.
const permissions = ["access_client_kv", "server_network_requests"];

exports.default = {
  components: [
    {
      name: "google-analytics-4",
      settings: { tid: "G-ABC123DEF4", ecommerce: true, baseDomain: "shop.example" },
      permissions,
    },
    {
      name: "facebook-pixel",
      settings: { property: "1234567890", accessToken: "a-token-for-the-stand-in" },
      permissions,
    },
  ],
  target: "http://127.0.0.1:9",
  hostname: "127.0.0.1",
  trackPath: "/webcm/track",
  port: Number(process.env.PORT),
  cookiesKey: "something-very-secret",
};
