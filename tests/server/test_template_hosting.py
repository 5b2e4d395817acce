"""What the settings say of services for templates."""

import pytest
from msgspec.structs import replace

from sgtm.delivery.credentials import CredentialSource
from sgtm.errors import SettingsError
from sgtm.server.template_hosting import ACCOUNT, account_of, services_of
from sgtm.settings import Settings


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("GOOGLE_CLOUD_PROJECT", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)


def test_settings_win_over_googles_own_variables(monkeypatch):
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "theirs")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/theirs.json")
    assert services_of(Settings()).project == "theirs"
    assert account_of(Settings()) == {ACCOUNT: CredentialSource(file="/theirs.json")}
    ours = Settings(google_project="ours", google_credentials_file="/ours.json")
    assert services_of(ours).project == "ours"
    assert account_of(ours) == {ACCOUNT: CredentialSource(file="/ours.json")}
    assert services_of(ours).service_account == ACCOUNT


def test_without_an_account_nothing_is_shown_and_emulators_may_speak_plain_http():
    services = services_of(Settings(firestore_url="http://firestore:8080"))
    assert (services.service_account, services.firestore) == ("", "http://firestore:8080")
    assert services.private_key("any") is None


def test_an_account_is_never_shown_in_the_open():
    with_account = Settings(google_credentials_file="/a.json", bigquery_url="http://bigquery:9050")
    with pytest.raises(SettingsError, match="without encryption"):
        services_of(with_account)
    services_of(replace(with_account, bigquery_url="http://127.0.0.1:9050"))
