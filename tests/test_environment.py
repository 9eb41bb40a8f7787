"""A number or a switch in the environment that cannot be meant is refused by its name, with what it may be."""

import re

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from config.environment import Environment

env = Environment()


@pytest.mark.parametrize("text", ["x", "2.5", "1", "-3", "1_000", "nan", "٣", "9" * 5000])
def test_a_whole_number_is_refused_by_name(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POOL", text)
    words = f"POOL must be a whole number from 2 to 99: because. It is {text!r}."
    with pytest.raises(ImproperlyConfigured, match=f"^{re.escape(words)}$"):
        env.whole("POOL", default=8, at_least=2, at_most=99, why="because")
    monkeypatch.setenv("POOL", "x")
    with pytest.raises(ImproperlyConfigured, match=r"^POOL must be a whole number of at least 2\. It is 'x'\.$"):
        env.whole("POOL", default=8, at_least=2)


@pytest.mark.parametrize("text", ["x", "10s", "0", "0.0", "-1", "nan", "inf", "1e3", "0,5"])
def test_so_is_one_that_may_have_decimals(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAIT_S", text)
    words = f"WAIT_S must be a number of more than 0, such as 30 or 0.5. It is {text!r}."
    with pytest.raises(ImproperlyConfigured, match=f"^{re.escape(words)}$"):
        env.positive("WAIT_S", default=10)


def test_good_numbers_are_read_and_an_empty_one_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, whole in (("2", 2), (" 99 ", 99), ("", 8)):
        monkeypatch.setenv("POOL", text)
        assert env.whole("POOL", default=8, at_least=2, at_most=99) == whole
    for text, number in (("30", 30), ("0.5", 0.5), (" ", 10)):
        monkeypatch.setenv("WAIT_S", text)
        assert env.positive("WAIT_S", default=10) == number
    monkeypatch.delenv("POOL")
    assert env.whole("POOL", default=8, at_least=2) == 8
    monkeypatch.setenv("THRESHOLD", "-1")
    assert env.whole("THRESHOLD", default=3, at_least=-1) == -1


def test_a_switch_that_is_neither_true_nor_false_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, is_on in (("true", True), ("Yes", True), ("1", True), ("false", False), ("off", False), (" ", False)):
        monkeypatch.setenv("SAFE", text)
        assert env.switch("SAFE") is is_on
    monkeypatch.setenv("SAFE", "ture")
    with pytest.raises(ImproperlyConfigured, match=r"^SAFE must be true or false\. It is 'ture'\.$"):
        env.switch("SAFE")
    monkeypatch.delenv("SAFE")
    assert env.switch("SAFE") is False


def test_every_number_and_switch_of_the_settings_is_read_so() -> None:
    source = (settings.BASE_DIR / "config" / "settings.py").read_text()
    assert not re.findall(r"env\.(?:int|float|bool)\(", source)
    assert {"PROXY_COUNT", "BODY_S_MAX"} <= set(re.findall(r'env\.(?:whole|positive)\(\s*"(\w+)"', source))
