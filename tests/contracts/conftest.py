"""What strangers use, installed once: Node packages, pinned by their lock file."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "node"
VENV = Path(__file__).parents[2] / ".venv"
AWAY = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "network", "E50")
PATIENCE_SECONDS = 240


@pytest.fixture(scope="session")
def node() -> Path:
    """A folder where Node finds the packages of `node/package.json`; without Node or a registry, tests are skipped."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("there is no node with npm on this machine")
    lock = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder = VENV / f"node-{lock}"
    if not folder.exists():
        VENV.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=VENV, ignore_cleanup_errors=True) as temporary:
            made = Path(temporary) / "made"
            shutil.copytree(HERE, made, ignore=shutil.ignore_patterns("node_modules"))
            _install(made)
            if not folder.exists():  # else another process was faster
                os.replace(made, folder)  # noqa: PTH105 - onto what may have come meanwhile it fails, as it should
    return folder


def _install(folder: Path) -> None:
    done = subprocess.run(
        ["npm", "ci"], cwd=folder, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    if done.returncode and any(word in done.stderr for word in AWAY):
        pytest.skip(f"npm's registry does not answer: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
