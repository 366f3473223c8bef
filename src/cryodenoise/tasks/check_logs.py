"""Task `check_logs`: the logs of a folder of results against the rules that MLCommons' checker holds them to."""

from pathlib import Path

from cryodenoise.console import Console
from cryodenoise.errors import UserError
from cryodenoise.files import require_directory
from cryodenoise.submission import logs


def check_logs(results_dir: Path, console: Console) -> int:
    """Tell of each log of a folder of results whether it is sound, or everything that is wrong with it.

    Args:
        results_dir: What `test` wrote for a network.
        console: Takes what is to be said.

    Returns:
        The exit code: 0 if nothing is wrong, else 1.

    Raises:
        UserError: If there is no log.
    """
    require_directory(results_dir, "test")
    found = logs.logs_in(results_dir)
    if not found:
        raise UserError(
            f"{results_dir}: holds no log, expected result_0.txt, which `cryodenoise test` writes when it scores a "
            "network: give the folder of such results"
        )
    count = 0
    for path in found:
        findings = [(rule, finding) for rule in logs.RULES for finding in rule.findings(path)]
        for rule, finding in findings:
            console.say(f"{rule.identifier}: {finding.place}: {finding.problem}")
        if not findings:
            console.say(f"ok {path}")
        count += len(findings)
    console.say("no findings" if not count else f"{count} finding{'s' * (count > 1)}")
    return 1 if count else 0
