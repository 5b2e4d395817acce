"""What `sgtm check` says about a web container client; what it serves stands in the golden cases."""

from sgtm.clients import ga4
from sgtm.clients.web_container import check


def said(**parameters):
    return [(problem.severity, problem.what) for problem in check(parameters, "client")]


def said_of_ga4(**parameters):
    return [(problem.severity, problem.what) for problem in ga4.check(parameters, "client")]


def test_a_container_with_a_path_must_be_one_that_is_served():
    paths = {"GTM-A": "/a.js", "GTM-B": "/b.js"}
    ((severity, what),) = said(allowed_container_ids=["GTM-A"], container_paths=paths)
    assert severity == "error"
    assert what.startswith("GTM-B ")


def test_no_path_is_used_twice():
    ids = ["GTM-A", "GTM-B"]
    assert said(allowed_container_ids=ids, container_paths={"GTM-A": "/gtm.js"}) == [
        ("error", "'/gtm.js' is used twice")
    ]
    assert said(allowed_container_ids=ids, container_paths={"GTM-A": "/a.js", "GTM-B": "/b.js"}) == []
    assert said(allowed_container_ids=ids, frame_path="/gtm.js") == [("error", "'/gtm.js' is used twice")]


def test_a_mandatory_path_that_nobody_has_is_said():
    ((severity, _),) = said(allowed_container_ids=["GTM-A"], is_path_mandatory=True)
    assert severity == "warning"


def test_what_is_not_supported_of_an_export_is_said():
    # the settings activateGeoResolution and region of Google's clients (sandbox-api 5.6)
    for written in ({"geo_resolution": True, "region": "AT"}, {"region": "AT"}):
        ((severity, what),) = said(allowed_container_ids=["GTM-A"], **written)
        assert severity == "warning"
        assert what.startswith("no visitor's region is written into scripts")
        assert said_of_ga4(gtag_ids=["G-A"], **written) == [(severity, what)]
    assert said(allowed_container_ids=["GTM-A"], geo_resolution=False) == []


def test_a_host_for_dependencies_of_nothing_is_said():
    hosts = {"dependency_hosts": ["sst.example"]}
    ((severity, what),) = said_of_ga4(**hosts)
    assert (severity, what) == ("warning", "this client serves no scripts, so nothing is loaded from there")
    assert said_of_ga4(gtag_ids=["G-A"], **hosts) == said(allowed_container_ids=["GTM-A"], **hosts) == []
