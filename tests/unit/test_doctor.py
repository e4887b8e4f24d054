"""The doctor's checks, one by one."""

import socket

import httpx
import pytest

from redshank.core.clock import FakeClock
from redshank.core.config import Config
from redshank.core.errors import ConfigError
from redshank.services import doctor


def test_a_sound_configuration_is_examined_in_full(tmp_path):
    config = Config(data_dir=tmp_path, port=0)
    findings = list(doctor.examine(config, FakeClock(), lambda _: None))
    assert [finding.name for finding in findings][:4] == [
        "Python",
        "platform",
        "detection kernels",
        "data folder",
    ]
    assert all(f.advice for f in findings if f.ok is False)


def test_a_port_in_use_says_so():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        finding = doctor.port("127.0.0.1", number)
    assert not finding.ok
    assert "--port" in finding.advice


def test_a_data_folder_that_cannot_be_written_says_where(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    finding = doctor.writable(tmp_path / "file" / "data")
    assert not finding.ok
    assert str(tmp_path / "file") in finding.detail


@pytest.mark.parametrize(("kind", "ok"), [("ext4", True), ("nfs4", False), ("cifs", False)])
def test_network_file_systems_are_no_place_for_the_store(tmp_path, kind, ok):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/root / ext4 rw 0 0\nserver:/x {tmp_path} {kind} rw 0 0\n")
    finding = doctor.file_system(tmp_path / "not" / "there", mounts)
    assert (finding.detail, finding.ok) == (kind, ok)


def test_a_clock_that_was_never_set_is_found():
    assert not doctor.wall_clock(FakeClock(0)).ok


def test_a_damaged_store_says_what_is_wrong():
    finding = doctor.store(Config(), lambda _: "it is damaged")
    assert (finding.ok, finding.detail) == (False, "it is damaged")


@pytest.mark.parametrize(("status", "ok"), [(200, True), (404, False)])
def test_a_box_that_is_followed_must_be_known(monkeypatch, status, ok):
    monkeypatch.setattr(httpx, "get", lambda url, timeout: httpx.Response(status))
    assert doctor.reachable("http://127.0.0.1:1", "5eba5fbad46fb8001b799786").ok is ok


def test_a_server_that_does_not_answer_is_told():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.getsockname()[1]
    finding = doctor.reachable(f"http://127.0.0.1:{number}", "x")
    assert not finding.ok
    assert "REDSHANK_OPENSENSEMAP_URL" in finding.advice


def test_a_wrong_configuration_is_a_finding_too():
    def load():
        raise ConfigError("port = 'x' cannot be used")

    config, finding = doctor.configuration(load)
    assert config is None
    assert not finding.ok
