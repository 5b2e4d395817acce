"""sgtm schema"""

import json

from jsonschema import Draft202012Validator

from sgtm.container.schema import container_schema


def test_the_schema_is_printed_as_json(sgtm):
    done = sgtm("schema")
    assert done.returncode == 0
    assert json.loads(done.stdout) == json.loads(json.dumps(container_schema()))


def test_the_schema_of_a_settings_file_knows_both_of_its_parts(sgtm):
    done = sgtm("schema", "--of", "settings")
    assert done.returncode == 0
    schema = json.loads(done.stdout)
    Draft202012Validator.check_schema(schema)
    judge = Draft202012Validator(schema)
    good = {
        "port": 8080,
        "trusted_proxies": ["10.0.0.0/8"],
        "container": {
            "unclaimed_status": 404,
            "consent": {"unset": "denied", "gate": "all"},
            "constants": {"API Token": "${API_TOKEN}"},
            "tags": {"ga4": {"endpoint": "https://proxy.example"}},
        },
    }
    assert list(judge.iter_errors(good)) == []
    for bad in (
        {"prot": 1},
        {"port": 70_000},
        {"settings_file": "sgtm.yaml"},
        {"container": {"tag": {}}},
        {"container": {"consent": {"unset": "maybe"}}},
    ):
        assert not judge.is_valid(bad), bad
