"""The unit file of the examples, judged by systemd's own tool."""

import re
import shlex
import subprocess
from pathlib import Path

from sgtm.cli import make_parser

UNIT = Path(__file__).parents[2] / "examples" / "deploy" / "sgtm.service"


def test_its_exposure_is_as_low_as_it_is_promised() -> None:
    # SPEC: reliability 6, systemd: `systemd-analyze security` <= 2.0
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNIT)]
    judged = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    found = re.search(r"Overall exposure level for sgtm\.service: ([0-9.]+)", judged)
    assert found is not None, judged
    assert float(found[1]) <= 2.0


def test_systemd_knows_all_that_it_says(tmp_path: Path) -> None:
    text = UNIT.read_text().replace("/opt/sgtm/bin/sgtm", "/bin/true")
    copy = tmp_path / "sgtm.service"
    copy.write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", str(copy)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert [line for line in said.stderr.splitlines() if "sgtm.service" in line] == []


def test_it_gives_the_drain_the_time_that_it_takes() -> None:
    (start,) = re.findall(r"^ExecStart=\S+ (.*)$", UNIT.read_text(), re.MULTILINE)
    arguments = make_parser("serve").parse_args(shlex.split(start))
    assert arguments.data_folder == "/var/lib/sgtm"
    (stop_s,) = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.MULTILINE)
    delay_s, drain_s, margin_s = 5, 10, 5  # SPEC: reliability 6: total <= grace - 5 s
    assert int(stop_s) >= delay_s + 2 * drain_s + 2 * margin_s
