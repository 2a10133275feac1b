"""The house rules that no linter knows."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "deploy/locks").glob("*.txt"))
SERVICES = {"billing", "catalogue", "intake", "notification", "provisioning", "review"}
TOP_LEVEL = {
    *("pyproject.toml", "README.md", "compose.yaml", "services", "contracts", "deploy", "tests"),
    *("Makefile", "LICENSE", "CHANGELOG.md", ".ci", ".gitignore", ".dockerignore"),
}
READ_BY_PEOPLE = {".py", ".html", ".css", ".js", ".mako", ".yaml"}  # schemas, examples and translations are data
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc", "shared", "base", "manager"}
LINES_AT_MOST = 400


def sources(*folders: str) -> list[Path]:
    """Our Python files, relative to the root."""
    return sorted(path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*.py"))


def tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), str(path))


def imported(path: Path) -> Iterator[str]:
    """The packages that a file imports, by their first name."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


def methods_called(path: Path) -> set[str]:
    """The methods that a file calls, with what they are called on: tx.publish."""
    calls = (node.func for node in ast.walk(tree(path)) if isinstance(node, ast.Call))
    return {ast.unparse(function) for function in calls if isinstance(function, ast.Attribute)}


def locked(lock: Path) -> dict[str, str]:
    """The names in a lock file, with their versions."""
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE))


def test_nothing_else_stands_at_the_top_level() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert {line.split("/")[0] for line in tracked.splitlines()} <= TOP_LEVEL


def test_every_module_opens_with_a_sentence() -> None:
    modules = [path for path in sources("contracts", "services") if "migrations" not in path.parts]
    openings = {path: (ast.get_docstring(tree(path)) or "").split("\n\n")[0] for path in modules}
    assert [str(path) for path, opening in openings.items() if not re.search(r"\w.*\.$", opening, re.DOTALL)] == []


def test_no_file_is_longer_than_one_reads() -> None:
    files = [path for folder in ("contracts", "services") for path in (ROOT / folder).rglob("*.*")]
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in files
        if path.suffix in READ_BY_PEOPLE
    }
    assert {path: length for path, length in lengths.items() if length > LINES_AT_MOST} == {}


def test_every_module_has_a_name_that_says_something() -> None:
    modules = sources("contracts", "services", "tests")
    assert [str(path) for path in modules if NAMES_THAT_SAY_NOTHING & {*path.parts, path.stem}] == []


def test_contracts_import_pydantic_and_nothing_else() -> None:
    allowed = {*sys.stdlib_module_names, "contracts", "pydantic"}
    foreign = {str(path): set(imported(path)) - allowed for path in sources("contracts")}
    assert {path: names for path, names in foreign.items() if names} == {}


def test_only_the_chassis_commits_publishes_and_sends() -> None:
    allowed = {"tx.publish", "aiosmtplib.send"}  # decided now, published after the commit; mail is no event
    modules = [path for service in SERVICES for path in sources(f"services/{service}")]
    calls = {f"{path}: {call}" for path in modules for call in methods_called(path) - allowed}
    assert {call for call in calls if call.endswith((".commit", ".publish", ".send"))} == set()


def test_there_is_a_lock_for_everything_one_per_image_and_one_that_all_images_begin_with() -> None:
    assert {lock.stem for lock in LOCKS} == {"all", "bench", "chassis", "local", *SERVICES}


def test_locks_hold_names_versions_hashes_and_markers_only() -> None:
    pin = re.compile(r"[a-z0-9.-]+==\S+( ; [\w.'\" <>=!()]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?")
    odd = {
        f"{lock.name}: {line}"
        for lock in LOCKS
        for line in lock.read_text(encoding="utf-8").splitlines()
        if not pin.fullmatch(line)
    }
    assert odd == set()


def test_the_images_run_the_versions_that_are_tested() -> None:
    tested = locked(ROOT / "deploy/locks/all.txt")
    images = [lock for lock in LOCKS if lock.stem != "bench"]  # which is in no image
    assert {lock.name: dict(locked(lock).items() - tested.items()) for lock in images} == {
        lock.name: {} for lock in images
    }


def test_the_lock_holds_what_the_editable_install_is_built_with() -> None:
    assert "setuptools" in locked(ROOT / "deploy/locks/all.txt")


def test_every_dependency_says_why() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    dependencies = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    unexplained = [
        name
        for name in dependencies
        if len(re.findall(rf'^    "{re.escape(name)}", +# \S', text, re.MULTILINE)) != dependencies.count(name)
    ]
    assert unexplained == []


def test_every_exception_to_a_lint_rule_says_why() -> None:
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    codes = [line for line in lines if re.match(r'    "[A-Z]+\d*",', line)]
    assert codes != []
    assert [line for line in codes if not re.search(r", +# \w", line) and line.strip() != '"ALL",'] == []
