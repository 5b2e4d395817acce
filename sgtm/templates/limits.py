"""What the settings allow one run of a template."""

from msgspec.structs import fields

from sgtm.settings import Settings
from sgtm.templates.script import Limits


def template_limits(settings: Settings) -> Limits:
    """The settings `template_...`, each under its limit's name."""
    return Limits(**{field.name: getattr(settings, f"template_{field.name}") for field in fields(Limits)})
