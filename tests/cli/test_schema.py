"""sgtm schema"""

import json

from sgtm.container.schema import container_schema


def test_the_schema_is_printed_as_json(sgtm):
    done = sgtm("schema")
    assert done.returncode == 0
    assert json.loads(done.stdout) == json.loads(json.dumps(container_schema()))
