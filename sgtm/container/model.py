"""What a container says, as data: structs under Google's resource names.

Both front doors make a `ContainerVersion`; `check.py` finds what is wrong with it, `compile.py`
makes the `Container` that runs. Nothing here decides anything.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct

from sgtm.consent import ConsentType
from sgtm.container.matching import RequestCondition
from sgtm.delivery.context.rules import ContextRules
from sgtm.delivery.delivery import DeliveryRules
from sgtm.triggers.condition import Condition
from sgtm.triggers.trigger import Trigger

FORMAT_VERSION = 1

Parameters: TypeAlias = dict[str, Any]
"""Parameters as written. `{{Variable}}` stands in texts; a secret is a `CredentialSource`."""

Name = Annotated[str, Meta(min_length=1, description="A name of your choice; unique among its kind.")]
Type = Annotated[
    str, Meta(min_length=1, description="Which component this is; `sgtm list` shows all of them.")
]
Paused = Annotated[bool, Meta(description="Keep it, but act as if it were not there.")]
Moment = Annotated[datetime, Meta(tz=True)]
Host = Annotated[
    str, Meta(pattern=r"^(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$", description="A host, without a port.")
]
Settings = Annotated[Parameters, Meta(description="What the component needs; see the page of its type.")]


class Client(Struct, frozen=True, forbid_unknown_fields=True):
    """Claims requests and makes events of them. The highest `priority` is asked first."""

    name: Name
    type: Type
    priority: Annotated[
        int, Meta(description="Who is asked first: the higher number; among equals, list order.")
    ] = 0
    is_paused: Paused = False
    hosts: Annotated[
        tuple[Host, ...],
        Meta(
            description="Hosts that requests must address for this client to claim them, as `sst.a.example` "
            "or `*.a.example`; empty: any. So several sites share one server.",
        ),
    ] = ()
    match: Annotated[
        tuple[RequestCondition, ...],
        Meta(description="All must hold before the client is asked, besides its own rules."),
    ] = ()
    allowed_origins: Annotated[
        tuple[str, ...],
        Meta(
            description="Web origins whose pages may use this client, as `https://shop.example` or "
            "`https://*.shop.example`; empty: any."
        ),
    ] = ()
    allowed_headers: Annotated[
        tuple[str, ...], Meta(description="Request headers that pages of other origins may send (CORS).")
    ] = ()
    preflight_max_age_s: Annotated[
        int, Meta(ge=0, le=86_400, description="Seconds for which browsers may remember a CORS preflight.")
    ] = 3600
    claim_timeout_s: Annotated[
        float,
        Meta(gt=0, le=60, description="Seconds after which a claimed request that has no answer gets 504."),
    ] = 30.0
    parameters: Settings = {}


class FormatValue(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is made of a variable's value, one step after the other, each on the result of the one
    before (SPEC: sandbox-api 5.10.4, A15; requirements R154). Replacements may hold `{{Variable}}`."""

    case: Annotated[
        Literal["lowercase", "uppercase"] | None, Meta(description="Case of a value that is a text.")
    ] = None
    empty_to: Annotated[
        Any, Meta(description="Stands for an empty text; first of all of these. Exports have no such option.")
    ] = UNSET
    null_to: Annotated[Any, Meta(description="Stands for null.")] = UNSET
    undefined_to: Annotated[Any, Meta(description="Stands for what is missing.")] = UNSET
    true_to: Annotated[Any, Meta(description="Stands for true (not for the text `true`).")] = UNSET
    false_to: Annotated[Any, Meta(description="Stands for false (not for the text `false`).")] = UNSET


class Variable(Struct, frozen=True, forbid_unknown_fields=True):
    """A named value of the event or the request; `{{name}}` refers to it."""

    name: Name
    type: Type
    parameters: Settings = {}
    format_value: Annotated[
        FormatValue | None, Meta(description="What is made of the value before anybody reads it.")
    ] = None


class SetupTag(Struct, frozen=True, forbid_unknown_fields=True):
    """A tag that runs before another, whatever its own triggers say (SPEC: google-runtime 4.5)."""

    tag: Annotated[str, Meta(description="Name of the tag that runs first.")]
    stop_on_failure: Annotated[
        bool,
        Meta(description="The main tag does not fire when this one has failed, is paused or cannot run."),
    ] = False


class CleanupTag(Struct, frozen=True, forbid_unknown_fields=True):
    """A tag that runs after another (SPEC: google-runtime 4.6)."""

    tag: Annotated[str, Meta(description="Name of the tag that runs afterwards.")]
    only_on_success: Annotated[bool, Meta(description="It does not run when the main tag has failed.")] = (
        False
    )


