// Signs and verifies webhooks with the libraries of those who send them. stdin: a list of
// {sender, secret, body (base64), timestamp, header}; stdout: for each its headers, or whether `header` holds.
import '@shopify/shopify-api/adapters/node';
import { createSHA256HMAC, HashFormat } from '@shopify/shopify-api/runtime';
import { ApiVersion, shopifyApi } from '@shopify/shopify-api';
import { sign, verify } from '@octokit/webhooks-methods';
import Stripe from 'stripe';
import { readFileSync } from 'node:fs';

const stripe = new Stripe('sk_test_unused');

const senders = {
  stripe: {
    sign: ({ body, secret, timestamp }) => ({
      'Stripe-Signature': stripe.webhooks.generateTestHeaderString({ payload: body, secret, timestamp }),
    }),
    verify: ({ body, secret, header }) => stripe.webhooks.constructEvent(body, header, secret).id !== '',
  },
  github: {
    sign: async ({ body, secret }) => ({ 'X-Hub-Signature-256': await sign(secret, body) }),
    verify: ({ body, secret, header }) => verify(secret, body, header),
  },
  shopify: {
    sign: async ({ body, secret }) => ({
      'X-Shopify-Hmac-SHA256': await createSHA256HMAC(secret, body, HashFormat.Base64),
    }),
    verify: async ({ body, secret, header }) => {
      const api = shopifyApi({
        apiKey: 'unused',
        apiSecretKey: secret,
        apiVersion: ApiVersion.January25,
        hostName: 'shop.example',
        isEmbeddedApp: false,
        logger: { log: () => {} },
      });
      const rawRequest = {
        method: 'POST',
        url: '/webhooks/shopify',
        headers: {
          'X-Shopify-Hmac-Sha256': header,
          'X-Shopify-Topic': 'orders/paid',
          'X-Shopify-API-Version': '2025-01',
          'X-Shopify-Shop-Domain': 'berlin.myshopify.com',
          'X-Shopify-Webhook-Id': 'w-1',
        },
      };
      return (await api.webhooks.validate({ rawBody: body, rawRequest, rawResponse: {} })).valid;
    },
  },
};

const asked = JSON.parse(readFileSync(0, 'utf8'));
const said = [];
for (const one of asked) {
  const { sign, verify } = senders[one.sender];
  const given = { ...one, body: Buffer.from(one.body, 'base64').toString('utf8') };
  said.push(one.header === undefined ? await sign(given) : await verify(given));
}
process.stdout.write(JSON.stringify(said));
