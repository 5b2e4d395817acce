// Sends events with libraries that nobody here wrote: `node events.js segment|stape|universal URL [KEY]`.
// What the library says of its success goes to stdout as JSON.
import { promisify } from 'node:util'

const [, , sender, url, key] = process.argv

const senders = {
  async segment() {
    const { Analytics } = await import('@segment/analytics-node')
    const analytics = new Analytics({ writeKey: key, host: url, flushAt: 3, maxRetries: 1 })
    const failures = []
    analytics.on('error', (error) => failures.push(String(error.reason?.message ?? error.code)))
    const who = { userId: 'u-1', anonymousId: 'a-1' }
    analytics.identify({ ...who, traits: { email: 'jane@example.com', plan: 'gold' } })
    analytics.page({ ...who, name: 'Thanks', properties: { url: 'https://shop.example/thanks', title: 'Thanks' } })
    analytics.track({
      ...who,
      event: 'Order Completed',
      messageId: 'm-1',
      timestamp: new Date(Date.now() - 3_600_000),
      properties: {
        order_id: 'T-1', revenue: 29.98, currency: 'EUR',
        products: [{ product_id: 'A', name: 'Bag', price: 9.99, quantity: 2 }, { sku: 'B', price: 10 }],
      },
      context: { ip: '198.51.100.7', userAgent: 'Phone/1.0' },
    })
    analytics.track({ ...who, event: 'Trial Started', messageId: 'm-2' })
    await analytics.closeAndFlush({ timeout: 10_000 })
    return failures
  },
  async stape() {
    const { default: library } = await import('stape-sgtm-nodejs')
    const { default: StapeSGTM, transformations } = library
    const sgtm = new StapeSGTM({ gtm_server_domain: url, richsstsse: true })
    return sgtm.sendEventData('add to cart', {
      client_id: '123456',
      currency: 'EUR',
      ip_override: '198.51.100.7',
      page_location: 'https://shop.example/bag?a=1',
      user_data: { sha256_email_address: transformations.sha256hex(' Jane@Example.com'), address: { first_name: 'Jäne' } },
      items: [{ item_id: 'A', price: 9.99, quantity: 2 }],
    })
  },
  async universal() {
    const { default: universal } = await import('universal-analytics')
    const options = { hostname: url, http: url.startsWith('http:') }
    const visitor = universal('UA-1-1', '35009a79-1a05-49d7-b876-2b884d0f825b', options)
    const send = (chain) => promisify(chain.send.bind(chain))()
    await send(visitor.pageview({ dp: '/thanks', dh: 'shop.example', dt: 'Thänks & more', cd1: 'gold' }))
    await send(visitor.event({ ec: 'Video', ea: 'play', el: 'holiday', ev: 42, qt: 5000, aip: 1 }))
    await send(visitor.transaction('T-1', 29.98, 5, 4.79, 'Shop').item(9.99, 2, 'A', 'Bag', 'Bags').item(10, 1, 'B'))
    return 'sent'
  },
}
console.log(JSON.stringify(await senders[sender]()))
process.exit(0)
