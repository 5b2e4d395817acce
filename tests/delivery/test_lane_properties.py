import asyncio
from collections import Counter
from functools import partial

from delivery.deliveries import NOON_MICROS, FakeClock, make_component, meta_envelope
from hypothesis import given
from hypothesis import strategies as st

from sgtm.delivery.errors import (
    BadAnswer,
    ConnectFailed,
    CredentialMissing,
    CredentialRefused,
    Disconnected,
    Refused,
    SendError,
    TimedOut,
    TokenUnavailable,
)
from sgtm.delivery.lanes import Delivery, DeliveryRules, LaneLimits, Lanes
from sgtm.messages import Outcome, OutgoingRequest, VendorAnswer
from sgtm.observability.metrics import Counters

# Whatever vendors, tags and time do: each delivery is settled exactly once, and nothing is left over.
KINDS = ("done", "done", "retry", "dead", "isolate", "refused")
ERRORS = (
    *(ConnectFailed, TimedOut, Disconnected, BadAnswer, Refused, CredentialMissing),
    *(CredentialRefused, TokenUnavailable, KeyError),
)


class ScriptedSender:
    """Answers as the script says, each time after letting others run; now and then it starts at once what
    does not raise, and then may say that it has to be sent again."""

    def __init__(self, script, starts=()):
        self.script, self.sent, self.starts = list(script), [], list(starts)

    def start(self, request, timeout_s, on_end):
        if not self.starts or not self.starts.pop():
            return None
        says = self.script.pop() if self.script else "done"
        started = ScriptedStart()
        if says == "each":
            came = partial(self.send, request, timeout_s)
        elif isinstance(says, type) and issubclass(says, SendError):
            came = says("said so")
        else:
            came = VendorAnswer(200, (("retry-after", "7"),) if says == "retry" else (), str(says).encode())
        if says != "hang":
            asyncio.get_running_loop().call_soon(lambda: started.is_cancelled or on_end(came))
        return started

    async def send(self, request, timeout_s):
        says = self.script.pop() if self.script else "done"
        self.sent.append(request)
        await asyncio.sleep(0)
        if says == "hang":
            await asyncio.Event().wait()
        if isinstance(says, type):
            raise says("said so")
        headers = (("retry-after", "7"),) if says == "retry" else ()
        return VendorAnswer(200, headers, says.encode())


class ScriptedStart:
    is_cancelled = False

    def cancel(self):
        assert not self.is_cancelled
        self.is_cancelled = True


def read(answer, requests):
    said = answer.body.decode()
    if said == "raise":
        raise ValueError
    if said == "each":
        return [Outcome(KINDS[index % len(KINDS)]) for index in range(len(requests))]
    return Outcome(said)


COMPONENT = make_component(read=read, envelope=meta_envelope, max_batch=5)
answers = st.lists(st.sampled_from([*KINDS, "each", "raise", "hang", *ERRORS]), max_size=40)
actions = st.lists(
    st.one_of(
        st.tuples(st.just("deliver"), st.booleans(), st.sampled_from(["a", "b"])),
        st.tuples(st.just("advance"), st.sampled_from([0.0, 0.05, 1.0, 10.0, 400.0])),
        st.tuples(st.just("run")),
    ),
    min_size=5,
    max_size=80,
)


@given(
    actions,
    answers,
    st.lists(st.booleans(), max_size=40),
    st.integers(1, 3),
    st.integers(1, 12),
    st.booleans(),
)
def test_each_delivery_is_settled_exactly_once_and_nothing_is_left(
    actions, answers, starts, concurrency, max_queued, hands_back
):
    async def main():
        clock, settled = FakeClock(), Counter()
        taken = []
        lanes = Lanes(
            ScriptedSender(answers, starts),
            Counters(),
            clock=clock,
            chance=lambda: 0.5,
            limits=LaneLimits(concurrency=concurrency, max_queued=max_queued),
            hands_back=hands_back,
        )

        def deliver(is_batched, host):
            number = len(taken)
            request = OutgoingRequest(
                "POST", f"https://{host}.example/", body=b"x", item=b"%d" % number if is_batched else b""
            )
            expires = NOON_MICROS + int((clock.seconds - 1_000 + 300) * 1_000_000)
            taken.append(number)
            lanes.deliver(
                Delivery(
                    tag="tag",
                    component=COMPONENT,
                    request=request,
                    rules=DeliveryRules(),
                    on_settled=lambda outcome: settled.update([(number, outcome.kind)]),
                    expires_micros=expires,
                )
            )

        for action, *arguments in actions:
            if action == "deliver":
                deliver(*arguments)
            elif action == "advance":
                clock.advance(*arguments)
            for _ in range(5):
                await asyncio.sleep(0)
            for state in lanes.destinations():
                assert state.queued <= max_queued + 5 * concurrency
                assert not (hands_back and state.state == "shut" and state.queued > 1), "but for a probe"
        await lanes.close()
        assert Counter(number for number, _ in settled.elements()) == Counter(taken)
        assert {kind for _, kind in settled} <= {"done", "dead", "refused", "retry"}
        assert lanes.pending == 0
        assert not clock.alarms

    asyncio.run(main())


@given(answers.filter(lambda script: "hang" not in script), st.integers(1, 30))
def test_whatever_goes_wrong_at_first_everything_is_settled_before_it_expires(answers, count):
    async def main():
        clock, settled = FakeClock(), []
        lanes = Lanes(ScriptedSender(answers), Counters(), clock=clock, chance=lambda: 1.0)
        for number in range(count):
            lanes.deliver(
                Delivery(
                    tag="tag",
                    component=COMPONENT,
                    request=OutgoingRequest("POST", "https://a.example/", item=b"%d" % number),
                    rules=DeliveryRules(),
                    on_settled=settled.append,
                    expires_micros=NOON_MICROS + 86_400_000_000,
                )
            )
        for _ in range(2_000):
            clock.advance(30.0)
            for _ in range(4):
                await asyncio.sleep(0)
            if len(settled) == count:
                break
        assert len(settled) == count
        assert not any("expired" in outcome.reason for outcome in settled)
        assert lanes.pending == 0
        await lanes.close()

    asyncio.run(main())
