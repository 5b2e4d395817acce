"""Template-like programs: our engine beside QuickJS-NG, interleaved, as ratios.

    python -m benchmarks.templates

Each program reads an event of 1.2 KB and gives the body of a request. Ours gets the event as Python objects
and gives Python objects. QuickJS-NG gets it as JSON and gives JSON, the cheapest way that it has; the APIs
(makeString, getType and so on) are JavaScript there.
"""

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import quickjs

from sgtm.templates.library import LIBRARY
from sgtm.templates.script import Limits, Script, require_of

ROUNDS = 15
EVENT: dict[str, Any] = {
    "event_name": "purchase",
    "client_id": "1234567890.1700000000",
    "ip_override": "203.0.113.7",
    "user_agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36",
    "page_location": "https://shop.example/thanks?utm_source=news&utm_medium=email&gclid=abc",
    "page_title": "Thank you",
    "value": 129.9,
    "currency": "EUR",
    "transaction_id": "T-10042",
    "user_data": {
        "email_address": " Jane.Doe@Example.com",
        "phone_number": "+49 170 1234567",
        "address": {"first_name": "Jane", "last_name": "Doe", "city": "Berlin", "country": "DE"},
    },
    "items": [
        {
            "item_id": f"SKU{i}",
            "item_name": f"Thing {i}",
            "price": 10 + i,
            "quantity": i,
            "item_brand": "Acme",
        }
        for i in range(1, 6)
    ],
}
PROGRAMS = {
    "map names of a small tag": """
const makeString = require('makeString');
return {name: data.event_name, url: data.page_location, domain: makeString(data.page_location).split('/')[2]};
""",
    "conversion tag: user data, items, custom data": """
const makeString = require('makeString');
const makeNumber = require('makeNumber');
const getType = require('getType');
const names = {page_view: 'PageView', add_to_cart: 'AddToCart', purchase: 'Purchase'};
function clean(value) {
  if (getType(value) === 'undefined' || value === '') return undefined;
  return makeString(value).trim().toLowerCase();
}
function addUser(mapped) {
  const user = data.user_data || {};
  const address = user.address || {};
  if (user.email_address) mapped.em = clean(user.email_address);
  if (user.phone_number) mapped.ph = user.phone_number.split(' ').join('').split('+').join('');
  ['first_name', 'last_name', 'city', 'country'].forEach(key => {
    if (address[key]) mapped[key.substring(0, 2)] = clean(address[key]);
  });
  return mapped;
}
const custom = {currency: data.currency, value: makeNumber(data.value), contents: []};
let total = 0;
for (let i = 0; i < data.items.length; i++) {
  const item = data.items[i];
  custom.contents.push({id: item.item_id, quantity: item.quantity, item_price: makeNumber(item.price)});
  total += item.price * item.quantity;
}
custom.content_ids = data.items.map(item => item.item_id);
custom.num_items = data.items.reduce((sum, item) => sum + item.quantity, 0);
custom.total = total;
return {event_name: names[data.event_name] || data.event_name, user_data: addUser({}), custom_data: custom};
""",
    "copy all keys by prefix and type": """
const getType = require('getType');
const out = {};
for (const key in data) {
  const value = data[key];
  if (key.indexOf('x-ga') === 0 || getType(value) === 'object') continue;
  if (getType(value) === 'array') {
    value.forEach((one, i) => { for (const k in one) out[key + '_' + i + '_' + k] = one[k]; });
  } else out['ep.' + key] = value;
}
return out;
""",
    "query of a URL": """
const encodeUriComponent = require('encodeUriComponent');
const query = data.page_location.split('?')[1] || '';
const kept = query.split('&').map(p => p.split('=')).filter(p => p[0] !== 'gclid');
return kept.map(p => p[0] + '=' + encodeUriComponent(p[1])).join('&');
""",
    "arithmetic in a loop": """
let hash = 0;
for (let i = 0; i < 300; i++) {
  hash = ((hash << 5) - hash + i * 7) & 0x7fffffff;
  if (hash % 3 === 0) hash ^= i;
}
return hash;
""",
}
_APIS = """
const APIS = {makeString: String, makeNumber: Number, encodeUriComponent: encodeURIComponent,
  getType: v => v === null ? 'null' : Array.isArray(v) ? 'array' : typeof v};
const require = name => APIS[name];
"""


def ours(source: str) -> Callable[[], Any]:
    """One run of a program in our engine, limits on."""
    script, require, limits = Script(source), require_of(LIBRARY), Limits()
    return lambda: script.call(limits.start(), require, EVENT)


def theirs(source: str) -> Callable[[], Any]:
    """The same in QuickJS-NG, without limits."""
    context = quickjs.Context()
    context.eval(_APIS)
    inner = f"(function (data) {{ {source} }})"
    function = context.eval(f"(text => JSON.stringify({inner}(JSON.parse(text))))")
    text = json.dumps(EVENT)
    return lambda: function(text)


def per_run(function: Callable[[], Any], count: int) -> float:
    """Microseconds of one run."""
    began = time.perf_counter()
    for _ in range(count):
        function()
    return (time.perf_counter() - began) / count * 1e6


def main() -> None:
    """Print one line for each program."""
    print(f"{'program':<48}{'ours':>9}{'quickjs-ng':>12}{'ratio':>8}")
    for name, source in PROGRAMS.items():
        pair = ours(source), theirs(source)
        assert pair[0]() == json.loads(pair[1]()), name
        count = max(20, int(4_000 / per_run(pair[0], 50)))
        rounds = [(per_run(pair[0], count), per_run(pair[1], count)) for _ in range(ROUNDS)]
        ratio = statistics.median(other / own for own, other in rounds)
        own, other = (min(one[side] for one in rounds) for side in (0, 1))
        print(f"{name:<48}{own:>9.1f}{other:>12.1f}{ratio:>8.2f}")


if __name__ == "__main__":
    main()
