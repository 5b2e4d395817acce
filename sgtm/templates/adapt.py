"""A template as a component: a client, a tag or a variable of the container that has it.

SPEC: sandbox-api 1.6; google-runtime 4.7; reliability 4.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from msgspec import UNSET, Struct

from sgtm.component import Component, Kind, read_status
from sgtm.consent import ConsentType
from sgtm.errors import Problem
from sgtm.event import Event
from sgtm.messages import Claimed, Declined, IncomingRequest, TagResult
from sgtm.templates.apis import require_for
from sgtm.templates.client_run import ClientRun
from sgtm.templates.code import Code
from sgtm.templates.fields import problems_of, values_of
from sgtm.templates.host import Host
from sgtm.templates.running import TemplateFailed, TemplateRun
from sgtm.templates.surroundings import Surroundings

CONSENT: tuple[ConsentType, ...] = ("ad_storage", "analytics_storage", "ad_user_data")
"""What a template does with an event nobody knows: `gate: all` asks for what any use of it would need."""
TemplateKind = Literal["client", "tag", "variable"]
KINDS: dict[Kind, TemplateKind] = {"client": "client", "tag": "tag", "variable": "variable"}


def component_of(kind: TemplateKind, code: Code, surroundings: Surroundings, name: str) -> Component:
    """The component of one entity of a container: `name` is its own, for messages."""
    adapter = _Adapter(code, surroundings, name)
    surroundings.hears_ends = surroundings.hears_ends or "addEventCallback" in code.required
    functions: dict[TemplateKind, Callable[..., Any]] = {
        "client": adapter.claim,
        "tag": adapter.build,
        "variable": adapter.resolve,
    }
    return Component(
        kind=kind,
        type=code.name,
        function=functions[kind],
        parameters_type=code.parameters_type,
        module=__name__,
        read=read_status,
        check=adapter.check,
        is_asynchronous=kind == "variable" and code.asks,
        hosts=() if kind == "client" else code.hosts,
        consent=CONSENT if kind == "tag" else (),
        answers_browser=(lambda parameters: code.answers_browser) if kind == "tag" else None,
    )


class _Adapter:
    """One entity that runs a template."""

    def __init__(self, code: Code, surroundings: Surroundings, name: str) -> None:
        self._code, self._surroundings, self._name = code, surroundings, name
        self._last: tuple[Struct | None, dict[str, Any]] = (None, {})

    def check(self, written: dict[str, Any], where: str) -> list[Problem]:
        """What the template's own validators say about values."""
        found = problems_of(self._code.template.fields, written)
        return [Problem(one.severity, one.what, f"{where}.{one.where}", one.mend) for one in found]

    def claim(self, request: IncomingRequest, parameters: Struct) -> Claimed | Declined | ClientRun:
        """As a client. Raises TemplateFailed."""
        host = self._host("client", request)
        run = ClientRun(self._code, self._surroundings, host)
        run.start(require_for("client"), self._data(parameters))
        if not host.is_claimed and not run.failure:
            return Declined("its template does not claim the request")
        return run if not run.is_over else run.claimed()

    def build(self, event: Event, parameters: Struct) -> TagResult | TemplateRun:
        """As a tag."""
        run = self._run("tag", event, parameters, self._tag_result)
        return run if not run.is_over else self._tag_result(run)

    def resolve(self, event: Event, parameters: Struct) -> Any:
        """As a variable: its value, or a run whose value is still asked for. Raises TemplateFailed."""
        run = self._run("variable", event, parameters, self._value)
        return run if not run.is_over and self._code.asks else self._value(run)

    def _tag_result(self, run: TemplateRun) -> TagResult:
        return tag_result(run, self._code.name)

    def _value(self, run: TemplateRun) -> Any:
        if run.host.log:
            self._surroundings.shared(run.host.request).console[self._name] = run.host.log
        return value_of(run)

    def _run(
        self,
        kind: TemplateKind,
        event: Event,
        parameters: Struct,
        shape: Callable[[TemplateRun], Any],
    ) -> TemplateRun:
        host = self._host(kind, event.request)
        host.event, host.client_name = event, event.client_name
        run = TemplateRun(self._code, self._surroundings, host, shape)
        run.start(require_for(kind), self._data(parameters))
        return run

    def _host(self, kind: TemplateKind, request: IncomingRequest) -> Host:
        around = self._surroundings
        host = Host(
            kind=kind,
            name=self._name,
            permissions=self._code.template.permissions,
            request=request,
            container=around.facts,
            storage=around.store(self._code.name),
            services=around.services,
            http_calls=around.limits.http_calls,
            log_lines=around.limits.log_lines,
        )
        if self._code.shares:
            shared = around.shared(request)
            host.response, host.listeners = shared.response, shared.listeners
        return host

    def _data(self, parameters: Struct) -> Mapping[str, Any]:
        """`data`, from the fields. The same struct comes again for parameters that are constant."""
        if parameters is not self._last[0]:
            names = zip(parameters.__struct_fields__, parameters.__struct_encode_fields__, strict=True)
            given = {name: value for key, name in names if (value := getattr(parameters, key)) is not UNSET}
            self._last = (parameters, values_of(self._code.template.fields, given))
        return self._last[1]


def tag_result(run: TemplateRun, template: str) -> TagResult:
    """What a tag's run has asked for since it was asked last, and whether it says that it succeeded (SPEC:
    google-runtime 4.7)."""
    host = run.host
    failure = run.failure
    if not failure and host.succeeded is None:
        failure = f"template {template!r} called neither gtmOnSuccess nor gtmOnFailure"
    elif not failure and not host.succeeded:
        failure = f"template {template!r} called gtmOnFailure"
    requests, host.requests = host.requests, []
    pixels, host.pixels = host.pixels, []
    told, run.told = run.told, len(host.log)
    return TagResult(
        tuple(requests),
        tuple(host.response.cookies),
        tuple(pixels),
        failure=failure,
        has_raised=bool(run.failure),
        listener=run if host.event_callbacks else None,
        console=tuple(host.log[told:]),
        has_asked=run.has_asked,
    )


def value_of(run: TemplateRun) -> Any:
    """A variable's value: what the code has returned, or what its promise has come to; undefined where that
    was rejected (SPEC: sandbox-api 5.10.4, A14)."""
    if run.failure:
        raise TemplateFailed(run.failure)
    return run.settled_value()
