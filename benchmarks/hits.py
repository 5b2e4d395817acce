"""Seeded hits in the shape of real ones, each different: no cache of texts can help.

`purchase` is the hit of the ledger: 35 parameters, three items, about 860 bytes.
"""

import random
from collections.abc import Callable
from urllib.parse import quote

PRODUCTS = ["Trail Shoe", "Women's Tee", "Rain Jacket 2.0", "Café Mug", "Grey Hoodie"]
BRANDS = "Chromium%3B136.0.7103.114%7CGoogle%2520Chrome%3B136.0.7103.114%7CNot.A%252FBrand%3B99.0.0.0"


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
