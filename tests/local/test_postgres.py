"""Embedded PostgreSQL: a real server that keeps its data, survives a crash and asks everybody for the password."""

import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from services.local.ports import free_port
from services.local.postgres import Postgres, PostgresError
from tests.local.waiting import until


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not pytest's own folder, which every other pytest on the machine closes to the server's user again."""
    path = Path(tempfile.mkdtemp(prefix="asquoted-postgres-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def postgres(folder: Path) -> Iterator[Postgres]:
    server = Postgres(folder)
    server.start()
    yield server
    server.stop()


async def ask(server: Postgres, question: str) -> object:
    connection = await asyncpg.connect(server.url)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def test_is_postgresql_18_that_writes_to_disk(postgres: Postgres) -> None:
    assert str(await ask(postgres, "SHOW server_version")).startswith("18.")
    assert await ask(postgres, "SHOW fsync") == "on"
    assert await ask(postgres, "SHOW server_encoding") == "UTF8"
    assert await ask(postgres, "SHOW max_connections") == "300"
    assert await ask(postgres, "SHOW listen_addresses") == "127.0.0.1"


async def test_takes_settings_but_none_that_loses_what_was_committed(folder: Path) -> None:
    server = Postgres(
        folder, settings={"work_mem": "5MB", "FSYNC": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    )
    server.start()
    try:
        assert await ask(server, "SHOW work_mem") == "5MB"
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            assert await ask(server, f"SHOW {name}") == "on"
    finally:
        server.stop()


async def test_keeps_data_password_and_port_over_a_restart(postgres: Postgres, folder: Path) -> None:
    await ask(postgres, "CREATE TABLE kept AS SELECT 42 AS answer")
    url = postgres.url
    postgres.stop()
    again = Postgres(folder)
    again.start()
    try:
        assert again.url == url
        assert await ask(again, "SELECT answer FROM kept") == 42
    finally:
        again.stop()


async def test_starts_at_once_after_kill_9(postgres: Postgres) -> None:
    await ask(postgres, "CREATE TABLE kept AS SELECT 42 AS answer")
    postgres.kill()
    assert postgres.pid is None
    postgres.start()
    assert await ask(postgres, "SELECT answer FROM kept") == 42


async def test_a_pid_file_with_the_number_of_another_process_is_no_obstacle(postgres: Postgres, folder: Path) -> None:
    postgres.kill()
    other = psutil.Process()
    file = folder / "data" / "postmaster.pid"
    file.write_text("\n".join([str(other.pid), *file.read_text().splitlines()[1:]]))
    postgres.start()
    assert await ask(postgres, "SELECT 1") == 1
    assert other.is_running()


async def test_a_server_that_an_earlier_run_left_is_stopped(postgres: Postgres, folder: Path) -> None:
    left = postgres.pid
    assert left is not None
    again = Postgres(folder)
    again.start()
    try:
        assert again.pid not in {left, None}
        assert await ask(again, "SELECT 1") == 1
    finally:
        again.stop()
    assert postgres.pid is None


async def test_lets_nobody_in_without_the_password(postgres: Postgres, folder: Path) -> None:
    without = postgres.url.replace((folder / "password").read_text(), "guessed")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(without)
    assert stat.S_IMODE((folder / "password").stat().st_mode) == 0o600


def test_half_a_data_folder_is_made_anew(folder: Path) -> None:
    (folder / "data.new").mkdir()
    (folder / "data.new" / "PG_VERSION").write_text("18")
    server = Postgres(folder)
    server.start()
    server.stop()


def test_one_that_cannot_start_says_why(postgres: Postgres, folder: Path) -> None:
    postgres.stop()
    (folder / "data" / "PG_VERSION").write_text("12\n")
    with pytest.raises(PostgresError, match="initialized by PostgreSQL version 12"):
        postgres.start()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start stops what was left")
def test_no_server_runs_on_when_we_are_killed(folder: Path, killed_after: Callable[[str], int]) -> None:
    pid = killed_after(f"""
        from services.local.postgres import Postgres
        postgres = Postgres(Path({str(folder)!r}), port={free_port()})
        postgres.start()
        print(postgres.pid, flush=True)
    """)
    until(lambda: not psutil.pid_exists(pid))
