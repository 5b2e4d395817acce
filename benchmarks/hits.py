"""What every benchmark feeds its contenders: seeded hits in the shape of real ones, the headers of a
browser, requests, and the demo shop's own hits and container.

Seeded hits differ from each other: no cache of texts can help. `purchase` is the hit of the ledger: 35
parameters, three items, about 860 bytes.
"""

import random
from collections.abc import Callable
from urllib.parse import quote

from sgtm.container.compile import load_container
from sgtm.container.container import Container
from sgtm.demo.hits import read_hit
from sgtm.demo.tour import SHOP, stand_in_environment
from sgtm.messages import IncomingRequest

PRODUCTS = ["Trail Shoe", "Women's Tee", "Rain Jacket 2.0", "Café Mug", "Grey Hoodie"]
BRANDS = "Chromium%3B136.0.7103.114%7CGoogle%2520Chrome%3B136.0.7103.114%7CNot.A%252FBrand%3B99.0.0.0"

HEADERS = (
    (b"host", b"sst.shop.example"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/136.0.0.0 Safari/537.36"),
    (b"sec-ch-ua", b'"Chromium";v="136", "Google Chrome";v="136", "Not.A/Brand";v="99"'),
    (b"sec-ch-ua-mobile", b"?0"),
    (b"sec-ch-ua-platform", b'"Linux"'),
    (b"accept", b"*/*"),
    (b"origin", b"https://www.shop.example"),
    (b"referer", b"https://www.shop.example/"),
    (b"accept-encoding", b"gzip, deflate, br"),
    (b"accept-language", b"en-GB,en;q=0.9"),
    (b"cookie", b"_ga=GA1.1.1307714608.1760043792; _fbp=fb.1.1760043840841.908083253440121752"),
)
ADDRESS = "203.0.113.9"
MICROS = 1_764_000_000_000_000


def _shared(chance: random.Random) -> list[str]:
    now = 1_764_000_000 + chance.randrange(10**6)
    page = f"https://shop.example/checkout/{chance.randrange(10**6)}?step=2"
    return [
        "v=2",
        "tid=G-ABC123DEF4",
        "gtm=45je5bi1za200",
        f"_p={now}123",
        "gcs=G111",
        "gcd=13t3t3t3t5l1",
        "npa=0",
        "dma=0",
        f"cid={chance.randrange(2**31)}.{now}",
        "ul=en-us",
        "sr=1920x1080",
        "ur=DE-BE",
        "frm=0",
        "pscdl=noapi",
        "_eu=AAAAAAQ",
        "sst.tft=" + str(now) + "123",
        "sst.ude=0",
        f"_s={chance.randrange(1, 30)}",
        f"sid={now}",
        f"sct={chance.randrange(1, 50)}",
        "seg=1",
        f"dl={quote(page, safe='')}",
        "dr=https%3A%2F%2Fshop.example%2F",
        "dt=Thank%20you",
    ]


def _item(chance: random.Random) -> str:
    name = quote(chance.choice(PRODUCTS), safe="'")
    price = f"{chance.randrange(500, 20000) / 100}"
    head = f"idSKU_{chance.randrange(10**5)}~nm{name}~afAcme%20Store~brAcme~caApparel~c2Shoes"
    return f"{head}~vablue~lnSearch%20results~lp{chance.randrange(9)}~pr{price}~qt{chance.randrange(1, 4)}"


def purchase(chance: random.Random) -> bytes:
    """Query of a purchase with three items."""
    parts = [*_shared(chance), "cu=EUR", "en=purchase", "_c=1"]
    parts += [f"pr{number}={_item(chance)}" for number in (1, 2, 3)]
    parts += [
        f"ep.transaction_id=T-{chance.randrange(10**8)}",
        f"epn.value={chance.randrange(1000, 90000) / 100}",
        f"epn.tax={chance.randrange(100, 900) / 100}",
        f"tfd={chance.randrange(10**5)}",
        "richsstsse",
    ]
    return "&".join(parts).encode()


def page_view(chance: random.Random) -> bytes:
    """Query of a page_view with client hints."""
    hints = ["uaa=x86", "uab=64", f"uafvl={BRANDS}", "uamb=0", "uam=", "uap=Windows", "uapv=15.0.0", "uaw=0"]
    parts = [*_shared(chance), *hints, "en=page_view", "_ee=1", f"_et={chance.randrange(10**4)}"]
    return "&".join([*parts, "ep.content_group=product", f"tfd={chance.randrange(10**5)}"]).encode()


def make_hits(count: int, seed: int = 1, shape: Callable[[random.Random], bytes] = purchase) -> list[bytes]:
    """`count` different queries of one shape, always the same for a seed."""
    chance = random.Random(seed)
    return [shape(chance) for _ in range(count)]


def request_of(
    query: bytes, headers: tuple[tuple[bytes, bytes], ...] = HEADERS, number: int = 0
) -> IncomingRequest:
    """A GET of `/g/collect`, the `number`th of its kind: each has a moment and a seed of its own."""
    return IncomingRequest(
        method="GET",
        path="/g/collect",
        query=query,
        headers=headers,
        body=b"",
        remote_address=ADDRESS,
        is_peer_trusted=False,
        scheme="https",
        host="sst.shop.example",
        received_micros=MICROS + number,
        seed=number,
    )


def wire_of(query: bytes) -> bytes:
    """The same request as bytes on a socket."""
    head = b"".join(b"%b: %b\r\n" % pair for pair in HEADERS)
    return b"GET /g/collect?%b HTTP/1.1\r\n%b\r\n" % (query, head)


def shop_requests(name: str, count: int = 20) -> list[IncomingRequest]:
    """`count` requests of the demo shop's recorded hit `name`, for example `3-purchase`."""
    hit = read_hit(SHOP / "hits" / f"{name}.http")
    headers = tuple((key.lower().encode(), value.encode()) for key, value in hit.headers)
    query = hit.target.partition("?")[2].encode()
    return [request_of(query, headers, number) for number in range(count)]


def shop_container(vendor: str = "http://127.0.0.1:9") -> Container:
    """The demo shop: GA4 and Meta tags, and a webhook for purchases, all towards `vendor`."""
    return load_container(SHOP / "container.yaml", stand_in_environment(vendor))
