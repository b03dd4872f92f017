"""Fingerprints of label sets."""

from shared.schema.fingerprints import fingerprint_of


def test_no_labels_have_the_hash_of_nothing() -> None:
    assert fingerprint_of({}) == "cbf29ce484222325"


def test_a_fingerprint_is_that_of_prometheus() -> None:
    # The pair of labels, and its number, that the tests of prometheus/common go by.
    labels = {"name": "garland, briggs", "fear": "love is not enough"}
    assert int(fingerprint_of(labels), 16) == 5799056148416392346


def test_the_fingerprint_ignores_the_order_of_labels() -> None:
    assert fingerprint_of({"a": "1", "b": "2"}) == fingerprint_of({"b": "2", "a": "1"})
    assert fingerprint_of({"a": "1b"}) != fingerprint_of({"a1": "b"})
