"""SPEC: sandbox-api 5.6, 5.10.2 (K7, K8, K16); ga4-protocol 5.1."""

from tests.container.google.exports import boolean, said, table, template, translated


def client(type_, *parameters, **more):
    return {"name": "C", "type": type_, "parameter": list(parameters), **more}


def read(written, **lists):
    """The client, and what was said of it."""
    translation = translated(client=[written], **lists)
    of_it = [remark for remark in said(translation) if remark.startswith('client "C"')]
    return translation.document.data["clients"][0], of_it


def test_the_ga4_client_keeps_what_the_world_sees_of_it():
    # SPEC: design.md, Decisions (answer 200, 400 days)
    written = client(
        "gaaw_client",
        boolean("activateGtagSupport", True),
        table("gtagMeasurementIds", {"measurementId": "{{Id}}"}, {"measurementId": "{{Nowhere}}"}),
        template("cookieManagement", "server"),
        template("cookieName", "{{Id}}"),
        template("cookieMaxAgeInSec", "63072000"),
        template("cookieSamesite", "none"),
        priority=100,
    )
    constant = {"name": "Id", "type": "c", "parameter": [template("value", "G-A1")]}
    found, remarks = read(written, variable=[constant])
    assert found == {
        "name": "C",
        "type": "ga4",
        "priority": 100,
        "parameters": {
            "answer": 200,
            "gtag_ids": ["G-A1"],
            "cookie_management": "server",
            "cookie_name": "G-A1",
            "cookie_same_site": "None",
            "cookie_max_age_s": 34_560_000,
        },
    }
    assert remarks[0] == "client \"C\": '{{Nowhere}}' gives no id: nothing is served for it"
    assert "its cookies live 63072000 seconds" in remarks[1]


def test_constants_in_a_circle_are_no_value():
    pair = [
        {"name": one, "type": "c", "parameter": [template("value", f"{{{{{other}}}}}")]}
        for one, other in ("AB", "BA")
    ]
    _, remarks = read(client("gaaw_client", template("cookieName", "{{A}}")), variable=pair)
    assert "its setting `cookieName` comes from {{A}}, which is no constant: it is left out" in remarks[0]


def test_what_differs_in_serving_scripts_is_reported_where_scripts_are_served():
    switch = boolean("activateGeoResolution", True)
    assert read(client("gaaw_client", switch))[1] == []
    _, remarks = read(client("gtm_client", table("allowedContainerIds", {"containerId": "GTM-A"}), switch))
    assert len(remarks) == 1
    assert "without the visitor's region" in remarks[0]


def test_further_scripts_are_served_at_the_hosts_that_the_file_names():
    # SPEC: sandbox-api 5.1 (taggingServerUrls), 5.10.2 (K20: it may be missing)
    ids = table("allowedContainerIds", {"containerId": "GTM-A"})
    written = client(
        "gtm_client",
        ids,
        boolean("activateDependencyServing", True),
        boolean("activateResponseCompression", False),
    )
    found, remarks = read(
        written, container={"taggingServerUrls": ["https://SST.shop.example/", "", "b.example:8443"]}
    )
    assert found["parameters"]["dependency_hosts"] == ["sst.shop.example", "b.example:8443"]
    assert (found["parameters"]["compress"], remarks) == (False, [])
    found, remarks = read(written)
    assert "dependency_hosts" not in found["parameters"]
    assert "the file does not name this server" in remarks[0]


def test_a_client_without_any_path_is_paused():
    found, remarks = read(client("gaaw_client", boolean("activateDefaultPaths", False)))
    assert found["is_paused"] is True
    assert "has no path that it could claim" in remarks[0]
    gtag = [boolean("activateGtagSupport", True), table("gtagMeasurementIds", {"measurementId": "G-1"})]
    found, _ = read(client("gaaw_client", boolean("activateDefaultPaths", False), *gtag))
    assert (found["parameters"]["paths"], found.get("is_paused")) == ([], None)


def test_the_web_container_client_serves_its_containers():
    ids = table("allowedContainerIds", {"containerId": "GTM-A", "path": "/a.js"}, {"containerId": "GTM-B"})
    assert read(client("gtm_client", ids, boolean("isPathMandatory", True)))[0]["parameters"] == {
        "allowed_container_ids": ["GTM-A", "GTM-B"],
        "container_paths": {"GTM-A": "/a.js"},
        "is_path_mandatory": True,
    }


def test_the_measurement_protocol_client_keeps_its_path():
    found, _ = read(client("mpaw_client", template("activationPath", "/in")))
    assert found["parameters"] == {"status": 200, "activation_path": "/in"}
