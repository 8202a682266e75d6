"""The code that decides a step's results, as one digest; `python -m tests.steps.versions` records.

A step's digests hold its hand-kept VERSION, so that a change of its code that changes results must
raise it. What counts is what the step reaches by name: its own module's definitions, and of the
rooms in `FOLLOWED` every function, class and constant that these use, imports inside functions
included; and the data files beside them. Comments, docstrings, annotations, formatting and the
place of a definition do not count.

The syntax tree is written out here because `ast.dump` and `ast.unparse` differ between versions of
Python.
"""

import ast
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECORD = Path(__file__).with_suffix(".json")
COMMAND = "python -m tests.steps.versions"

ASSETS = Path("okla_assets", "assets")
FOLLOWED = tuple(f"okla_assets.{room}." for room in ("imaging", "steps", "assets", "viewer"))
NOT_FOLLOWED = (
    "okla_assets.imaging.types",
    "okla_assets.steps.batches",
    "okla_assets.steps.costs",
    "okla_assets.steps.metadata",
    "okla_assets.steps.pipeline",
    "okla_assets.steps.step_cache",
    "okla_assets.steps.upload_facts",
)
"""They decide what is computed when and how it is shown in Dagster, not what comes out."""

THROUGH_RESOURCES: Mapping[str, tuple[str, ...]] = {
    "resources.decoding.decode_worker": ("raw_photos",),
    "resources.decoding.photo_decoder": ("raw_photos",),
    "resources.decoding.video_reader": ("walkaround_frames",),
    "resources.decoding.video_worker": ("walkaround_frames",),
    "resources.decoding.moviepy_encoder": ("promo_video",),
    "resources.decoding.worker_process": ("raw_photos", "walkaround_frames"),
    "resources.fonts": ("promo_video",),
    "resources.models.centerface": ("license_plates",),
    "resources.models.fused_matte": ("masks",),
    "resources.models.main_vehicle": (),  # of the trainer
    "resources.models.mask_rcnn": ("masks",),
    "resources.models.plates_onnx": ("license_plates", "composites"),
    "resources.models.propagated_matte": ("masks",),
    "resources.models.sam2_torch": ("masks",),
    "resources.models.sam2_video": ("masks",),
    "resources.models.text_plates": ("license_plates", "composites"),
    "resources.models.u2net_onnx": ("masks",),
}
"""Resources that use imaging, and the steps whose results that code decides.

A resource's own code is what its fingerprint stands for.
"""

_IGNORED = {"ctx", "kind", "type_comment", "type_ignores", "type_params", "annotation", "returns"}
_IMPORTED_BY_NAME = re.compile(r"okla_assets(\.\w+)+:\w+")
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def written_out(node: object) -> str:
    """The syntax tree as text that is the same on every version of Python."""
    if isinstance(node, list):
        return "[" + ",".join(written_out(item) for item in node if not _is_noise(item)) + "]"
    if not isinstance(node, ast.AST):
        return ascii(node)
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        node = ast.Assign(targets=[node.target], value=node.value)
    fields = (
        f"{name}={written_out(value)}"
        for name, value in sorted(ast.iter_fields(node))
        if name not in _IGNORED and value is not None and value != []
    )
    return f"{type(node).__name__}({','.join(fields)})"


