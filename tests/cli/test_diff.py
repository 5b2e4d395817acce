"""sgtm diff"""

import json


def test_differences_are_told_and_the_exit_status_is_1(sgtm, shop, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(
        shop.read_text().replace("name: Orders", "name: Webhooks").replace("priority: 20", "priority: 30")
    )
    done = sgtm("diff", shop, other)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "clients",
        '  - "Orders"',
        '  ~ "GA4"',
        "      priority: 20 -> 30",
        '  + "Webhooks"',
        "1 added, 1 removed, 1 changed",
    ]
    in_json = json.loads(sgtm("diff", shop, other, "--format", "json").stdout)
    assert [(one["kind"], one["name"], one["change"]) for one in in_json] == [
        ("clients", "Orders", "removed"),
        ("clients", "GA4", "changed"),
        ("clients", "Webhooks", "added"),
    ]
    assert in_json[1]["fields"] == [{"field": "priority", "before": 20, "after": 30}]


def test_the_same_is_the_same_and_no_environment_is_needed(sgtm, shop):
    done = sgtm("diff", shop, shop, env={"META_TOKEN": ""})
    assert (done.returncode, done.stdout) == (0, "they mean the same\n")


def test_what_cannot_be_read_is_an_error(sgtm, shop, tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text("sgtm: 1\nclients: 5\n")
    done = sgtm("diff", shop, broken)
    assert done.returncode == 2
    assert "broken.yaml:2: clients: is a number, not a list" in done.stderr
