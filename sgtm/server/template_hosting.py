"""What templates of a container get from the process that serves it: limits, stores, counters, Google's
services and the account that they use, keys to sign with."""

import os
import time

from sgtm.container.container import Container
from sgtm.delivery.credentials import CredentialSource
from sgtm.delivery.private_keys import PrivateKeys
from sgtm.errors import SettingsError
from sgtm.messages import may_carry_secrets
from sgtm.observability.metrics import Counters
from sgtm.settings import Settings
from sgtm.templates.apis.storage import TemplateStorage
from sgtm.templates.host import Services
from sgtm.templates.limits import template_limits

ACCOUNT = "google_credentials_file"
"""Name of the service account among the credentials: no secret of a container has a name like it."""


class TemplateHosting:
    """One worker's, for all containers that it serves."""

    def __init__(self, settings: Settings, counters: Counters) -> None:
        """Raises SettingsError."""
        self.credentials = account_of(settings)
        """Those of the process, by name."""
        self._limits, self._services = template_limits(settings), services_of(settings)
        self._counters = counters
        self._stores: dict[str, TemplateStorage] = {}

    def host(self, container: Container) -> None:
        """Serve the templates of this container. What they have stored stays when another takes its place."""
        if container.surroundings is not None:
            counters = None if container.is_preview else self._counters
            clock, processor = time.perf_counter, time.thread_time
            container.surroundings.use(self._limits, self._stores, counters, clock, self._services, processor)


def account_of(settings: Settings) -> dict[str, CredentialSource]:
    """The credential of the process's service account, if it has one."""
    path = settings.google_credentials_file or os.environ.get("GOOGLE_APPLICATION_CREDENTIALS", "")
    return {ACCOUNT: CredentialSource(file=path)} if path else {}


def services_of(settings: Settings) -> Services:
    """Services for templates. Raises SettingsError for a file of keys that is none, and for an account whose
    token would be shown in the open."""
    account = account_of(settings)
    for name in ("firestore_url", "bigquery_url") if account else ():
        if not may_carry_secrets(getattr(settings, name)):
            what = "would show the service account's token without encryption"
            raise SettingsError(what, where=name, mend="write https://, or give no google_credentials_file")
    return Services(
        project=settings.google_project or os.environ.get("GOOGLE_CLOUD_PROJECT", ""),
        service_account=ACCOUNT if account else "",
        firestore=settings.firestore_url,
        bigquery=settings.bigquery_url,
        analytics=settings.analytics_url,
        scripts=settings.script_upstream,
        private_key=PrivateKeys(settings.credentials) if settings.credentials else _no_key,
    )


def _no_key(key_id: str) -> None:
    """No file of keys, no key."""
