"""Every door answers as its own OpenAPI says it does, whatever it is asked; what it is asked is made up from that."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.topics import SERVICES
from tests.journeys import Journey

REQUESTS = int(os.environ.get("REQUESTS", "0"))
"""So many each door gets at least; 0 is a few for each operation, beside those that its schema's edges ask for."""

FEW = 3
SEED = os.environ.get("SEED", "7")
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def key(journey: Journey, service: str) -> str:
    """The key of somebody who may enter; the operator's would change what the other journeys stand on."""
    if service == "intake":
        return str(journey.doors.key("partners", "liege-calls"))
    if service == "review":
        return str(journey.doors.key("reviewers", "rita"))
    return str(journey.doors.key("catalogue" if service == "catalogue" else "service_desk"))


def examples(schema: dict[str, Any]) -> int:
    """How many requests to make up for each operation; one that takes nothing can be asked in one way only."""
    operations = [each for path in schema["paths"].values() for each in path.values() if isinstance(each, dict)]
    varied = [each for each in operations if each.get("parameters") or each.get("requestBody")]
    return max(FEW, math.ceil(REQUESTS / len(varied)))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("service", SERVICES)
def test_no_door_fails_or_answers_what_it_does_not_document(journey: Journey, service: str, tmp_path: Path) -> None:
    url = f"{journey.doors.url(service)}/openapi.json"
    each = str(examples(httpx.get(url).json()))
    played = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            *("run", url, "--no-color"),
            *("-H", f"Authorization: Bearer {key(journey, service)}"),
            *("--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "-n", each, "--seed", SEED),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert played.returncode == 0, played.stdout[-8000:]
    told = played.stdout[played.stdout.index("Test cases:") :].splitlines()[1].strip()
    print(service, told)  # noqa: T201 - shown with -s
    assert int(told.split()[0]) >= REQUESTS
