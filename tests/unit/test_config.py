"""Settings: where they come from, which one wins, and what a mistake is called."""

import pytest
from pydantic import ValidationError

from redshank.core.config import Config, load_config, settings, shown
from redshank.core.errors import ConfigError


def load(folder, environ=None, **overrides):
    return load_config(folder, environ or {}, overrides)


def test_without_any_file_everything_has_its_default(tmp_path):
    loaded = load(tmp_path)
    assert loaded.config == Config()
    assert set(loaded.origins.values()) == {"default"}


def test_settings_cannot_be_changed_afterwards():
    with pytest.raises(ValidationError, match="frozen"):
        Config().port = 1


def test_the_nearer_place_wins(tmp_path):
    (tmp_path / "redshank.toml").write_text('port = 1\nlog_level = "error"\nhost = "::1"\n')
    (tmp_path / ".env").write_text("REDSHANK_PORT=2\nREDSHANK_LOG_LEVEL=warning\n")
    (tmp_path / ".env.development").write_text("REDSHANK_PORT=3\n")
    environ = {"REDSHANK_PORT": "4"}

    assert load(tmp_path, environ, port=5).config.port == 5
    assert load(tmp_path, environ).config.port == 4
    loaded = load(tmp_path)
    assert (loaded.config.port, loaded.config.log_level, loaded.config.host) == (
        3,
        "WARNING",
        "::1",
    )
    assert loaded.origins["port"] == "REDSHANK_PORT in .env.development"
    assert loaded.origins["host"] == "host in redshank.toml"


def test_options_that_were_not_given_do_not_count(tmp_path):
    assert load(tmp_path, {"REDSHANK_PORT": "4"}, port=None).config.port == 4


@pytest.mark.parametrize("place", ["environment", ".env", "redshank.toml", "command line"])
def test_the_environment_file_is_chosen_by_any_place(tmp_path, place):
    (tmp_path / ".env.production").write_text("REDSHANK_PORT=80\n")
    environ, overrides = {}, {}
    if place == "environment":
        environ["REDSHANK_ENVIRONMENT"] = "production"
    elif place == "command line":
        overrides["environment"] = "production"
    elif place == ".env":
        (tmp_path / ".env").write_text("REDSHANK_ENVIRONMENT=production\n")
    else:
        (tmp_path / "redshank.toml").write_text('environment = "production"\n')
    assert load(tmp_path, environ, **overrides).config.port == 80


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"REDSHANK_PROT": "1"}, "REDSHANK_PROT in the environment .*did you mean 'REDSHANK_PORT'"),
        ({"REDSHANK_PORT": "many"}, r"port = 'many' \(REDSHANK_PORT in the environment\)"),
        ({"REDSHANK_PORT": "70000"}, "port = '70000' .*less than or equal to 65535"),
        ({"REDSHANK_ALARM_BUDGET": "0"}, "alarm_budget = '0' .*greater than 0"),
        ({"REDSHANK_ALARM_BUDGET": "inf"}, "alarm_budget = 'inf' .*finite"),
        ({"REDSHANK_LOG_LEVEL": "loud"}, "log_level = 'LOUD' .*'DEBUG'"),
        ({"REDSHANK_MIN_EFFECT": "temperature=-1"}, "min_effect.temperature = '-1'"),
        ({"REDSHANK_ENVIRONMENT": "../x"}, "environment = '../x'"),
        ({"REDSHANK_OPENSENSEMAP_URL": "api.org"}, "opensensemap_url = 'api.org'"),
        ({"REDSHANK_HOST": "0.0.0.0"}, "no API key is set: set REDSHANK_API_KEY"),
        ({"REDSHANK_HOST": "example.org"}, "no API key is set"),
    ],
)
def test_mistakes_name_key_value_and_place(tmp_path, environ, message):
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, environ)


def test_all_mistakes_are_told_at_once(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, {"REDSHANK_PORT": "x", "REDSHANK_COMMIT_READINGS": "0"})
    assert len(str(caught.value).splitlines()) == 2


def test_unknown_keys_of_files_name_the_file(tmp_path):
    (tmp_path / "redshank.toml").write_text("alarm_bugdet = 1\n")
    with pytest.raises(ConfigError, match=r"in redshank\.toml .*did you mean 'alarm_budget'"):
        load(tmp_path)


def test_files_that_cannot_be_parsed_are_named(tmp_path):
    (tmp_path / "redshank.toml").write_text("port = \n")
    with pytest.raises(ConfigError, match=r"redshank\.toml cannot be read"):
        load(tmp_path)


def test_the_founding_names_are_understood_and_the_others_left_alone(tmp_path):
    environ = {
        "LOG_LEVEL": "debug",
        "OPENSENSEMAP_BOX_ID": "5eba5fbad46fb8001b799786",
        "API_KEY": "a long secret",
        "KAFKA_TOPIC": "sensor-data",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:5000",
    }
    config = load(tmp_path, environ).config
    assert config.log_level == "DEBUG"
    assert config.opensensemap_boxes == ("5eba5fbad46fb8001b799786",)
    assert config.api_key.get_secret_value() == "a long secret"


@pytest.mark.parametrize("order", [1, -1])
def test_the_name_with_the_prefix_wins_over_the_plain_one(tmp_path, order):
    pairs = [("LOG_LEVEL", "debug"), ("REDSHANK_LOG_LEVEL", "error")][::order]
    assert load(tmp_path, dict(pairs)).config.log_level == "ERROR"


def test_lists_and_pairs_can_be_written_as_people_write_them(tmp_path):
    environ = {
        "REDSHANK_OPENSENSEMAP_BOXES": "a, b c",
        "REDSHANK_CORS_ORIGINS": '["https://example.org"]',
        "REDSHANK_MIN_EFFECT": "temperature=0.5, humidity=2",
    }
    config = load(tmp_path, environ).config
    assert config.opensensemap_boxes == ("a", "b", "c")
    assert config.cors_origins == ("https://example.org",)
    assert config.min_effect == {"temperature": 0.5, "humidity": 2.0}


def test_an_empty_value_counts_as_not_set(tmp_path):
    environ = {"REDSHANK_PORT": "", "REDSHANK_API_KEY": "", "REDSHANK_RETENTION_DAYS": ""}
    assert load(tmp_path, environ).config == Config()


def test_dollar_signs_in_a_key_stay_what_they_are(tmp_path):
    (tmp_path / ".env").write_text("REDSHANK_API_KEY=pa${HOME}ss-word\n")
    assert load(tmp_path).config.api_key.get_secret_value() == "pa${HOME}ss-word"


def test_secrets_are_never_shown(tmp_path):
    secret = "correct horse battery"
    config = load(tmp_path, {"API_KEY": secret}).config
    assert shown(config)["api_key"] == "********"
    assert secret not in repr(config) + str(shown(config)) + config.model_dump_json()
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, {"API_KEY": "short"})
    assert "short" not in str(caught.value).replace("String should", "")


def test_a_host_off_loopback_is_fine_with_a_key(tmp_path):
    environ = {"REDSHANK_HOST": "0.0.0.0", "REDSHANK_API_KEY": "a long secret"}
    assert load(tmp_path, environ).config.host == "0.0.0.0"


def test_every_setting_says_what_it_means():
    for setting in settings():
        assert setting.description.endswith((".", "`.")), setting.key
