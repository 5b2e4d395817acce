"""Sends events with Segment's library: `segment_events.py URL KEY`. Says what the library says of it."""

import datetime
import json
import sys

from segment.analytics.client import Client

url, key = sys.argv[1:]
failures: list[str] = []
client = Client(
    key, host=url, gzip=True, max_retries=1, on_error=lambda error, _: failures.append(str(error))
)
an_hour_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
client.screen("u-1", "App", "Cart", anonymous_id="a-1", context={"device": {"type": "ios"}})
client.track(
    "u-1",
    "Product Added",
    {"product_id": "A", "name": "Bäg", "price": 9.99, "quantity": 2},
    timestamp=an_hour_ago,
    anonymous_id="a-1",
    message_id="m-1",
)
client.group("u-1", "g-1", {"name": "Firm"})
client.alias("a-1", "u-1")
client.flush()
client.join()
print(json.dumps(failures))
