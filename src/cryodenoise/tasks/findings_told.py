"""What checks of packages found, in lines and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cryodenoise.console import Console
from cryodenoise.findings import Finding, Rule
from cryodenoise.submission.check import Outcome


@dataclass
class Told:
    """What is found while rules are applied, and said at once.

    Attributes:
        console: Takes what is to be said.
        outcome: What was found.
    """

    console: Console
    outcome: Outcome = field(default_factory=Outcome)

    def apply(self, rules: Sequence[Rule[Any]], about: object) -> bool:
        """Say of each rule that it holds, or every finding; whether there was none."""
        before = len(self.outcome.findings)
        for rule in rules:
            found: list[Finding] = []
            for finding in rule.findings(about):
                found.append(finding)
                self.console.say(_line(rule, finding))
            if not found:
                self.console.say(f"  ok {rule.identifier}: {rule.sentence}")
                self.outcome.held.append(rule)
            self.outcome.findings += [(rule, finding) for finding in found]
        return len(self.outcome.findings) == before


def tell(outcome: Outcome, console: Console, held: bool = True) -> None:
    """Say which rules hold, and every finding.

    Args:
        outcome: What was found.
        console: Takes the lines.
        held: Whether rules without findings are named, too.
    """
    for rule in outcome.held if held else ():
        console.say(f"  ok {rule.identifier}: {rule.sentence}")
    for rule, finding in outcome.findings:
        console.say(_line(rule, finding))
    for rule, finding in outcome.reviews:
        console.say(f"  for review, {rule.identifier}: {finding.place}: {finding.problem}")


def as_json(outcome: Outcome) -> str:
    """The same as JSON: `findings`, `reviews` and the identifiers of the rules that hold."""
    told = {
        name: [
            {"rule": rule.identifier, "place": str(finding.place), "problem": finding.problem} for rule, finding in some
        ]
        for name, some in (("findings", outcome.findings), ("reviews", outcome.reviews))
    }  # fmt: skip
    return json.dumps(
        {"passed": not outcome.findings, "held": [rule.identifier for rule in outcome.held], **told}, indent=1
    )


def _line(rule: Rule[Any], finding: Finding) -> str:
    return f"  {rule.identifier}: {finding.place}: {finding.problem}"


def lines(outcome: Outcome) -> list[str]:
    """Each finding in a line, its rule first."""
    return [f"{rule.identifier}: {finding.place}: {finding.problem}" for rule, finding in outcome.findings]


def review_lines(outcome: Outcome) -> list[str]:
    """Each thing to review in a line, its rule first."""
    return [f"{rule.identifier}: {finding.place}: {finding.problem}" for rule, finding in outcome.reviews]
