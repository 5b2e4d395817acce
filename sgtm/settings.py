"""Settings of the process (not of the container): where it listens, what it trusts, its limits.

One declaration serves all: the field `header_count` is the flag `--header-count` and the variable
`SGTM_HEADER_COUNT`. A flag wins over a variable, a variable over the default. What several values
may be given for (`trusted_proxies`) has a flag in the singular that can be repeated, and a
variable with commas. How they are read stands in `settings_sources.py`.
"""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=1)]
Limit = Annotated[int, Meta(ge=0)]
Port = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[float, Meta(ge=0.0, le=3600.0)]

ForwardedHeader: TypeAlias = Literal[
    "x-forwarded", "forwarded", "cloudflare", "fastly", "cloudfront", "akamai", "google", "azure-front-door"
]

FILE = "settings_file"
"""The one setting that a settings file cannot hold."""

_KIB = 1024
_ORIGIN = r"^https?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?$"


class Settings(Struct, frozen=True, kw_only=True):
    """How this process runs. Defaults: SPEC reliability 2.4 (limits) and 6 (drain)."""

    settings_file: Annotated[
        str,
        Meta(
            description="YAML file of settings by their names, as `port: 8080`; flags and variables win over "
            "it. `container:` in it says what an export of Tag Manager cannot (docs/google-export.md).",
            extra={"flag": "--settings", "metavar": "FILE"},
        ),
    ] = ""
    host: Annotated[str, Meta(description="Address or name to listen on.", pattern=r"^\S+$")] = "0.0.0.0"  # noqa: S104
    port: Annotated[int, Meta(description="Port to listen on; 0 takes a free one.", ge=0, le=65535)] = 8080
    workers: Annotated[int, Meta(description="Processes that serve; 1: no other process.", ge=1, le=256)] = 1
    worker_timeout_s: Annotated[
        float,
        Meta(description="Seconds after which a worker that answers nothing is replaced.", gt=0.0, le=3600.0),
    ] = 10.0
    worker_start_s: Annotated[
        float, Meta(description="Seconds that a worker may take to start.", gt=0.0, le=3600.0)
    ] = 60.0
    data_folder: Annotated[
        str,
        Meta(description="Folder of what must outlive the process; made when it is needed.", pattern=r"\S"),
    ] = "sgtm-data"
    watch: Annotated[bool, Meta(description="Reload the container when its file changes.")] = False
    no_admin: Annotated[bool, Meta(description="Have no admin listener.")] = False
    admin_host: Annotated[
        str, Meta(description="Address or name that the admin listener has.", pattern=r"^\S+$")
    ] = "127.0.0.1"
    admin_port: Annotated[
        Port | None,
        Meta(
            description="Port of the admin listener; 0 takes a free one. Not given: 8081, or a free one "
            "if that is taken."
        ),
    ] = None

    preview: Annotated[
        Literal["auto", "on", "off"],
        Meta(
            description="Preview page of the admin listener, which shows requests whole: on, off, or auto "
            "(on where that listens on this machine alone)."
        ),
    ] = "auto"
    draft: Annotated[
        str,
        Meta(
            description="Container file that preview sessions may run instead of the published one; read "
            "when a session begins.",
            extra={"metavar": "FILE"},
        ),
    ] = ""
    preview_session_s: Annotated[
        float, Meta(description="Seconds after which a preview session ends.", gt=0.0, le=86_400.0)
    ] = 4 * 3600.0
    preview_bytes: Annotated[
        Count,
        Meta(
            description="Bytes of requests that a worker keeps for each preview session, and for the "
            "look-back; the oldest go first."
        ),
    ] = 8 * _KIB**2
    look_back_percent: Annotated[
        float,
        Meta(
            description="Percent of all requests that are kept in memory, so that the preview can show them "
            "afterwards, personal data masked; 0: none.",
            ge=0.0,
            le=100.0,
        ),
    ] = 0.0
    look_back_requests: Annotated[
        int, Meta(description="How many of them a worker keeps at most.", ge=1, le=5_000)
    ] = 200

    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(
            description="Network (CIDR) of a proxy whose X-Forwarded-* or Forwarded headers are believed.",
            extra={"flag": "--trusted-proxy", "metavar": "CIDR"},
        ),
    ] = ()
    forwarded_header: Annotated[
        ForwardedHeader,
        Meta(
            description="What your proxies write: x-forwarded (X-Forwarded-For, -Host and -Proto, and "
            "Forwarded where there is no X-Forwarded-For), forwarded (only RFC 7239), or the name of the CDN "
            "whose own header holds the address."
        ),
    ] = "x-forwarded"

    proxy_protocol: Annotated[
        bool,
        Meta(
            description="Connections from a trusted proxy begin with a header of the PROXY protocol, version "
            "1 or 2; those that do not are closed."
        ),
    ] = False
    tls_certificates: Annotated[
        tuple[str, ...],
        Meta(
            description="PEM file with a certificate and its chain, leaf first; one for each site. The first "
            "is served to whoever asks for none of their names. Read again when it changes.",
            extra={"flag": "--tls-certificate", "metavar": "FILE"},
        ),
    ] = ()
    tls_keys: Annotated[
        tuple[str, ...],
        Meta(
            description="PEM file with the key of a certificate, in the same order; not needed where "
            "the files of the certificates hold the keys too.",
            extra={"flag": "--tls-key", "metavar": "FILE"},
        ),
    ] = ()
    host_names: Annotated[
        tuple[str, ...],
        Meta(
            description="Host that is served, as shop.example or *.shop.example; a request for another one "
            "is answered 421. Any host unless given.",
            extra={"flag": "--host-name", "metavar": "HOST"},
        ),
    ] = ()
    path_prefix: Annotated[
        str,
        Meta(
            description="Path below which the server is reached, as /metrics-x, whether or not a proxy takes "
            "it off; empty: it has the host to itself.",
            pattern=r"^(/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)*$",
        ),
    ] = ""

    edge: Annotated[
        Literal["on", "off"],
        Meta(
            description="on: plain requests for paths that a client names are answered by the compiled way, "
            "all others by aiohttp; off: all by aiohttp. The answers are the same."
        ),
    ] = "on"
    egress_allow: Annotated[
        tuple[str, ...],
        Meta(
            description="Destination of your own that may be private and have any port: a network (CIDR), "
            "a host, or hosts as *.internal.example.",
            extra={"metavar": "CIDR|HOST"},
        ),
    ] = ()
    egress_proxy: Annotated[
        str,
        Meta(
            description="Proxy through which everything is sent, as http://proxy.internal:3128 (CONNECT for "
            "https); it looks up names and decides where they lead. Empty: none.",
            pattern=r"^(http://([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?)?$",
        ),
    ] = ""
    egress_sources: Annotated[
        tuple[str, ...],
        Meta(
            description="Address of this machine that everything is sent from: one of IPv4, one of IPv6, or "
            "both; a kind without one is not used.",
            extra={"flag": "--egress-source", "metavar": "ADDRESS"},
        ),
    ] = ()
    sender: Annotated[
        Literal["lean", "pooled"],
        Meta(
            description="What sends to vendors: lean (connections of our own on the event loop) or pooled "
            "(the client of aiohttp, which takes several times the CPU)."
        ),
    ] = "lean"
    hit_requests: Annotated[
        Limit,
        Meta(
            description="Outgoing requests that one hit may cause: the events of a batch (25 at most) times "
            "the tags that each fires; 0: no limit."
        ),
    ] = 250
    hit_bytes: Annotated[
        Limit, Meta(description="Bytes of outgoing addresses and bodies that one hit may cause; 0: no limit.")
    ] = 1024 * _KIB
    template_steps: Annotated[
        Count,
        Meta(
            description="Statements, calls and turns of loops that one run of a gallery template may take; "
            "docs/templates.md says what each limit counts."
        ),
    ] = 1_000_000
    template_cpu_ms: Annotated[
        Count,
        Meta(
            description="Milliseconds of the processor that one run of a gallery template may take; "
            "looked at about every 1,000 steps."
        ),
    ] = 50
    template_call_depth: Annotated[
        Count, Meta(description="Functions of a template that may call one another.", le=1_000)
    ] = 200
    template_text_length: Annotated[Count, Meta(description="Characters of one text of a template.")] = (
        1024 * _KIB
    )
    template_text_total: Annotated[
        Count, Meta(description="Characters of all texts that one run of a template makes.")
    ] = 16 * 1024 * _KIB
    template_elements: Annotated[
        Count, Meta(description="Members of all lists and objects that one run of a template makes.")
    ] = 100_000
    template_pending_promises: Annotated[
        Count, Meta(description="Promises of one run of a template that wait at a time.")
    ] = 100
    template_log_lines: Annotated[
        Count, Meta(description="Lines that one run of a template may write to its console.")
    ] = 100
    template_http_calls: Annotated[
        Count, Meta(description="Requests that one run of a template may send.")
    ] = 50
    template_storage_bytes: Annotated[
        Count, Meta(description="Bytes that a template may keep in each worker (templateDataStorage).")
    ] = 1024 * _KIB
    template_wall_s: Annotated[
        float,
        Meta(description="Seconds over which one run of a template may wait for answers.", gt=0.0, le=300.0),
    ] = 20.0
    google_project: Annotated[
        str,
        Meta(
            description="Google Cloud project of templates that name none; empty: GOOGLE_CLOUD_PROJECT.",
            pattern=r"^[A-Za-z0-9:.-]*$",
        ),
    ] = ""
    google_credentials_file: Annotated[
        str,
        Meta(
            description="Key file (JSON) of the service account as which templates use Google's services; "
            "empty: GOOGLE_APPLICATION_CREDENTIALS. Needs `sgtm[google]`."
        ),
    ] = ""
    credentials: Annotated[
        str,
        Meta(
            description="JSON file of keys that templates sign with (hmacSha256), as "
            '{"keys": {"id": "base64"}}; the ids that one may use stand in its permissions.',
            extra={"metavar": "FILE"},
        ),
    ] = ""
    firestore_url: Annotated[
        str, Meta(description="Where templates find Firestore, as an emulator's address.", pattern=_ORIGIN)
    ] = "https://firestore.googleapis.com"
    bigquery_url: Annotated[
        str, Meta(description="Where templates find BigQuery, as an emulator's address.", pattern=_ORIGIN)
    ] = "https://bigquery.googleapis.com"
    analytics_url: Annotated[
        str,
        Meta(
            description="Where templates send events to Google Analytics, as "
            "https://region1.google-analytics.com.",
            pattern=_ORIGIN,
        ),
    ] = "https://www.google-analytics.com"
    airgapped: Annotated[
        bool,
        Meta(description="Connect to nothing but what the container names and what --egress-allow lists."),
    ] = False

    geo_database: Annotated[
        str,
        Meta(
            description="File in MaxMind's format (.mmdb) that tells variables where a visitor is if no "
            "header of a trusted proxy does; needs `sgtm[geo]`."
        ),
    ] = ""

    request_line_bytes: Annotated[Count, Meta(description="Longest request target.")] = 8 * _KIB
    collect_line_bytes: Annotated[
        Count, Meta(description="Longest request target on paths that a client of the container names.")
    ] = 16 * _KIB
    header_bytes: Annotated[Count, Meta(description="Longest single header.")] = 8 * _KIB
    headers_bytes: Annotated[Count, Meta(description="All headers of one request together.")] = 32 * _KIB
    header_count: Annotated[Count, Meta(description="Headers of one request.")] = 100
    body_bytes: Annotated[Count, Meta(description="Largest request body.")] = 1024 * _KIB
    collect_body_bytes: Annotated[
        Count, Meta(description="Largest request body where browsers send hits (as /g/collect).")
    ] = 128 * _KIB
    unpacked_bytes: Annotated[
        Count,
        Meta(
            description="Largest body that is packed (gzip, deflate, br), once unpacked; where browsers send "
            "hits the lower of this and --collect-body-bytes."
        ),
    ] = 4 * _KIB**2
    unpacked_ratio: Annotated[
        Count,
        Meta(description="How many times its size a packed body may unpack to, from 64 KiB on."),
    ] = 100
    memory_bytes: Annotated[
        Limit,
        Meta(
            description="Memory of one worker; 0: its share of what the cgroup (systemd, Docker, Kubernetes) "
            "allows, or no limit."
        ),
    ] = 0
    memory_soft_percent: Annotated[
        int,
        Meta(
            description="Percent of it from which caches are given up, idle connections closed, and only "
            "hits of browsers taken.",
            ge=1,
            le=100,
        ),
    ] = 80
    memory_hard_percent: Annotated[
        int,
        Meta(
            description="Percent of it from which nothing is taken and the worker is not ready.", ge=1, le=100
        ),
    ] = 90
    head_timeout_s: Annotated[
        Seconds, Meta(description="Seconds for request line and headers, from their first byte; 0: no limit.")
    ] = 10.0
    tls_handshake_timeout_s: Annotated[
        float, Meta(description="Seconds for a TLS handshake.", gt=0.0, le=3600.0)
    ] = 10.0
    connection_beginnings: Annotated[
        Count,
        Meta(
            description="Connections of one worker that are in their TLS handshake or PROXY header; of one "
            "address no more than --connections-per-address."
        ),
    ] = 1000
    body_timeout_s: Annotated[
        Seconds, Meta(description="Seconds for a request body, and one more for each 16 KiB of it.")
    ] = 10.0
    body_grace_s: Annotated[
        Seconds, Meta(description="Seconds after which a body must have come at --body-rate-bytes.")
    ] = 5.0
    body_rate_bytes: Annotated[
        Limit, Meta(description="Bytes a second at which a body must come, on average; 0: no limit.")
    ] = _KIB
    write_timeout_s: Annotated[
        Seconds, Meta(description="Seconds in which the peer must read some of its answer; 0: no limit.")
    ] = 10.0
    keepalive_s: Annotated[
        Seconds,
        Meta(description="Seconds an idle connection is kept; behind a balancer longer than the balancer's."),
    ] = 75.0
    connection_age_s: Annotated[
        Seconds,
        Meta(description="Seconds, give or take 10 %, after which a connection ends; 0: no limit."),
    ] = 3600.0
    connection_requests: Annotated[
        Limit, Meta(description="Requests after which a connection ends; 0: no limit.")
    ] = 10_000
    connections: Annotated[
        Count,
        Meta(description="Connections of one worker, at most 80 % of its open files (ulimit -n)."),
    ] = 10_000
    connections_per_address: Annotated[
        Limit,
        Meta(
            description="Connections from one IPv4 address or IPv6 /64, unless it is a trusted proxy; "
            "0: no limit."
        ),
    ] = 200
    request_rate: Annotated[
        Limit,
        Meta(
            description="Requests a second from one network (IPv4 /24, IPv6 /64), but hits of browsers; "
            "beyond that 429. This and the other rates are those of one worker. 0: no limit."
        ),
    ] = 0
    collect_rate: Annotated[
        Limit,
        Meta(
            description="The same for hits of browsers (as /g/collect); beyond that 204, and the hit is "
            "dropped. 0: no limit."
        ),
    ] = 0
    client_id_rate: Annotated[
        Limit, Meta(description="Hits a second with the same client id in the query; 0: no limit.")
    ] = 0
    measurement_id_rate: Annotated[
        Limit, Meta(description="Hits a second with the same measurement id in the query; 0: no limit.")
    ] = 0
    path_rate: Annotated[
        Limit,
        Meta(
            description="Requests a second on one path; paths that no client names count as one. 0: no limit."
        ),
    ] = 0
    rate_burst: Annotated[
        Count,
        Meta(description="Requests at once before a rate counts; at least the requests of one second."),
    ] = 400
    rate_mode: Annotated[
        Literal["enforce", "observe"],
        Meta(description="observe: count in sgtm_rates_exceeded_total what a rate would stop; stop nothing."),
    ] = "enforce"

    drain_delay_s: Annotated[
        Seconds,
        Meta(description="Seconds between SIGTERM (not ready any more) and the end of accepting; Ctrl-C: 0."),
    ] = 5.0
    drain_timeout_s: Annotated[
        Seconds, Meta(description="Seconds for requests under way at shutdown, and again for deliveries.")
    ] = 10.0

    outbox: Annotated[
        Literal["memory", "sqlite", "nats"],
        Meta(
            description="Where records of hits are kept until they are delivered: memory (lost with the "
            "process), sqlite (survives it, and a power cut) or nats (a JetStream stream, for many machines; "
            "needs `sgtm[nats]` and `sgtm outbox init`)."
        ),
    ] = "sqlite"
    role: Annotated[
        Literal["all", "collect", "deliver"],
        Meta(
            description="With nats: collect (claim, answer and append hits), deliver (run the tags of what "
            "was appended; serves nothing but health), or all (both)."
        ),
    ] = "all"
    nats_urls: Annotated[
        tuple[str, ...],
        Meta(
            description="Server of the broker, as nats://10.0.0.5:4222 or tls://...; several of one cluster.",
            extra={"flag": "--nats-url", "metavar": "URL"},
        ),
    ] = ("nats://127.0.0.1:4222",)
    nats_stream: Annotated[
        str, Meta(description="Stream that holds the records.", pattern=r"^[A-Za-z0-9_-]{1,32}$")
    ] = "sgtm"
    nats_credentials_file: Annotated[
        str, Meta(description="File of NATS credentials (a JWT and its seed) to connect with.")
    ] = ""
    nats_user: Annotated[str, Meta(description="User of the broker, with --nats-password-file.")] = ""
    nats_password_file: Annotated[
        str, Meta(description="File that holds the user's password; read again at each connection.")
    ] = ""
    nats_tls_ca: Annotated[
        str, Meta(description="PEM file of an authority that is trusted for the broker besides the system's.")
    ] = ""
    nats_tls_certificate: Annotated[
        str, Meta(description="PEM file of a certificate (and key) that the broker knows us by.")
    ] = ""
    nats_monitoring_urls: Annotated[
        tuple[str, ...],
        Meta(
            description="Monitoring address of each server of the broker, as http://10.0.0.5:8222: it says "
            "when they sync.",
            extra={"flag": "--nats-monitoring-url", "metavar": "URL"},
        ),
    ] = ()
    require_durable: Annotated[
        bool, Meta(description="Refuse to start if what is acknowledged would not survive a power cut.")
    ] = False
    outbox_disk_bytes: Annotated[
        Count, Meta(description="Bytes that the outbox of one worker takes on its disk at most.")
    ] = 16 * _KIB**3
    outbox_on_fuse: Annotated[
        bool, Meta(description="Trust the locks and syncs of a FUSE file system below the data folder.")
    ] = False
    outbox_records: Annotated[Count, Meta(description="Records that the outbox in memory holds at most.")] = (
        100_000
    )
    outbox_bytes: Annotated[Count, Meta(description="Bytes that the outbox in memory holds at most.")] = (
        256 * _KIB**2
    )

    archive: Annotated[
        str,
        Meta(
            description="How long records are kept after they are delivered, to be run again: `7d`, `36h`; "
            "empty: not at all.",
            pattern=r"^([0-9]+(\.[0-9]+)?[smhd])?$",
        ),
    ] = ""
    archive_bytes: Annotated[
        Count, Meta(description="Bytes of these records that a worker keeps at most, compressed.")
    ] = 16 * _KIB**3
    letter_count: Annotated[
        Count, Meta(description="Dead letters of each kind (delivery, build) that a worker keeps at most.")
    ] = 100_000
    letter_bytes: Annotated[
        Count,
        Meta(description="Bytes of them; at most a tenth of the outbox's, and 64 MB where that is memory."),
    ] = 256 * _KIB**2
    letter_days: Annotated[
        float, Meta(description="Days after which a dead letter is deleted.", gt=0.0, le=3650.0)
    ] = 30.0

    context_entries: Annotated[
        Count,
        Meta(
            description="Keys of visitors, orders and waiting events that the context store of a machine "
            "keeps at most; the oldest fall out."
        ),
    ] = 1_000_000
    context_bytes: Annotated[Count, Meta(description="Bytes of them.")] = 512 * _KIB**2
    context_waiting: Annotated[
        Count,
        Meta(
            description="Events of one worker that may wait for their counterpart (`holds:`); one more does "
            "not wait."
        ),
    ] = 10_000

    script_upstream: Annotated[
        str,
        Meta(
            description="Where scripts that are served come from: https, or http on this machine. With "
            "`airgapped` its host must be on `egress_allow`.",
            pattern=r"^(https://[A-Za-z0-9.-]+|http://(localhost|127\.0\.0\.1|\[::1\]))(:[0-9]{1,5})?$",
        ),
    ] = "https://www.googletagmanager.com"
    script_folder: Annotated[
        str, Meta(description="Folder in which copies of scripts survive a restart; empty: memory only.")
    ] = ""
    script_cache_bytes: Annotated[Count, Meta(description="Bytes that copies of scripts take at most.")] = (
        64 * _KIB**2
    )
    script_stale_s: Annotated[
        float,
        Meta(description="Seconds for which an old copy is served while the upstream fails.", ge=0.0),
    ] = 7 * 86_400.0

    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="Least severe line that is logged.")
    ] = "info"
    log_format: Annotated[
        Literal["auto", "json", "text"], Meta(description="auto: text on a terminal, else JSON lines.")
    ] = "auto"
    log_requests: Annotated[
        float,
        Meta(
            description="Share of the requests of which the log tells, with their deliveries: 0 none, 1 all. "
            "Can be changed while it serves (docs/operations.md).",
            ge=0.0,
            le=1.0,
        ),
    ] = 0.0
    trace_endpoint: Annotated[
        str,
        Meta(
            description="Where traces are sent, as http://127.0.0.1:4318/v1/traces (OTLP over HTTP; needs "
            "`sgtm[otel]`); empty: there are none.",
            pattern=r"^(https?://[^/\s]+(/\S*)?)?$",
        ),
    ] = ""
    trace_share: Annotated[
        float, Meta(description="Share of the requests that have a trace.", ge=0.0, le=1.0)
    ] = 0.01
    trace_parents: Annotated[
        bool,
        Meta(
            description="Believe `traceparent` of trusted proxies: their traces go on here, and they say "
            "which requests have one."
        ),
    ] = False
