import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqaudio.errors import VocabularyError
from seqaudio.vocabulary import Vocabulary


def test_labels_are_ordered_by_code_point_with_reject_classes_last() -> None:
    assert Vocabulary.from_labels(["yes", "silence", "no", "Up", "unknown", "no"]).names == (
        "Up",
        "no",
        "yes",
        "unknown",
        "silence",
    )


def test_names_in_other_unicode_forms_are_the_same_name() -> None:
    vocabulary = Vocabulary.from_labels(["ka\u0308se", "k\u00e4se"])
    assert len(vocabulary) == 1
    assert vocabulary.index("ka\u0308se") == 0


def test_strangers_become_unknown_where_that_class_exists() -> None:
    assert Vocabulary(("no", "yes", "unknown")).encode(["yes", "maybe"]).tolist() == [1, 2]


def test_strangers_without_unknown_are_all_listed() -> None:
    with pytest.raises(VocabularyError, match="left, right not among the 2 known: no, yes"):
        Vocabulary(("no", "yes")).encode(["right", "yes", "left", "right"])


@pytest.mark.parametrize("names", [("a", "a"), ("a", ""), ("\u00e4", "a\u0308")])
def test_names_must_differ_and_hold_something(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="unique"):
        Vocabulary(names)


@given(st.lists(st.text(min_size=1), min_size=1))
def test_encoding_is_the_inverse_of_naming(labels: list[str]) -> None:
    vocabulary = Vocabulary.from_labels(labels)
    ids = vocabulary.encode(labels)
    assert Vocabulary.from_labels([vocabulary[index] for index in ids]) == vocabulary
