"""SPEC: requirements R183, R360: what counts as a destination that the container names."""

from sgtm.container.destinations import destinations_of
from sgtm.container.model import ContainerVersion, Tag, Variable
from sgtm.container.templates import Templates


def test_destinations_are_the_urls_that_are_written_and_the_hosts_of_the_tags_code():
    model = ContainerVersion(
        variables=(Variable("At", "constant", {"value": "https://constant.example:8443/x"}),),
        tags=(
            Tag("A", "http_request", parameters={"url": "http://own.example:9000/{{Path}}"}),
            Tag("B", "ga4", parameters={"endpoint": "https://proxy.example"}),
            Tag("C", "meta_conversions", is_paused=True, parameters={"endpoint": "https://paused.example"}),
            Tag(
                "D",
                "http_request",
                parameters={"body": {"json": [{"at": "https://nested.example/"}]}, "url": "{{At}}"},
            ),
        ),
    )
    assert destinations_of(model, Templates()) == {
        ("constant.example", 8443),
        ("own.example", 9000),
        ("proxy.example", 443),
        ("nested.example", 443),
        ("www.google-analytics.com", 443),
        ("region1.google-analytics.com", 443),
        ("oauth2.googleapis.com", 443),
    }
