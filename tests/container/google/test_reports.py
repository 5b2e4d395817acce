"""What check says about an export. SPEC: sandbox-api 5.10.3.14 (every report masks secrets)."""

from sgtm.container.check import judge
from sgtm.container.native import read_source
from tests.container.google.exports import boolean, export, table, template

TOKEN = "invented-0123456789abcdef0123456789"


def problems(**lists):
    return judge(read_source(export(**lists), "GTM-A.json", {}))


def test_no_report_shows_a_secret_of_the_export():
    # a constant that holds a token stands where a path belongs, and where an id does
    constant = {"name": "API Token", "type": "c", "parameter": [template("value", TOKEN)]}
    ids = table("allowedContainerIds", {"containerId": "GTM-A", "path": "{{API Token}}"})
    client = {"name": "Loader", "type": "gtm_client", "parameter": [ids, boolean("isPathMandatory", True)]}
    said = [str(problem) for problem in problems(variable=[constant], client=[client])]
    assert any("'${API_TOKEN}' is no path" in one for one in said)
    assert TOKEN not in str(said)


def test_what_cannot_run_is_told_once_with_its_line_and_stops_nothing():
    tag = {"name": "Ads", "type": "sgtmadsct", "firingTriggerId": ["2147479574"]}
    client = {"name": "GA4", "type": "gaaw_client"}
    (problem,) = problems(tag=[tag], client=[client])
    assert problem.severity == "warning"
    assert problem.where == 'GTM-A.json:7: tag "Ads".type'
    assert problem.what == "Google Ads conversion (sgtmadsct) has no component here yet: it never fires"


def test_a_reference_to_what_is_not_in_the_file_is_a_warning():
    # SPEC: sandbox-api 5.10.3.2
    parameters = [template("eventName", "{{Elsewhere}}")]
    tag = {"name": "A", "type": "sgtmgaaw", "firingTriggerId": ["2147479574"], "parameter": parameters}
    found = problems(tag=[tag], client=[{"name": "GA4", "type": "gaaw_client"}])
    assert [(one.severity, one.what) for one in found] == [("warning", "there is no variable 'Elsewhere'")]