def _is_noise(node: object) -> bool:
    """Docstrings and imports, and what is said to Dagster alone: decorators, metadata."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return isinstance(node.value.value, str)
    if isinstance(node, ast.Call):
        return _is_noise(node.func)
    if isinstance(node, ast.Attribute):
        return _is_noise(node.value) or (isinstance(node.value, ast.Name) and node.value.id == "dg")
    return isinstance(node, ast.Import | ast.ImportFrom)


def _names(node: ast.AST) -> Iterator[tuple[str, ...]]:
    """Dotted names that the code uses, and functions that it has another process import."""
    if isinstance(node, ast.Name):
        yield (node.id,)
    elif isinstance(node, ast.Attribute):
        parts, base = [node.attr], node.value
        while isinstance(base, ast.Attribute):
            parts.insert(0, base.attr)
            base = base.value
        if isinstance(base, ast.Name):
            yield (base.id, *parts)
        else:
            yield from _names(base)
    elif isinstance(node, ast.Constant) and _IMPORTED_BY_NAME.fullmatch(str(node.value)):
        yield tuple(re.split("[.:]", str(node.value)))
    else:
        for name, value in ast.iter_fields(node):
            for child in value if isinstance(value, list) else [value]:
                if name not in _IGNORED and isinstance(child, ast.AST) and not _is_noise(child):
                    yield from _names(child)


def _imports(node: ast.AST) -> dict[str, tuple[str, ...]]:
    """Dotted path by the name that an import binds to it."""
    found: dict[str, tuple[str, ...]] = {}
    for each in ast.walk(node):
        if isinstance(each, ast.Import):
            for alias in each.names:
                path = tuple(alias.name.split("."))
                found[alias.asname or path[0]] = path if alias.asname else path[:1]
        elif isinstance(each, ast.ImportFrom):
            path = tuple((each.module or "").split("."))
            found |= {alias.asname or alias.name: (*path, alias.name) for alias in each.names}
    return found


def _bound(statement: ast.stmt) -> set[str]:
    """Names that a statement at the top of a module defines."""
    if isinstance(statement, _DEFINITIONS):
        return {statement.name}
    inside = list(ast.walk(statement))
    stored = {n.id for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return stored | {n.name for n in inside if isinstance(n, _DEFINITIONS)}


@dataclass(frozen=True)
class Module:
    """One source file: its definitions, and what its imports mean."""

    path: Path

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_bytes())

    @cached_property
    def imports(self) -> dict[str, tuple[str, ...]]:
        return _imports(self.tree)

    @cached_property
    def definitions(self) -> dict[str, ast.stmt]:
        found = {name: s for s in self.tree.body if not _is_noise(s) for name in _bound(s)}
        found.pop("VERSION", None)
        return found

    @property
    def version(self) -> str | None:
        for statement in self.tree.body:
            if isinstance(statement, ast.Assign) and _bound(statement) == {"VERSION"}:
                return str(ast.literal_eval(statement.value))
        return None

    @property
    def data_files(self) -> Iterator[Path]:
        """What lies beside it, and in folders there of the same package, and is no source."""
        package = self.path.parent
        for path in package.rglob("*"):
            between = path.relative_to(package).parents[:-1]
            beside = not any((package / folder / "__init__.py").exists() for folder in between)
            if path.is_file() and beside and path.suffix not in (".py", ".pyc"):
                yield path


Definition = tuple[str, str]
"""Module and name."""


class Code:
    """The source below a folder."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        self._modules: dict[str, Module | None] = {}

    def module(self, name: str) -> Module | None:
        """The module of this dotted name; None for what is not ours."""
        if name not in self._modules:
            path = self.root.joinpath(*name.split("."))
            files = (path.with_suffix(".py"), path / "__init__.py")
            self._modules[name] = next((Module(file) for file in files if file.is_file()), None)
        return self._modules[name]

    def steps(self) -> dict[str, str]:
        """Module by step."""
        modules = [f"okla_assets.assets.{p.stem}" for p in (self.root / ASSETS).glob("*.py")]
        modules.append("okla_assets.steps.upload_facts")
        found = {name.rpartition(".")[2]: name for name in sorted(modules)}
        return {step: name for step, name in found.items() if self.version(name) is not None}

    def version(self, name: str) -> str | None:
        """The module's VERSION."""
        module = self.module(name)
        return None if module is None else module.version

    def digest(self, step: str) -> str:
        """Of all code that decides the step's results."""
        found = self.reached(self.steps()[step])
        for resource, steps in THROUGH_RESOURCES.items():
            if step in steps:
                found |= {d for d in self.reached(resource) if d[0] != resource}
        texts, files = set[str](), set[Path]()
        for name, definition in found:
            module = self.module(name)
            assert module is not None
            texts.add(written_out(module.definitions[definition]))
            files.update(module.data_files)
        texts.update(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
        return hashlib.sha256("\n".join(sorted(texts)).encode()).hexdigest()[:16]

    def reached(self, start: str) -> set[Definition]:
        """All definitions of a module, and all in the followed rooms that these use."""
        waiting, found = list(self._all(start)), set[Definition]()
        while waiting:
            at = waiting.pop()
            if at not in found and (at[0] == start or _is_followed(at[0])):
                found.add(at)
                waiting += self._used(*at)
        return found

    def _all(self, name: str) -> Iterator[Definition]:
        module = self.module(name)
        assert module is not None, f"there is no module {name}"
        yield from ((name, definition) for definition in module.definitions)

    def _used(self, name: str, definition: str) -> Iterator[Definition]:
        module = self.module(name)
        assert module is not None
        node = module.definitions[definition]
        imported_inside = _imports(node)
        for head, *rest in _names(node):
            if head in imported_inside:
                yield from self._absolute((*imported_inside[head], *rest))
            elif head == "okla_assets":
                yield from self._absolute((head, *rest))
            else:
                yield from self._within(name, (head, *rest))

    def _within(self, name: str, path: tuple[str, ...]) -> Iterator[Definition]:
        """What a dotted name means inside a module; nothing for a local name or a builtin."""
        module = self.module(name)
        assert module is not None
        if path[0] in module.definitions:
            yield name, path[0]
        elif path[0] in module.imports:
            yield from self._absolute((*module.imports[path[0]], *path[1:]))

    def _absolute(self, path: tuple[str, ...]) -> Iterator[Definition]:
        for length in range(len(path), 0, -1):
            name = ".".join(path[:length])
            if self.module(name) is not None:
                yield from self._within(name, path[length:]) if path[length:] else self._all(name)
                return


def _is_followed(name: str) -> bool:
    return f"{name}.".startswith(FOLLOWED) and name not in NOT_FOLLOWED


@dataclass(frozen=True)
class Recorded:
    """What a step's code was when its VERSION was last raised."""

    version: str
    code: str


def recorded() -> dict[str, Recorded]:
    """The committed record, by step."""
    return {step: Recorded(**entry) for step, entry in json.loads(RECORD.read_text()).items()}


def problem(step: str, code: Code, record: Mapping[str, Recorded]) -> str:
    """What to do about a step whose code is not the one recorded; empty where it is."""
    name = code.steps()[step]
    version, known = str(code.version(name)), record.get(step)
    if known == Recorded(version, code.digest(step)):
        return ""
    if known is None or known.version != version:
        return f"version {version} of step {step} is not recorded; run `{COMMAND}`"
    return (
        f"code of step {step} changed since version {version}: if its results change, raise "
        f"VERSION in {name.replace('.', '/')}.py; then run `{COMMAND}` to record"
    )


def main() -> None:
    """Records every step's code."""
    code, before = Code(), recorded() if RECORD.exists() else {}
    now = {step: Recorded(str(code.version(name)), code.digest(step)) for step, name in
           code.steps().items()}  # fmt: skip
    RECORD.write_text(json.dumps({s: vars(now[s]) for s in sorted(now)}, indent=2) + "\n")
    for step in sorted(now.keys() | before.keys()):
        if now.get(step) != before.get(step):
            sys.stdout.write(f"{step}: {before.get(step)} -> {now.get(step)}\n")


if __name__ == "__main__":
    main()
