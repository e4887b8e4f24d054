"""The pinned requirements belong to pyproject.toml and can be installed from anywhere."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
GROUPS = PROJECT["dependency-groups"]
WANTED = {
    "run": PROJECT["project"]["dependencies"],
    "bench": PROJECT["project"]["dependencies"]
    + PROJECT["project"]["optional-dependencies"]["bench"],
    **{
        name: GROUPS[name]
        for name in ("test", "fuzz", "fuzzer", "browser", "lint", "build", "compiler")
    },
}


def pins(name):
    """Canonical name to the pinned requirements (one for each range of Python versions)."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
    found = {}
    for line in re.findall(r"^([a-zA-Z0-9][^#\\\n]*)", text, re.MULTILINE):
        pin = Requirement(line.strip())
        found.setdefault(canonicalize_name(pin.name), []).append(pin)
    return found


@pytest.mark.parametrize("name", WANTED)
def test_everything_that_pyproject_asks_for_is_pinned_within_its_limits(name):
    pinned = pins(name)
    for text in WANTED[name]:
        wanted = Requirement(text)
        versions = pinned.get(canonicalize_name(wanted.name))
        assert versions, f"{text} is missing in {name}.txt: run `python3 dev.py lock`"
        for pin in versions:
            (version,) = pin.specifier
            assert version.operator == "=="
            assert wanted.specifier.contains(version.version), f"{pin} is not {text}"


@pytest.mark.parametrize("name", WANTED)
def test_every_pin_has_hashes_and_no_address(name):
    text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
    pinned = [pin for versions in pins(name).values() for pin in versions]
    assert len(re.findall(r"\\\n    --hash=sha256:[0-9a-f]{64}", text)) >= len(pinned)
    assert "://" not in text
    assert "--index-url" not in text
    assert "--find-links" not in text


@pytest.mark.parametrize("name", [name for name in WANTED if name != "run"])
def test_groups_agree_on_the_versions_they_share(name):
    run = pins("run")
    for package, versions in pins(name).items():
        if package in run:
            assert {str(pin.specifier) for pin in versions} <= {
                str(pin.specifier) for pin in run[package]
            }, package


def test_the_build_needs_what_the_build_group_pins():
    build = {canonicalize_name(Requirement(text).name) for text in GROUPS["build"]}
    for text in PROJECT["build-system"]["requires"]:
        assert canonicalize_name(Requirement(text).name) in build


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_there_is_one_version_for_every_supported_python(python):
    for name, versions in pins("run").items():
        fitting = {
            platform: [pin for pin in versions if fits(pin, python, platform)]
            for platform in ("linux", "win32")
        }
        assert max(map(len, fitting.values())) == 1, name


def fits(pin, python, platform):
    environment = {"python_full_version": f"{python}.1", "sys_platform": platform}
    return pin.marker is None or pin.marker.evaluate(environment)


def test_every_package_that_the_code_imports_is_a_dependency():
    owners = packages_distributions()
    declared = {canonicalize_name(Requirement(text).name) for text in WANTED["run"]}
    for path in (ROOT / "src").rglob("*.py"):
        for module in imported(path) - set(sys.stdlib_module_names) - {"redshank"}:
            found = {canonicalize_name(name) for name in owners.get(module, [module])}
            assert found & declared, f"{path.name} imports {module}: add it to the dependencies"


def imported(path):
    """Top-level modules that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
        elif isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
    return names
