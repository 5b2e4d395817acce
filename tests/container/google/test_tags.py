"""SPEC: sandbox-api 5.2, 5.3, 5.7, 5.10.2."""

import pytest

from tests.container.google.exports import boolean, said, table, template, translated


def tag(**more):
    return {"tagId": "1", "name": "Tag", "type": "sgtmgaaw", **more}


def read(*tags, **lists):
    """The first tag, and what was said."""
    translation = translated(tag=list(tags), **lists)
    return translation.document.data["tags"][0], [one for one in said(translation) if "no trigger" not in one]


def test_all_that_a_tag_may_say():
    # SPEC: sandbox-api 5.3, 5.10.2 (K13 to K15), 5.10.4 (A17)
    written = tag(
        paused=True,
        liveOnly=True,
        priority={"type": "INTEGER", "value": "-7"},
        tagFiringOption="ONCE_PER_LOAD",
        scheduleStartMs="1750000000000",
        scheduleEndMs="1750000000500",
        setupTag=[{"tagName": "Other", "stopOnSetupFailure": True}, {"tagName": "Third"}],
        teardownTag=[{"tagName": "Other"}],
        consentSettings={
            "consentStatus": "NEEDED",
            "consentType": {"type": "LIST", "list": [{"type": "TEMPLATE", "value": "ad_storage"}]},
        },
    )
    found, remarks = read(written, tag(name="Other"))
    assert found == {
        "name": "Tag",
        "type": "ga4",
        "consent": ["ad_storage"],
        "is_paused": True,
        "priority": -7,
        "firing_option": "once_per_load",
        "is_live_only": True,
        "schedule": {"start": "2025-06-15T15:06:40Z", "end": "2025-06-15T15:06:40.500Z"},
        "setup_tag": {"tag": "Other", "stop_on_failure": True},
        "cleanup_tag": {"tag": "Other"},
    }
    assert 'tag "Tag": has 2 tags in `setupTag`: the first one runs, as in the reference' in remarks


@pytest.mark.parametrize(("status", "consent"), [("NOT_NEEDED", []), ("notNeeded", []), ("NOT_SET", None)])
def test_consent_settings_of_a_tag(status, consent):
    assert read(tag(consentSettings={"consentStatus": status}))[0].get("consent") == consent


def test_consent_that_no_hit_tells_is_reported():
    written = {"type": "LIST", "list": [{"type": "TEMPLATE", "value": "personalization_storage"}]}
    found, remarks = read(tag(consentSettings={"consentStatus": "NEEDED", "consentType": written}))
    assert found["consent"] == []
    assert "needs consent to personalization_storage, which no hit tells a server" in remarks[0]


def test_the_ga4_tag_keeps_all_of_its_settings():
    # SPEC: sandbox-api 5.3 (sgtmgaaw), 5.10.2 (K1)
    parameters = [
        template("measurementId", "{{Id}}"),
        template("eventName", "{{Event Name}}"),
        boolean("redactVisitorIp", True),
        boolean("enableEuid", True),
        template("epToIncludeDropdown", "none"),
        template("upToIncludeDropdown", "all"),
        table("eventParameters", {"fieldName": "a", "value": "{{A}}"}),
        table("userProperties", {"fieldName": "b", "value": "2"}),
        table("epToExclude", {"fieldName": "c"}),
        table("upToExclude", {"fieldName": "d"}),
    ]
    assert read(tag(parameter=parameters))[0]["parameters"] == {
        "measurement_id": "{{Id}}",
        "event_name": "{{Event Name}}",
        "redact_visitor_ip": True,
        "include_event_parameters": "none",
        "exclude_event_parameters": ["c"],
        "event_parameters": {"a": "{{A}}"},
        "exclude_user_properties": ["d"],
        "user_properties": {"b": "2"},
    }


@pytest.mark.parametrize(
    ("type_", "what"),
    [
        ("sgtmadsct", "Google Ads conversion (sgtmadsct) has no component here yet: it never fires"),
        ("ga4", "'ga4' is no type of Google's: it never fires"),
        ("sgtmnew", "nobody knows the type sgtmnew: it never fires"),
        ("cvt_GONE1", "its template cvt_GONE1 is not in the file: it never fires"),
    ],
)
def test_a_tag_of_no_component_is_kept_and_reported(type_, what):
    found, remarks = read(tag(type=type_, parameter=[template("conversionId", "1"), boolean("rdp", False)]))
    assert found["parameters"] == {"conversionId": "1", "rdp": False}
    assert found["type"] == ("google_ga4" if type_ == "ga4" else type_)
    assert remarks[0] == f'tag "Tag": {what}'


