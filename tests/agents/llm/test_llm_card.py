"""Keys, which are nowhere, and options, which are checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers_llm import KEY, arguments, begun, lines_of
from llm_server import ScriptedServer

from agents.llm import command as llm
from agents.llm.card import CARD_FILE, key_of, slug
from agents.llm.command import LlmRun, LlmSettings, Prices, card_of


def test_the_key_is_nowhere(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The key is sent, and is in no file, output, error or repr, even if the endpoint repeats it."""
    monkeypatch.setenv("MY_KEY", KEY)
    more = ["--api-key-env", "MY_KEY", "--episodes", "1"]
    llm.main(arguments(server, tmp_path / "echo", "echo", *more))
    with pytest.raises(SystemExit) as ended:
        llm.main(arguments(server, tmp_path / "locked", "locked", *more))
    assert "401" in str(ended.value)
    assert KEY in server.keys
    told = str(ended.value) + "".join(capsys.readouterr())
    files = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 5
    run = begun(server, tmp_path / "repr", "talker", KEY)
    for text in [told, *files, repr(run), str(vars(run)), repr(run.card)]:
        assert KEY not in text
    (item,) = lines_of(tmp_path / "echo")
    assert item["messages"][1]["content"] == "Your key is [key], half of a character is ?."
    assert json.loads((tmp_path / "echo" / CARD_FILE).read_text(encoding="utf-8"))["api_key_env"] == "MY_KEY"


def test_keys_come_from_the_environment(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The named variable, or OPENAI_API_KEY, holds the key; without one only another endpoint than OpenAI is played."""
    local, own = card_of(model="x", base_url=server.url), card_of(model="x")
    named = card_of(model="x", base_url=server.url, api_key_env="MY_KEY")
    assert key_of(local) is None
    for card, variable in ((own, "OPENAI_API_KEY"), (named, "MY_KEY")):
        with pytest.raises(ValueError, match=f"api_key_env '{variable}': no such environment variable is set"):
            key_of(card)
    with pytest.raises(ValueError, match="OPENAI_API_KEY"):
        LlmRun.begin(tmp_path, own)
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("MY_KEY", "another-key")
    found = [key_of(card) for card in (local, own, named)]
    assert [key.get_secret_value() for key in found if key] == [KEY, KEY, "another-key"]
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n")
    with pytest.raises(ValueError, match="the key holds a blank or another character that no key has") as refused:
        key_of(own)
    assert KEY not in str(refused.value)


def test_a_key_among_the_settings_is_refused(server: ScriptedServer, tmp_path: Path) -> None:
    """Settings are stored, so that a key in them is turned down before anything is written."""
    for options in ({"extra": {"api_key": KEY}}, {"name": f"x {KEY}"}):
        with pytest.raises(ValueError, match="the key is also in the settings, which are stored") as refused:
            begun(server, tmp_path / "run", "talker", KEY, **options)
        assert KEY not in str(refused.value)
    for url in (f"http://me:{KEY}@127.0.0.1/v1", f"http://127.0.0.1/v1?key={KEY}"):
        with pytest.raises(ValueError, match="base_url: holds a user name, a query or a fragment") as refused:
            card_of(model="x", base_url=url)
        assert "sk-" not in str(refused.value)
        with pytest.raises(ValueError, match="base_url") as refused:
            LlmSettings(model="x", base_url=url)
        assert "sk-" not in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Model and base URL come from the environment where no option says otherwise."""
    with pytest.raises(ValueError, match="model is missing; give the option or set OPENAI_MODEL"):
        card_of()
    monkeypatch.setenv("OPENAI_MODEL", "some/model:7b")
    assert card_of().settings.base_url == "https://api.openai.com/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1/")
    card = card_of()
    assert (card.settings.model, card.settings.base_url) == ("some/model:7b", "http://127.0.0.1:11434/v1")
    assert (card.name, slug(card.name), slug("../..")) == ("some/model:7b", "some-model-7b", "model")
    assert card_of(model="other", base_url="https://example.org/v1").settings.model == "other"


def test_prices_give_a_cost() -> None:
    """Tokens at so much a million, cached ones at their own price or at that of input."""
    assert Prices(input=2.0, output=8.0).of(1_000_000, 400_000, 500_000) == pytest.approx(6.0)
    assert Prices(input=2.0, output=8.0, cached=0.5).of(1_000_000, 400_000, 500_000) == pytest.approx(5.4)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"max_turns": 0}, "max_turns: Input should be greater than or equal to 1, given 0"),
        ({"max_turns": 1.5}, "max_turns: Input should be a valid integer, given 1.5"),
        ({"retries": -1}, "retries: Input should be greater than or equal to 0, given -1"),
        ({"request_seconds": 0}, "request_seconds: Input should be greater than 0, given 0"),
        ({"episode_seconds": float("inf")}, "episode_seconds: Input should be a finite number, given inf"),
        ({"temperature": 3}, "temperature: Input should be less than or equal to 2, given 3"),
        ({"parallel": 0}, "parallel: Input should be greater than or equal to 1, given 0"),
        (
            {"tokens_field": "tokens"},
            "tokens_field: Input should be 'max_tokens' or .*, given 'tokens'",
        ),
        ({"api_key_env": "MY KEY"}, "api_key_env: String should match .*, given 'MY KEY'"),
        ({"base_url": "127.0.0.1:80"}, "base_url: '127.0.0.1:80' is not of the form http"),
        ({"base_url": "http://a:port/v1"}, "base_url: 'http://a:port/v1' is not of the form http"),
        ({"base_url": "http:///v1"}, "base_url: 'http:///v1' is not of the form http"),
        ({"extra": {"model": "other"}}, "extra: 'model' cannot be given here"),
        ({"prices": {"input": 1.0, "output": None}}, "prices.output: Input should be a valid number, given None"),
        (
            {"prices": {"input": -1.0, "output": 1.0}},
            "prices.input: .* greater than or equal to 0, given -1.0",
        ),
        ({"wings": 2}, "unknown key 'wings'; allowed: .*'max_turns'"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], told: str) -> None:
    """Each error names the option, its value and what is allowed."""
    with pytest.raises(ValueError, match=told):
        card_of(**{"model": "x", **options})
