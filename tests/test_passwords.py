"""Operators' passwords: long, neither a name nor a date nor a common one, and that is said before one is typed."""

import io
import string
from contextlib import suppress
from random import Random
from time import process_time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from access.passwords import COMMON, DATE, HELP, LIKE_NAME, NAME_AND_DATE, ROW
from tests.test_admin import operator as operator  # noqa: PLC0414 - a fixture
from tests.test_admin import text_of

LENGTH = "This password is too short. It must contain at least 12 characters."
LENGTH_ASKED = "Your password must contain at least 12 characters."
ALFRED = {"username": "alfred77", "first_name": "Alfred", "last_name": "Ng", "email": "a.north@example.com"}
LETTERS_AND_DIGITS = string.ascii_letters + string.digits
REFUSED = {
    "alfred77x": LENGTH,
    "20261130": LENGTH,
    "2026-11-30": LENGTH,
    "30.11.2026!": LENGTH,
    "alfred77x!!!": LIKE_NAME,
    "xAlfred_2026": LIKE_NAME,
    "examplecom12": LIKE_NAME,
    "north.a.north": LIKE_NAME,
    "20261130____": DATE,
    "2026-11-30!!": DATE,
    "30.11.2026abc": DATE,
    "abc30112026x": DATE,
    "1.1.2026-2.2.2026": DATE,
    "my-30.11.2026-alfred": NAME_AND_DATE,
    "password1234": COMMON,
    "Password2026!!!": COMMON,
    "!!!!basketball1": COMMON,
    "iloveyouiloveyou": ROW,
    "p.a.s.s.w.o.r.d.": COMMON,
    "123456789012": COMMON,
    "abcdefghijkl": ROW,
    "qwertyuiopas": COMMON,
    "xyxyxyxyxyxyxyxy": ROW,
    "lkjhgfdsapoi": COMMON,
    "abcdefghijkl1": ROW,
    "!@#$%^&*()-=+": ROW,
    "Qwerty!23456": COMMON,
    "k!8!q!p!2!x!": ROW,
    "пароль123456": COMMON,  # noqa: RUF001 - Cyrillic letters are meant
    "Pointsmith1234": COMMON,
    "pointsmith2026": COMMON,
    "summer2026summer": COMMON,
    "password pass": COMMON,
    "p@ssw0rdp@ss": COMMON,
    "correcthorsebatterystaple": COMMON,
    "correct horse battery staple": COMMON,
    "alfred-alfred-alfred": LIKE_NAME,
    "4lfr3d@4lfr3d": LIKE_NAME,
    "derfla derfla!": LIKE_NAME,
}


@pytest.mark.parametrize("password", REFUSED)
def test_a_password_that_is_guessed_first_is_refused(password: str) -> None:
    with pytest.raises(ValidationError) as refused:
        validate_password(password, User(**ALFRED))
    assert REFUSED[password] in refused.value.messages


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "aX9-kd02-Lpq7",
        "alfred rides a blue horse",
        "seven 7 dwarfs in 1937",
        "Zwölf Boxkämpfer",
        "xkcd9362tlmqw",
        "k8372916q4405z",
        "483920175638",
    ],
)
def test_a_password_that_nobody_guesses_is_taken(password: str) -> None:
    validate_password(password, User(**ALFRED))


@settings(derandomize=True, deadline=None)
@given(
    seed=st.integers(0, 10**9),
    signs=st.sampled_from(
        [LETTERS_AND_DIGITS, string.digits, string.punctuation, LETTERS_AND_DIGITS + string.punctuation]
    ),
    length=st.integers(12, 20),
)
def test_what_a_password_manager_makes_is_taken(seed: int, signs: str, length: int) -> None:
    random = Random(seed)
    validate_password("".join(random.choice(signs) for _ in range(length)), User(**ALFRED))


def test_a_word_of_a_login_counts_without_its_digits() -> None:
    with pytest.raises(ValidationError, match=LIKE_NAME):
        validate_password("vera-vera-vera", User(username="vera2"))


@pytest.mark.parametrize("password", ["p@ss" * 1000, "4@68({[<39!1|i70$5+2x%" * 100, "correct horse battery " * 100])
def test_a_long_password_is_looked_at_only_at_its_beginning(password: str) -> None:
    started = process_time()
    with suppress(ValidationError):
        validate_password(password, User(**ALFRED))
    assert process_time() - started < 2


@pytest.mark.parametrize("page", ["auth/user/add/", "auth/user/{id}/password/", "password_change/"])
def test_what_is_asked_of_a_password_is_said_before_typing(page: str, operator: Client) -> None:
    text = text_of(operator.get("/admin/" + page.format(id=User.objects.get().id)))
    assert LENGTH_ASKED in text
    assert HELP in text


def new_operator(name: str, password: str) -> dict[str, Any]:
    return {"username": name, "usable_password": "true", "password1": password, "password2": password}


def test_a_new_operator_needs_a_good_password(operator: Client) -> None:
    page = operator.post("/admin/auth/user/add/", new_operator("alfred77", "alfred77x123"))
    assert LIKE_NAME in text_of(page)
    assert not User.objects.filter(username="alfred77").exists()
    assert operator.post("/admin/auth/user/add/", new_operator("alfred77", "correct horse battery")).status_code == 302


def test_so_does_a_changed_one(operator: Client) -> None:
    olivia = User.objects.get()
    for page in (f"/admin/auth/user/{olivia.id}/password/", "/admin/password_change/"):
        form = {"password1": "2026-11-30!!", "password2": "2026-11-30!!", "usable_password": "true"}
        form |= {"new_password1": "2026-11-30!!", "new_password2": "2026-11-30!!", "old_password": ""}
        assert DATE in text_of(operator.post(page, form))


def test_so_does_a_superuser_that_a_script_makes(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def make(password: str) -> None:
        monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", password)
        given = {"username": "alfred77", "email": "a@example.com", "interactive": False}
        call_command("createsuperuser", stdout=io.StringIO(), **given)

    with pytest.raises(CommandError, match="DJANGO_SUPERUSER_PASSWORD: The password is too much like the name"):
        make("alfred77x123")
    with pytest.raises(CommandError, match="at least 12 characters"):
        make("short")
    assert not User.objects.exists()
    make("correct horse battery")
    assert User.objects.get().check_password("correct horse battery")
