"""A step whose code changed since its VERSION was last raised is named, with what to do."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.steps import versions
from tests.steps.versions import ROOT, Code, Recorded, problem, recorded

CODE = Code()

STEP = '''"""A step."""

from okla_assets.imaging import edges
from okla_assets.steps.pictures import read
from okla_assets.tables import Row

VERSION = "3"


@dg.asset(code_version=VERSION, description="Outlines.")
def outlines(context: object, store: object) -> None:
    """Draws them."""
    read()
    _one()


def _one():
    from okla_assets.imaging.matte import cut

    return cut(edges.widened(2))
'''
EDGES = '''"""Edges."""

WIDTH: int = 2  # pixels


def widened(by: int) -> int:
    """Wider."""
    # by a width
    return by + WIDTH


def unused():
    return 1
'''
FILES = {
    "assets/outlines.py": STEP,
    "assets/shared.py": "def of_all():\n    return 1\n",
    "steps/pictures.py": "from okla_assets.steps.batches import loop\ndef read(): loop()\n",
    "steps/batches.py": "def loop():\n    return 1\n",
    "steps/upload_facts.py": 'VERSION = "1"\ndef of():\n    return 1\n',
    "imaging/__init__.py": "",
    "imaging/edges.py": EDGES,
    "imaging/matte/__init__.py": "from okla_assets.imaging.matte.cutout import cut\n",
    "imaging/matte/cutout.py": "def cut(x):\n    return f'{x!r:>{3}}' + 'a' 'b'\n",
    "imaging/matte/templates/one.toml": "a = 1\n",
    "imaging/promo/__init__.py": "",
    "imaging/promo/templates/one.toml": "a = 1\n",
    "tables.py": "class Row:\n    pass\n",
}


@pytest.mark.parametrize("step", CODE.steps())
def test_code_is_what_it_was_when_its_version_was_raised(step: str) -> None:
    what_to_do = problem(step, CODE, recorded())
    assert not what_to_do, what_to_do


def test_nothing_is_recorded_that_is_no_step() -> None:
    assert recorded().keys() == CODE.steps().keys()


def test_every_resource_that_uses_imaging_says_for_which_step() -> None:
    """Code that only a model or decoder uses would change unseen."""
    resources = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / "resources").rglob("*.py")
    }
    using = {r for r in resources if any(name != r for name, _ in CODE.reached(r))}
    assert using == versions.THROUGH_RESOURCES.keys()
    assert set().union(*versions.THROUGH_RESOURCES.values()) <= CODE.steps().keys()


def test_what_is_left_out_is_there() -> None:
    assert [name for name in versions.NOT_FOLLOWED if CODE.module(name) is None] == []


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A step and what it uses."""
    monkeypatch.setattr(versions, "THROUGH_RESOURCES", {})
    for name, text in FILES.items():
        path = tmp_path / "okla_assets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def digest_with(tree: Path, name: str, before: str, after: str) -> str:
    path = tree / "okla_assets" / name
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    return Code(tree).digest("outlines")


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("assets/outlines.py", "widened(2)", "widened(3)"),
        ("imaging/edges.py", "WIDTH: int = 2", "WIDTH: int = 3"),
        ("imaging/edges.py", "by + WIDTH", "by - WIDTH"),
        ("imaging/matte/cutout.py", ">{3}", ">{4}"),  # used by way of an import inside a function
        ("imaging/matte/templates/one.toml", "1", "2"),
        ("steps/pictures.py", ": loop()", ": loop(1)"),
    ],
)
def test_a_change_of_what_a_step_computes_is_noticed(
    tree: Path, name: str, before: str, after: str
) -> None:
    code = Code(tree)
    record = {"outlines": Recorded("3", code.digest("outlines"))}
    assert problem("outlines", code, record) == ""
    assert digest_with(tree, name, before, after) != record["outlines"].code
    assert problem("outlines", Code(tree), record) == (
        "code of step outlines changed since version 3: if its results change, raise VERSION in "
        "okla_assets/assets/outlines.py; then run `python -m tests.steps.versions` to record"
    )


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("imaging/edges.py", '"""Wider."""', '"""Wider by so much."""'),
        ("imaging/edges.py", '    """Wider."""\n', ""),
        ("imaging/edges.py", "# by a width\n", "# by a width, as everybody knows\n"),
        ("imaging/edges.py", "by + WIDTH", "(\n        by  +  WIDTH\n    )"),
        ("imaging/edges.py", "widened(by: int) -> int", "widened(by: float) -> float"),
        ("imaging/edges.py", "WIDTH: int = 2", "WIDTH = 2"),
        ("imaging/edges.py", "return 1", "return 2"),  # in a function that the step does not use
        ("imaging/edges.py", EDGES, "import os\n" + EDGES),
        ("assets/outlines.py", "Outlines.", "Outlines of the car."),
        ("assets/outlines.py", 'VERSION = "3"', 'VERSION = "4"'),
        ("assets/shared.py", "return 1", "return 2"),
        ("steps/batches.py", "return 1", "return 2"),
        ("imaging/promo/templates/one.toml", "1", "2"),  # of a package that the step does not use
        ("tables.py", "pass", "x = 1"),
    ],
)
def test_a_change_that_decides_nothing_is_not(
    tree: Path, name: str, before: str, after: str
) -> None:
    digest = Code(tree).digest("outlines")
    assert digest_with(tree, name, before, after) == digest


def test_a_definition_may_move(tree: Path) -> None:
    digest = Code(tree).digest("outlines")
    moved = tree / "okla_assets" / "imaging" / "matte" / "cuts.py"
    moved.with_name("cutout.py").rename(moved)
    assert digest_with(tree, "imaging/matte/__init__.py", "cutout", "cuts") == digest


def test_a_raised_version_is_to_be_recorded(tree: Path) -> None:
    record = {"outlines": Recorded("2", Code(tree).digest("outlines"))}
    sentence = "version 3 of step outlines is not recorded; run `python -m tests.steps.versions`"
    assert problem("outlines", Code(tree), record) == sentence
    assert problem("outlines", Code(tree), {}) == sentence


@pytest.mark.parametrize("python", ["python3.12", "python3.13", "python3.14"])
def test_every_version_of_python_writes_a_tree_out_alike(python: str) -> None:
    """On all our source, so that a record made with one holds with another."""
    program = shutil.which(python)
    works = program and not subprocess.run([program, "-c", ""], capture_output=True).returncode
    if not works:
        pytest.skip(f"there is no {python}")
    code = "from tests.steps.versions import *; c = Code(); print([c.digest(s) for s in c.steps()])"
    there = subprocess.run(
        [str(program), "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert there.stdout.strip() == str([CODE.digest(step) for step in CODE.steps()])
