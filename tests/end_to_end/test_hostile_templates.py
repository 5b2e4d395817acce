"""All hostile programs in one server: each fails alone with its named error, or does no harm.

SPEC: reliability 4.3.
"""

from functools import partial

import aiohttp
from doubles import eventually
from hostile_programs import container_of, named

from sgtm.templates.script import SETTING_OF


async def test_each_hostile_program_ends_with_its_named_error_and_the_worker_lives(serve, vendor):
    served = await serve(container_of(vendor.url), template_cpu_ms=60_000)
    async with aiohttp.ClientSession() as session:
        for name in named():
            path = f"/hostile/{name}" if name[0] == "c" else "/hostile"
            async with session.post(served.url + path, json={"event_name": name}) as answer:
                await answer.read()
    letters = {one.letter.tag: one.letter.reason for one in await served.worker.outbox.letters()}
    counters = served.worker.counters
    for name, program in named().items():
        ends = SETTING_OF.get(program.ends, program.ends)
        if name[0] == "c":
            label = f"{name} template/{program.ends}"
            await eventually(partial(counters.value, "sgtm_template_limits_total", label))
        elif ends:
            assert ends in letters.get(name, ""), (program, letters.get(name))
        else:
            assert name not in letters, (program, letters.get(name))
            assert counters.value("sgtm_tags_fired_total", name) == 1, program
    assert vendor.requests("/hostile") == []
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{served.url}/hostile", json={"event_name": "x"}) as answer,
    ):
        assert answer.status < 300
