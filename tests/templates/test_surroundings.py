"""What the templates of one request share."""

import gc

from template_hosts import with_request

from sgtm.messages import NO_REQUEST
from sgtm.templates.host import ContainerFacts, Response
from sgtm.templates.surroundings import Surroundings


def test_runs_of_one_request_share_an_answer_and_nothing_stays_of_it():
    around = Surroundings(ContainerFacts("GTM-X", "1"))
    one, same = with_request(), with_request()
    around.shared(one).response.status = 201
    assert around.shared(one).response.status == 201
    assert around.shared(same).response.status == 0, "an equal request is another one"
    del one, same
    gc.collect()
    assert around._shared == {}


def test_events_without_a_request_share_nothing():
    around = Surroundings(ContainerFacts("GTM-X", "1"))
    assert around.shared(NO_REQUEST) is not around.shared(NO_REQUEST)
    assert around.said(NO_REQUEST) == Response()
