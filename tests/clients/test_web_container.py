"""What `sgtm check` says about a web container client; what it serves stands in the golden cases."""

from sgtm.clients.web_container import check


def said(**parameters):
    return [(problem.severity, problem.what) for problem in check(parameters, "client")]


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
