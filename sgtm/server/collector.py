"""Python's garbage collector: what never ends is not looked at, and what is young less often.

A full collection of what the modules alone hold (55,000 objects) stops the event loop for some 20 ms on a
quiet core, and now and then there is one. Frozen it takes none. Containers are loaded later, so those that
a reload replaces are still collected (SPEC: reliability 6, memory and GC).

A hit makes no circles, so there is next to nothing to be found; but hits that wait for their commit or
their vendors are many objects, which Python would look at after each 700 new ones: a tenth of what a hit
with two tags costs (docs/performance.md).
"""

import gc

YOUNG = 10_000
"""Objects that come before the youngest are looked at; about 1 MB."""


def spare_modules() -> None:
    """Leave all that is loaded now to the end of the process. To be called once, before any container."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