def test_a_setting_that_means_nothing_here_is_reported_unless_it_is_off():
    parameters = [template("new", "x"), boolean("newer", False), template("newest", "")]
    found, remarks = read(tag(parameter=parameters))
    assert "parameters" not in found
    assert remarks[0] == 'tag "Tag": its setting `new` means nothing to ga4: it is left out'


def test_a_tag_that_nothing_fires_is_reported_unless_it_runs_for_another():
    # SPEC: sandbox-api 5.10.3.3
    tags = [
        tag(),
        tag(name="First"),
        tag(name="Main", firingTriggerId=["2147479574"], setupTag=[{"tagName": "First"}]),
    ]
    remarks = [one for one in said(translated(tag=tags)) if "no trigger" in one]
    assert remarks == ['tag "Tag": has no trigger that fires it: it never fires by itself']


def test_a_neighbour_that_is_not_there_is_left_out():
    found, remarks = read(tag(setupTag=[{"tagName": "Gone"}]))
    assert "setup_tag" not in found
    assert 'names tag "Gone" in `setupTag`, which is not in the file: it runs without it' in remarks[0]
    found, remarks = read(tag(setupTag=[{"tagName": "Gone", "stopOnSetupFailure": True}]))
    assert found["setup_tag"] == {"tag": "Gone", "stop_on_failure": True}
    assert "which is not in the file: it never fires, as it must not without" in remarks[0]


def test_parameters_of_a_template_instance_keep_their_types():
    # SPEC: sandbox-api 5.2, 5.10.2 (K9 to K11), 5.10.4 (A4)
    parameters = [
        {"type": "INTEGER", "key": "number", "value": "200"},
        {"type": "INTEGER", "key": "reference", "value": "{{N}}"},
        {"type": "BOOLEAN", "key": "chosen", "value": "{{B}}"},
        {"type": "TEMPLATE", "key": "empty"},
        {"type": "LIST", "key": "none"},
        {"type": "LIST", "key": "texts", "list": [{"type": "TEMPLATE", "value": "a"}, {"type": "TEMPLATE"}]},
        {"type": "MAP", "key": "map", "map": [template("k", "v"), boolean("b", True)]},
        {"type": "TAG_REFERENCE", "key": "tag", "value": "Other", "isWeakReference": False},
    ]
    found, _ = read(tag(type="cvt_7_2", parameter=parameters), customTemplate=[{"templateId": "2"}])
    assert found["parameters"] == {
        "number": 200,
        "reference": "{{N}}",
        "chosen": "{{B}}",
        "empty": "",
        "none": [],
        "texts": ["a", ""],
        "map": {"k": "v", "b": True},
        "tag": "Other",
    }


def test_a_template_is_found_under_both_forms_of_its_type():
    # SPEC: sandbox-api 5.7, 5.10.2 (K19): older imports have no galleryTemplateId; authors change ids
    gallery = {"owner": "o", "repository": "r", "version": "v", "galleryTemplateId": "AB1CD"}
    translation = translated(
        customTemplate=[
            {"templateId": "2", "name": "New", "templateData": "${code}", "galleryReference": gallery},
            {"templateId": "3", "name": "Old", "galleryReference": {"owner": "o", "repository": "q"}},
        ],
        variable=[
            {"name": type_, "type": type_} for type_ in ("cvt_7_2", "cvt_AB1CD", "cvt_999_3", "cvt_XXXXX")
        ],
    )
    new, old = translation.document.data["custom_templates"]
    assert new == {"name": "New", "types": ["cvt_7_2", "cvt_AB1CD"], "gallery": "o/r@v", "source": "$${code}"}
    assert old["types"] == ["cvt_7_3", "cvt_999_3"]
    gone = [remark for remark in said(translation) if "is not in the file" in remark]
    assert gone == ['variable "cvt_XXXXX": its template cvt_XXXXX is not in the file: it is undefined']
