"""Who may import whom, read from the source: no arrow points up, and there is no circle.

core <- detect <- {pipeline, models} <- services <- wiring <- cli; adapters see the core only.
"""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
PACKAGE = SOURCE / "redshank"
ALLOWED = {
    "core": set(),
    "detect": {"core"},
    "pipeline": {"core", "detect"},
    "models": {"core", "detect"},
    "adapters": {"core"},
    "services": {"core", "detect", "pipeline", "models"},
    "checks": {"core", "detect", "pipeline", "models"},
    "wiring": {"core", "detect", "pipeline", "models", "adapters", "services"},
    "fetching": {"core", "wiring"},
    "__init__": {"core"},
    "cli": {"core", "models", "services", "wiring"},
}
FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {path: ".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in FILES}
NAMES = set(MODULES.values())


def imports(path):
    """Modules of ours that a file imports, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            if node.module and node.module.split(".")[0] == "redshank":
                yield from (resolved(f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            ours = (alias.name for alias in node.names)
            yield from (resolved(name) for name in ours if name.split(".")[0] == "redshank")


def resolved(name):
    """The module that a dotted name lies in."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        for module in (".".join(parts[:end]), ".".join([*parts[:end], "__init__"])):
            if module in NAMES:
                return module
    raise AssertionError(f"{name} is imported and does not exist")


def layer(module):
    return module.split(".")[1]


def technology(module):
    """An adapter and its own helpers: the part below ``adapters.<seam>``."""
    return module.split(".")[2:4]


@pytest.mark.parametrize("path", FILES, ids=lambda path: MODULES[path])
def test_no_arrow_points_up(path):
    own = layer(MODULES[path])
    for target in imports(path):
        if layer(target) in ("__init__", own):
            continue
        assert layer(target) in ALLOWED[own], f"{MODULES[path]} must not import {target}"


def test_adapters_never_import_one_another():
    for path, module in MODULES.items():
        if layer(module) != "adapters":
            continue
        for target in imports(path):
            if layer(target) == "adapters":
                assert technology(target) == technology(module), f"{module} imports {target}"


def test_only_the_wiring_names_concrete_adapters():
    for path, module in MODULES.items():
        if any(layer(target) == "adapters" for target in imports(path)):
            assert layer(module) in ("wiring", "adapters"), module


def test_there_is_no_circle():
    graph = {module: set(imports(path)) - {module} for path, module in MODULES.items()}
    done = set()

    def visit(module, way):
        assert module not in way, " -> ".join([*way[way.index(module) :], module])
        if module not in done:
            for target in sorted(graph[module]):
                visit(target, [*way, module])
            done.add(module)

    for module in sorted(graph):
        visit(module, [])


def test_every_layer_is_known():
    found = {layer(module) for module in NAMES} - {"__init__"}
    assert found <= set(ALLOWED) | {"page", "demo"}
