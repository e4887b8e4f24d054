"""The plugin table: found by name, imported when asked for, and clear about what is missing."""

from importlib.metadata import EntryPoint

import pytest

from redshank.core import plugins
from redshank.core.errors import ConfigError, MissingExtraError


@pytest.fixture
def installed(monkeypatch):
    """Makes these entry points the installed ones: name to target."""

    def install(**targets):
        def entry_points(group, name=None):
            return [
                EntryPoint(key, value, group)
                for key, value in targets.items()
                if name in (None, key)
            ]

        monkeypatch.setattr(plugins, "entry_points", entry_points)

    return install


def test_an_implementation_is_found_by_name(installed):
    installed(ordered="collections:OrderedDict")
    assert plugins.load("redshank.sources", "ordered").__name__ == "OrderedDict"


def test_names_are_sorted_and_nothing_is_imported_for_them(installed):
    installed(b="no_such_module:B", a="no_such_module:A")
    assert plugins.names("redshank.sources") == ("a", "b")


def test_an_unknown_name_hints_at_the_nearest(installed):
    installed(sqlite="sqlite3:Connection")
    with pytest.raises(ConfigError, match="no store is called 'sqlight'; did you mean 'sqlite'"):
        plugins.load("redshank.stores", "sqlight")


def test_a_missing_dependency_says_how_to_install_it(installed, tmp_path, monkeypatch):
    (tmp_path / "needs_kafka.py").write_text("import redshank_no_such_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    installed(kafka="needs_kafka:Bus [kafka]")
    with pytest.raises(MissingExtraError, match=r'pip install "redshank\[kafka\]"'):
        plugins.load("redshank.buses", "kafka")


def test_a_wrong_line_in_the_table_is_not_taken_for_a_missing_extra(installed):
    installed(broken="redshank.no_such_module:Source")
    with pytest.raises(ModuleNotFoundError):
        plugins.load("redshank.sources", "broken")


@pytest.mark.parametrize("group", plugins.GROUPS)
def test_everything_in_the_installed_table_can_be_loaded(group):
    for name in plugins.names(group):
        assert callable(plugins.load(group, name))
