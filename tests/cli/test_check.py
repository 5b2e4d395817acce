"""sgtm check"""

import json


def test_a_good_container_is_good(sgtm, shop):
    done = sgtm("check", shop)
    assert (done.returncode, done.stdout) == (0, f"{shop}: good\n")


def test_errors_are_explained_with_their_lines_and_the_exit_status_is_2(sgtm, shop):
    shop.write_text(shop.read_text().replace("type: json", "type: jsn").replace("pixel_id", "pixel"))
    done = sgtm("check", "container.yaml")
    assert done.returncode == 2
    lines = done.stdout.splitlines()
    assert lines[:2] == [
        "error: container.yaml:5: client \"Orders\".type: 'jsn' is not a type of client [SG-C007]",
        '    did you mean "json"?',
    ]
    assert lines[-1] == "container.yaml: 2 errors"


def test_warnings_are_shown_and_stop_nothing(sgtm, shop):
    shop.write_text(shop.read_text().replace("priority: 20", "priority: 10"))
    done = sgtm("check", shop)
    assert done.returncode == 0
    assert done.stdout.startswith("warning: ")
    assert done.stdout.endswith(": 1 warning\n")


def test_json_is_for_programs(sgtm, shop):
    assert json.loads(sgtm("check", "--format", "json", shop).stdout) == []
    shop.write_text("sgtm: 3\n")
    done = sgtm("check", "--format", "json", shop)
    assert done.returncode == 2
    (problem,) = json.loads(done.stdout)
    assert set(problem) == {"severity", "what", "where", "mend", "code"}
    assert problem["code"] == "SG-C002"


def test_a_file_that_is_not_there_is_an_error_and_no_traceback(sgtm):
    done = sgtm("check", "nothing.yaml")
    assert done.returncode == 2
    assert done.stdout.startswith("error: nothing.yaml: there is no such file")


def test_the_environment_fills_the_container(sgtm, shop):
    shop.write_text(shop.read_text().replace("${META_TOKEN}", "${SHOP_TOKEN}"))
    assert sgtm("check", shop).returncode == 2
    assert sgtm("check", shop, env={"SHOP_TOKEN": "x"}).returncode == 0
