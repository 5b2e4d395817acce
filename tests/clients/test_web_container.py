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


def test_a_host_for_dependencies_of_nothing_is_said():
    hosts = {"dependency_hosts": ["sst.example"]}
    ((severity, what),) = said_of_ga4(**hosts)
    assert (severity, what) == ("warning", "this client serves no scripts, so nothing is loaded from there")
    assert said_of_ga4(gtag_ids=["G-A"], **hosts) == said(allowed_container_ids=["GTM-A"], **hosts) == []
