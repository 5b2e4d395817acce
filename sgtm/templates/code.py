"""Code: a template that has been read and compiled, once for all that use it."""

from functools import lru_cache
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, defstruct

from sgtm.templates import syntax as tree
from sgtm.templates.fields import Field
from sgtm.templates.reader import Template, read_template
from sgtm.templates.scope import walk_tree
from sgtm.templates.script import Script

ASKING = frozenset(
    [
        *("sendHttpRequest", "sendHttpGet", "getGoogleScript", "sendEventToGoogleAnalytics"),
        *("BigQuery", "Firestore"),
    ]
)
"""APIs whose answers are waited for."""
ANSWERING = frozenset(
    [
        *("setCookie", "sendPixelFromBrowser", "setResponseStatus", "setResponseHeader", "setResponseBody"),
        *("setPixelResponse", "returnResponse"),
    ]
)
"""APIs that change what the browser is answered."""

SHARING = ANSWERING | {"addMessageListener", "hasMessageListener", "sendMessage"}


class Code(Struct, frozen=True):
    """A compiled template."""

    name: str
    """Under which the container knows it."""
    template: Template
    script: Script
    required: frozenset[str]
    """Names of the APIs that it requires."""
    parameters_type: type[Struct]
    """Its fields, under the names that the template gives them; what is not given is UNSET."""

    @property
    def asks(self) -> bool:
        """Whether it may wait for answers."""
        return not ASKING.isdisjoint(self.required)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Hosts that its permissions name whole, and for which it may therefore be meant."""
        granted = self.template.permissions.granted.get("send_http", ())
        patterns = [
            url for one in granted for url in one.parameters.get("urls") or () if isinstance(url, str)
        ]
        hosts = (pattern.partition("://")[2].partition("/")[0].lower() for pattern in patterns)
        return tuple(dict.fromkeys(host for host in hosts if host and not {"*", ":", "@"}.intersection(host)))

    @property
    def shares(self) -> bool:
        """Whether its runs share something with others of the same request: the answer, or messages."""
        return not SHARING.isdisjoint(self.required)

    @property
    def answers_browser(self) -> bool:
        """Whether it may set cookies or send pixels."""
        return not ANSWERING.isdisjoint(self.required)


@lru_cache(maxsize=256)
def compiled(source: str, name: str) -> Code:
    """Read and compile a template's text. Raises TemplateFileError, ScriptSyntaxError."""
    template = read_template(source, name)
    script = Script(template.code, name=f"template {name!r}", first_line=template.code_line)
    fields = [field for field in template.all_fields() if field.has_value]
    return Code(name, template, script, required_by(script), _parameters_type(fields))


def required_by(script: Script) -> frozenset[str]:
    """Names of the APIs that a script requires."""
    calls = (node for node in walk_tree(script.tree) if isinstance(node, tree.Call) and node.parts)
    return frozenset(
        call.parts[0].value
        for call in calls
        if isinstance(call.function, tree.Name)
        and call.function.name == "require"
        and isinstance(call.parts[0], tree.Literal)
        and isinstance(call.parts[0].value, str)
    )


def _parameters_type(fields: list[Field]) -> type[Struct]:
    """The struct of a template's fields. Attributes are numbered: a field may be called as it likes."""
    described = {field.name: field.display_name or field.checkbox_text or field.help for field in fields}
    names = {f"field_{index}": name for index, name in enumerate(described)}
    members = [(key, _annotated(described[name]), UNSET) for key, name in names.items()]
    return defstruct("Parameters", members, frozen=True, rename=names)


def _annotated(description: str) -> Any:
    return Annotated[Any, Meta(description=description)] if description else Any
