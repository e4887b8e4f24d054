"""Commands: what they print, where they write, and how they end."""

import re

import redshank as package


def test_the_version(redshank):
    answer = redshank("--version")
    assert (answer.status, answer.out) == (0, f"redshank {package.__version__}\n")


def test_the_main_commands_are_there(redshank):
    listed = re.findall(r"^  (\w+)  +\w", redshank("--help").out, re.MULTILINE)
    assert set(listed) >= {
        "run", "replay", "simulate", "send", "score", "evaluate", "doctor", "migrate", "config",
    }  # fmt: skip


def test_wrong_usage_ends_with_2(redshank):
    assert redshank("no-such-command").status == 2
    assert redshank("score").status == 2
    assert redshank("run", "--demo", "--box", "x").status == 2


# --- config --------------------------------------------------------------------------------------


def test_config_show_masks_secrets_and_names_origins(redshank):
    env = {"REDSHANK_API_KEY": "a long secret", "REDSHANK_PORT": "8010"}
    answer = redshank("config", "show", "--json", env=env)
    assert answer.json["api_key"]["value"] == "********"
    assert answer.json["port"] == {"value": 8010, "origin": "REDSHANK_PORT in the environment"}
    table = redshank("config", "show", env=env)
    assert "a long secret" not in table.out + answer.out
    assert re.search(r"port +8010 +REDSHANK_PORT in the environment", table.out)


def test_config_check_tells_sound_from_unsound(redshank):
    assert redshank("config", "check").status == 0
    answer = redshank("config", "check", env={"REDSHANK_PROT": "1"})
    assert answer.status == 3
    assert "did you mean 'REDSHANK_PORT'" in answer.err


def test_a_wrong_setting_ends_a_command_with_2_and_one_line(redshank):
    answer = redshank("migrate", env={"REDSHANK_PORT": "many"})
    assert answer.status == 2
    assert answer.err.startswith("error: port = 'many' (REDSHANK_PORT in the environment)")
    assert len(answer.err.splitlines()) == 1


def test_run_refuses_to_bind_off_loopback_without_a_key(redshank):
    answer = redshank("run", "--host", "0.0.0.0", "--no-open")
    assert answer.status == 2
    assert "set REDSHANK_API_KEY" in answer.err


# --- score ---------------------------------------------------------------------------------------


def test_score_writes_a_row_for_each_row(redshank, readings, tmp_path):
    answer = redshank("score", readings, "--train-rows", "600", "-o", "scored.csv")
    assert answer.status == 0, answer.err
    lines = (tmp_path / "scored.csv").read_text().splitlines()
    assert len(lines) == 1 + 24 * 60
    assert lines[0] == (
        "timestamp,score,rate,tail_probability,threshold,is_anomaly,"
        "contribution_temperature,contribution_humidity"
    )
    assert "of 1,440 rows are anomalous (temperature, humidity)" in answer.out


def test_score_as_json_says_what_was_found(redshank, readings):
    answer = redshank("score", readings, "-o", "scored.parquet", "--alarm-budget", "3", "--json")
    assert answer.json["rows"] == 24 * 60
    assert answer.json["channels"] == ["temperature", "humidity"]
    assert answer.json["anomalous_rows"] > 0


def test_score_of_a_missing_file_is_one_clear_line(redshank):
    answer = redshank("score", "nowhere.csv", "-o", "out.csv")
    assert answer.status == 1
    assert answer.err.splitlines()[-1].startswith("error: nowhere.csv")


def test_progress_goes_to_standard_error_as_plain_lines(redshank, readings):
    answer = redshank("score", readings, "-o", "scored.csv")
    assert "scoring greenhouse.csv 100%" in answer.err
    assert "%" not in answer.out
    assert "\x1b" not in answer.err + answer.out


# --- replay --------------------------------------------------------------------------------------


def test_replay_stores_the_readings_and_tells_incidents(redshank, readings):
    answer = redshank("replay", readings, "--data", "store")
    assert answer.status == 0, answer.err
    assert re.search(r"greenhouse: temperature .*°C.* \(\w+, ", answer.out)
    assert re.search(
        r"1,440 readings of 1 sensor from 31 Jan 2026 to 31 Jan 2026: \d+ inc", answer.out
    )


def test_replay_twice_stores_once(redshank, readings):
    first = redshank("replay", readings, "--data", "store", "--json").json
    again = redshank("replay", readings, "--data", "store", "--json").json
    assert (first["stored"], again["stored"]) == (24 * 60, 0)
    assert first["incidents"] == again["incidents"]
    assert first["incidents"][0]["sensor_id"] == "greenhouse"


# --- migrate, doctor -----------------------------------------------------------------------------


def test_migrate_makes_a_store_and_finds_it_up_to_date_afterwards(redshank):
    assert redshank("migrate", "--data", "store", "--json").json["migrations"]
    assert redshank("migrate", "--data", "store", "--json").json["migrations"] == []


def test_doctor_finds_a_sound_installation_sound(redshank):
    answer = redshank("doctor", "--port", "0", "--json")
    assert answer.status == 0, answer.out
    assert {finding["name"]: finding["ok"] for finding in answer.json}["detection kernels"]


def test_doctor_shows_marks_and_the_next_step(redshank, tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "redshank.sqlite").write_bytes(b"this is no database" * 100)
    answer = redshank("doctor", "--port", "0", "--data", "store")
    assert answer.status == 3
    assert re.search(r"✓ +Python", answer.out)
    assert re.search(r"✗ +store .*restore a backup", answer.out)
