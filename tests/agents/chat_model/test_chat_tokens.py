"""Conversations as tokens: nothing is lost, what recurs is one token, and numbers are pointed at."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from agents.chat_model.shown import call_of, call_text
from agents.chat_model.tokens import FIRST_NUMBER, NEXT_NUMBER, Tape, Vocabulary

CALLED = '{"name":"rows_for_date","arguments":{"date":"2026-03-18"}}'
ANSWERED = '{"ok":true,"result":{"date":"2026-03-18","rows":[["menu_opens",12150.5,-3,0.25],["orders",1560.5]]}}'
KNOWN = Vocabulary.of([CALLED, ANSWERED] * 3, 200)


def read_back(tape: Tape, vocabulary: Vocabulary) -> str:
    """The text of a conversation, with the commas that stand before numbers."""
    parts: list[bytes] = []
    for place, (item, token) in enumerate(zip(tape.ids, tape.tokens, strict=True)):
        parts.append(b"," if token == NEXT_NUMBER else b"")
        number = token in (FIRST_NUMBER, NEXT_NUMBER)
        parts.append(tape.text(slice(place, place + 1)).encode() if number else vocabulary.spelled(item))
    return b"".join(parts).decode()


@given(st.text() | st.builds(json.dumps, st.recursive(st.none() | st.floats() | st.integers() | st.text(), st.lists)))
@settings(max_examples=100, deadline=None)
def test_any_text_is_read_without_loss(text: str) -> None:
    """What is heard or said stands in the tokens, character by character, whatever the vocabulary knows."""
    text = text.encode("utf-8", "ignore").decode()
    for vocabulary in (KNOWN, Vocabulary(atoms=(), merges=())):
        heard, said = Tape(vocabulary), Tape(vocabulary)
        heard.hear(text)
        said.hear("1,2.5,-3")
        start = len(said)
        said.say(text)
        assert read_back(heard, vocabulary) == text
        assert said.text(slice(start, None)) == text


def test_what_recurs_is_one_token() -> None:
    """Pieces between numbers and dates are one token each, and so are a date and a number with its comma."""
    tape = Tape(KNOWN)
    tape.say(CALLED)
    tape.hear(ANSWERED)
    assert tape.tokens.count(FIRST_NUMBER) == 0
    assert tape.tokens.count(NEXT_NUMBER) == 4
    assert [value for value in tape.values if value] == [12150.5, -3.0, 0.25, 1560.5]
    # the call: two pieces and a date between marks; the answer: a mark, four pieces, a date and four numbers
    assert len(tape) == 1 + 5 + 10
    assert [own for own in tape.own if own] == [True] * 4
    dates = [token for token in tape.tokens if KNOWN.spelled(token) == b'"2026-03-18"']
    assert len(dates) == 2
    assert dates[0] == dates[1]


def test_a_number_is_one_id_in_a_conversation() -> None:
    """The same number has the same id wherever it stands, which no word has; one that a call made up is spelled."""
    tape = Tape(KNOWN)
    tape.hear("[7,8.5,7]")
    numbers = [item for item in tape.ids if item >= KNOWN.size]
    assert numbers == [KNOWN.size, KNOWN.size + 1, KNOWN.size]
    before = len(tape)
    tape.say('{"limit":8.5}')
    assert KNOWN.size + 1 in tape.ids[before:]
    before = len(tape)
    tape.say('{"limit":28}')
    assert max(tape.ids[before:]) < KNOWN.size
    tape.open()
    before = len(tape)
    tape.add(KNOWN.size + 1)
    assert tape.text(slice(before, None)) == "8.5"
    assert tape.values[before] == 8.5


def test_parts_of_names_and_dates_are_no_numbers() -> None:
    """Digits within a word, a date or a sentence are text."""
    tape = Tape(KNOWN)
    tape.hear('{"step_2":"2026-03-18","told":"row 1. v1.2.3 x-4"}')
    assert not any(tape.values)


def test_a_vocabulary_is_checked() -> None:
    """Merges are of tokens that were made before, atoms are different words."""
    with pytest.raises(ValidationError, match="merge 1 is of tokens"):
        Vocabulary(atoms=("ab",), merges=((263, 10), (265, 10)))
    with pytest.raises(ValidationError, match="atoms must be"):
        Vocabulary(atoms=("ab", "ab"), merges=())
    assert Vocabulary.of([CALLED], 0).merges == ()


def test_a_call_is_read_as_it_was_written() -> None:
    """What is no call is a tool that there is not, for the session to refuse."""
    assert call_of(call_text("submit", {"rows": [1, None]})) == ("submit", {"rows": [1, None]})
    for text in ("", "[]", '{"name":"submit"}', '{"name":"submit","arguments":{}', "3", "[" * 100_000):
        assert call_of(text) == (text, {})