class Schedule(Struct, frozen=True, forbid_unknown_fields=True):
    """When a tag may fire: moments as `2026-11-27T00:00:00Z`, the end not included."""

    start: Annotated[Moment | None, Meta(description="Not before.")] = None
    end: Annotated[Moment | None, Meta(description="Not from then on.")] = None


class Deduplication(Struct, frozen=True, forbid_unknown_fields=True):
    """The same event goes out once within a window, whatever sends it again (R192, R306)."""

    key: Annotated[
        Annotated[str, Meta(min_length=1)] | Annotated[tuple[str, ...], Meta(min_length=1)],
        Meta(
            description="What tells that two events are the same: `event_id` (together with the event's "
            "name), or the key paths of a business key, such as `[transaction_id]`, whatever the event is "
            "called. An event that lacks one of them is sent as ever."
        ),
    ] = "event_id"
    window: Annotated[
        str,
        Meta(
            pattern=r"^[1-9][0-9]{0,4}[smhd]$",
            description="For how long after the first one, as `30m`, `12h`, `7d`.",
        ),
    ] = "7d"
    except_events: Annotated[
        tuple[str, ...],
        Meta(description="Names of events that are always sent, such as `[refund]`."),
    ] = ()


class Sample(Struct, frozen=True, forbid_unknown_fields=True):
    """A tag fires for a share of the events only: all those of one visitor, or none (R98)."""

    percent: Annotated[
        float,
        Meta(gt=0, le=100, description="For how many of 100 values the tag fires, as `10` or `0.5`."),
    ]
    by: Annotated[
        str,
        Meta(
            min_length=1,
            description="Key path of what is sampled: all events with one value are in the sample, or none "
            "is. Where it is missing, the request's own chance decides.",
        ),
    ] = "client_id"
    salt: Annotated[
        str,
        Meta(
            max_length=16,
            description="Draws another sample. Tags with the same one fire for the same values, and a larger "
            "percentage takes in a smaller one.",
        ),
    ] = ""


class Tag(Struct, frozen=True, forbid_unknown_fields=True):
    """Sends something to a vendor when one of its triggers fires and consent allows it."""

    name: Name
    type: Type
    firing_triggers: Annotated[
        tuple[str, ...],
        Meta(description='Names of triggers, any of which fires the tag; "All Events" is built in.'),
    ] = ()
    blocking_triggers: Annotated[
        tuple[str, ...],
        Meta(description="Names of triggers, any of which keeps the tag from firing, whatever fires it."),
    ] = ()
    consent: Annotated[
        tuple[ConsentType, ...] | None,
        Meta(description="Consent that the event must have; `[]`: none. Without it, `consent.gate` decides."),
    ] = None
    is_paused: Paused = False
    priority: Annotated[
        int, Meta(description="Which tag fires first: the higher number; among equals, list order.")
    ] = 0
    firing_option: Annotated[
        Literal["once_per_event", "unlimited", "once_per_load"],
        Meta(
            description="`unlimited`: once for each trigger that fires it, else once per event. A server has "
            "no page load: `once_per_load` is once per event."
        ),
    ] = "once_per_event"
    is_live_only: Annotated[bool, Meta(description="Never fires for a version that is only previewed.")] = (
        False
    )
    schedule: Annotated[Schedule | None, Meta(description="When it may fire; without it: always.")] = None
    sample: Annotated[
        Sample | None, Meta(description="For which share it fires, as `{percent: 10}`; without it: all.")
    ] = None
    setup_tag: Annotated[SetupTag | None, Meta(description="A tag that has to run before it.")] = None
    cleanup_tag: Annotated[CleanupTag | None, Meta(description="A tag that runs after it.")] = None
    delivery: Annotated[DeliveryRules, Meta(description="How its requests are sent.")] = DeliveryRules()
    deduplicate: Annotated[
        Deduplication | None, Meta(description="Send the same event once only; without it: each time.")
    ] = None
    parameters: Settings = {}


class AffectedTagType(Struct, frozen=True, forbid_unknown_fields=True):
    """All tags of a type but some (SPEC: sandbox-api 5.10.1, W2)."""

    type: Type
    except_tags: Annotated[tuple[str, ...], Meta(description="Names of tags of the type that are not.")] = ()


class Transformation(Struct, frozen=True, forbid_unknown_fields=True):
    """Changes what some tags see of an event, after triggers have decided."""

    name: Name
    type: Type
    priority: Annotated[
        int, Meta(description="Which one is applied first: the higher number; among equals, list order.")
    ] = 0
    is_paused: Paused = False
    conditions: Annotated[tuple[Condition, ...], Meta(description="All of them must hold.")] = ()
    affected_tags: Annotated[tuple[str, ...], Meta(description="Names of the tags that see its result.")] = ()
    affected_tag_types: Annotated[
        tuple[AffectedTagType, ...], Meta(description="Types of which all tags see its result.")
    ] = ()
    all_tags_except: Annotated[
        bool,
        Meta(description="The two lists name the tags that do not see its result; all others do."),
    ] = False
    parameters: Settings = {}


