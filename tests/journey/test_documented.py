"""Every door answers as its own OpenAPI says it does, whatever it is asked; what it is asked is made up from that."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.topics import SERVICES
from tests.journeys import Journey

EXAMPLES = os.environ.get("EXAMPLES", "3")
"""How many requests are made up for each operation, beside those that its schema's edges ask for."""

SEED = os.environ.get("SEED", "7")
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def key(journey: Journey, service: str) -> str:
    """The key of somebody who may enter; the operator's would change what the other journeys stand on."""
    if service == "intake":
        return str(journey.doors.key("partners", "liege-calls"))
    if service == "review":
        return str(journey.doors.key("reviewers", "rita"))
    return str(journey.doors.key("catalogue" if service == "catalogue" else "service_desk"))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("service", SERVICES)
def test_no_door_fails_or_answers_what_it_does_not_document(journey: Journey, service: str, tmp_path: Path) -> None:
    played = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            *("run", f"{journey.doors.url(service)}/openapi.json", "--no-color"),
            *("-H", f"Authorization: Bearer {key(journey, service)}"),
            *("--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "-n", EXAMPLES, "--seed", SEED),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert played.returncode == 0, played.stdout[-8000:]
    print(service, played.stdout[played.stdout.index("Test cases:") :].splitlines()[1].strip())  # noqa: T201 - shown with -s
