"""A Docker engine and our images, made once; without an engine these tests are skipped, and say so."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from testcontainers.core.config import ConnectionMode, testcontainers_config

from services.local.ports import HOST
from tests.containers.fleet import ROOT, TAG, Fleet

ENGINE_SECONDS = 20
BUILD_SECONDS = 900


def no_engine() -> str | None:
    """Why no containers can be run here, if none can."""
    if shutil.which("docker") is None:
        return "no Docker here: there is no command `docker`"
    for what, command in {"engine answers": ["docker", "info"], "compose": ["docker", "compose", "version"]}.items():
        try:
            answer = subprocess.run(command, capture_output=True, timeout=ENGINE_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return f"no Docker here: `{' '.join(command)}` does not end"
        if answer.returncode != 0:
            return f"no Docker here: no {what}"
    return None


@pytest.fixture(scope="session")
def images() -> None:
    """All our images, built from what is here now, under a tag of the tests'."""
    fault = no_engine()
    if fault:
        pytest.skip(fault)
    # Not every machine reaches the registry of its helper image; what is started here is removed here.
    testcontainers_config.ryuk_disabled = True
    # Ports are opened on this machine alone, which may be a container itself.
    testcontainers_config.tc_host_override = HOST
    testcontainers_config.connection_mode_override = ConnectionMode.docker_host
    built = subprocess.run(
        ["docker", "compose", "build"],
        cwd=ROOT,
        env={**os.environ, "TAG": TAG},
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    assert built.returncode == 0, (built.stdout + built.stderr)[-4000:]


@pytest.fixture(scope="session")
def fleet(images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:  # noqa: ARG001 - they are run
    """Everything in containers, with the demo's data."""
    fleet = Fleet(Path(tmp_path_factory.mktemp("fleet")))
    try:
        fleet.start()
        yield fleet
    finally:
        fleet.stop()
