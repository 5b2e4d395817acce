"""The reference page of what gallery templates may `require`."""

from collections.abc import Iterator

from sgtm.templates.apis import DECLARED, KINDS
from sgtm.templates.apis.pure import PURE

INTRODUCTION = (
    "What `require` gives to gallery templates ([templates](../templates.md)). A call without its permission "
    "fails, and the error names template, permission and what was asked; only `logToConsole` is silent. A "
    "kind of template that does not have an API fails when it calls it, not when it requires it."
)
HEAD = ("API", "permission", "templates", "what it does")


def api_rows() -> Iterator[tuple[str, str, str, str]]:
    """A row for each API, by name: what it needs, who has it, what it does."""
    rows = {name: ("", "all", summary) for name, summary in PURE.items()}
    for api in DECLARED.values():
        kinds = "all" if api.kinds == KINDS else ", ".join(api.kinds)
        rows[api.name] = (f"`{api.permission}`" if api.permission else "", kinds, api.summary)
    for name in sorted(rows, key=str.lower):
        yield f"`{name}`", *rows[name]