class Preparation(Struct, frozen=True, forbid_unknown_fields=True):
    """Changes or drops an event before any trigger sees it; they run in list order, each on the result
    of the one before (R162). Its types are those of transformations."""

    name: Name
    type: Type
    is_paused: Paused = False
    conditions: Annotated[tuple[Condition, ...], Meta(description="All of them must hold.")] = ()
    parameters: Settings = {}


class CustomTemplate(Struct, frozen=True, forbid_unknown_fields=True):
    """A template of sandboxed JavaScript (`.tpl`), as Google's gallery has them. Clients, tags and variables
    run it whose `type` is its name, or one of `types`."""

    name: Name
    types: Annotated[
        tuple[str, ...], Meta(description="Other names of it: `cvt_...` codes, as exports have them.")
    ] = ()
    source: Annotated[str, Meta(description="Text of the `.tpl` file, or else `file`.")] = ""
    file: Annotated[
        str, Meta(description="Path of the `.tpl` file, from the folder of the container; its text is read.")
    ] = ""
    native: Annotated[
        str,
        Meta(
            description="Type of a tag of sgtm's own that runs in its place, with the template's fields: "
            "`meta_conversions` for Meta's Conversions API tag. Never chosen by itself."
        ),
    ] = ""
    gallery: Annotated[str, Meta(description="`owner/repository@version` in Google's gallery.")] = ""


class ConsentPolicy(Struct, frozen=True, forbid_unknown_fields=True):
    """What consent means in this container. Silence is the strict reading: denied, all."""

    unset: Annotated[
        Literal["granted", "denied"] | None,
        Meta(description="How to read an event that says nothing about consent. Unsaid: denied."),
    ] = None
    gate: Annotated[
        Literal["all", "declared"] | None,
        Meta(
            description="`all`: a tag without consent settings of its own needs the consent that its type "
            "names; `declared`: such a tag needs none. Unsaid: all."
        ),
    ] = None


class ContainerVersion(Struct, frozen=True, forbid_unknown_fields=True):
    """All that is configured."""

    name: Annotated[str, Meta(description="A name of your choice, shown by `sgtm info`.")] = ""
    consent: Annotated[
        ConsentPolicy, Meta(description="What consent means here; asked for where an advertising tag is.")
    ] = ConsentPolicy()
    tolerates_unknown: Annotated[
        bool,
        Meta(
            description="For containers that came from elsewhere: what cannot run (unknown types, parameters "
            "that do not fit, names that are not there) is a warning and does not run, instead of an error."
        ),
    ] = False
    container_id: Annotated[
        str, Meta(description="Public id, `GTM-XXXX`; what `{{Container ID}}` gives.")
    ] = ""
    version_name: Annotated[
        str, Meta(description="What `{{Container Version}}` gives; unsaid: the hash of the file.")
    ] = ""
    environment_name: Annotated[str, Meta(description="What `{{Environment Name}}` gives.")] = "Live"
    unclaimed_status: Annotated[
        int, Meta(ge=200, le=599, description="HTTP status for a request that no client claims.")
    ] = 400
    context: Annotated[
        ContextRules | None,
        Meta(description="What browsers told is kept for events that come without one; unsaid: nothing is."),
    ] = None
    clients: Annotated[tuple[Client, ...], Meta(description="Who may claim a request.")] = ()
    variables: Annotated[tuple[Variable, ...], Meta(description="Named values.")] = ()
    preparations: Annotated[
        tuple[Preparation, ...], Meta(description="What happens to events before any trigger sees them.")
    ] = ()
    triggers: Annotated[tuple[Trigger, ...], Meta(description="When tags fire.")] = ()
    transformations: Annotated[
        tuple[Transformation, ...], Meta(description="What tags see of an event.")
    ] = ()
    tags: Annotated[tuple[Tag, ...], Meta(description="What is sent to vendors.")] = ()
    custom_templates: Annotated[
        tuple[CustomTemplate, ...],
        Meta(description="Templates of sandboxed JavaScript that clients, tags and variables run."),
    ] = ()


def by_priority(entities: Iterable[Any]) -> list[Any]:
    """Clients in claim order, tags in firing order: the higher number first, list order among equals
    (SPEC: requirements X1, R42)."""
    return sorted(entities, key=lambda entity: -entity.priority)
