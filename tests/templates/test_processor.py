"""The limit of the processor's time (SPEC: reliability 4.2: CPU 50 ms, looked at every 1,000 steps)."""

import pytest
from gtm_templates import URLS, template
from template_hosts import REQUEST

from sgtm._fast.sandbox_values import LimitError
from sgtm.event import make_event
from sgtm.messages import VendorAnswer
from sgtm.templates.adapt import component_of
from sgtm.templates.code import compiled
from sgtm.templates.host import ContainerFacts
from sgtm.templates.processor import ProcessorTime
from sgtm.templates.script import Limits, Script
from sgtm.templates.surroundings import Surroundings


def ticking(step_s):
    """A clock that goes on by so much whenever it is asked."""
    now = [0.0]

    def clock():
        now[0] += step_s
        return now[0]

    return clock


def test_a_run_ends_when_it_has_had_the_processor_for_too_long():
    processor = ProcessorTime(50, ticking(0.011))
    with pytest.raises(LimitError) as caught:
        Script("try { while (true) {} } catch (e) {}").call(Limits().start(processor))
    assert caught.value.limit == "cpu_ms"


def test_a_run_of_few_steps_never_asks_the_clock():
    Script("for (let i = 0; i < 100; i++) {}").call(Limits().start(ProcessorTime(50, lambda: 1 / 0)))


def test_a_run_that_has_waited_goes_on_with_what_it_had_left():
    now = [0.0]
    code = """
const work = () => { for (let i = 0; i < 9999; i++) {} };
work();
require('sendHttpRequest')('https://v.example/').then(() => { work(); data.gtmOnSuccess(); });
"""
    around = Surroundings(ContainerFacts("GTM-X", "1"))
    around.use(Limits(), {}, processor=lambda: now[0])
    component = component_of("tag", compiled(template("TAG", code, URLS), "T"), around, "T")
    run = component.function(make_event({"event_name": "x"}, REQUEST, "GA4", 0), component.parameters_type())
    (ask,) = run.take_asks()
    now[0] = 9.0
    run.answered(ask, VendorAnswer(200, (), b""))
    assert run.result().failure == ""


def test_what_others_did_while_the_run_waited_is_not_the_runs():
    clock = ticking(0.04)
    processor = ProcessorTime(50, clock)
    for _ in range(9):
        processor()
        processor.looked_at = None
        clock()
    processor()
    processor()
    with pytest.raises(LimitError):
        processor()
