"""A dry run tells what a server would do."""

from corridor import REQUEST, claim, make_client, make_container, make_tag, send_one

from sgtm.dry_run import dry_run
from sgtm.settings import Settings


def test_a_hit_may_cause_as_much_as_at_a_server_and_no_more():
    most = Settings().hit_requests
    for count, warnings in ((most, []), (most + 1, ["not sent: the hit had caused as much as one may"])):
        tag = make_tag(lambda event, count=count: send_one(event) * count)
        walk = dry_run(make_container([make_client(lambda r: claim("e"))], [tag]), REQUEST)
        (walked,) = walk.events[0].tags
        assert (len(walked.deliveries), walked.warnings) == (most, warnings)
