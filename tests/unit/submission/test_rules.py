"""The page of rules tells of every rule, in its words."""

import re
from pathlib import Path

from cryodenoise.submission import check

PAGE = Path(__file__).parents[3] / "docs/RULES.md"


def test_the_page_names_every_rule_in_its_own_words() -> None:
    told = dict(re.findall(r"^\| ([A-Z]+-\d+) \| (.*) \|$", PAGE.read_text(), re.MULTILINE))
    assert told == {rule.identifier: rule.sentence for rule in check.every_rule()}


def test_identifiers_are_given_once() -> None:
    identifiers = [rule.identifier for rule in check.every_rule()]
    assert len(set(identifiers)) == len(identifiers)
