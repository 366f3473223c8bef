import itertools

import pytest

from cryodenoise.errors import UserError
from cryodenoise.ranks import PATIENCE_S, Rank, of_environment, wait_until


def test_without_a_launcher_a_process_is_alone() -> None:
    assert of_environment({}) == Rank(0, 1, 1)


def test_a_launcher_tells_the_place() -> None:
    assert of_environment({"RANK": "3", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"}) == Rank(3, 8, 4, 3)
    told = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4", "LOCAL_RANK": "1"}
    assert of_environment(told) == Rank(5, 8, 4, 1)
    assert not of_environment({"RANK": "3", "WORLD_SIZE": "8"}).first


@pytest.mark.parametrize(
    "variables",
    [
        {"RANK": "2", "WORLD_SIZE": "2"},
        {"RANK": "-1", "WORLD_SIZE": "2"},
        {"RANK": "0"},
        {"WORLD_SIZE": "2"},
        {"RANK": "first", "WORLD_SIZE": "2"},
        {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "3"},
    ],
)
def test_an_impossible_place_is_refused(variables: dict[str, str]) -> None:
    with pytest.raises(UserError, match=r"environment: found RANK=.*unset both"):
        of_environment(variables)


def test_waiting_ends_when_what_is_waited_for_is_there() -> None:
    answers = iter([False, False, True])
    waits: list[float] = []
    wait_until(lambda: next(answers), lambda: None, "nothing", clock=lambda: 0.0, sleep=waits.append)
    assert len(waits) == 2


def test_waiting_is_given_up_when_nobody_goes_on() -> None:
    seconds = itertools.count(0, int(PATIENCE_S / 4))
    with pytest.raises(UserError, match=r"waited 10 minutes for the others: .* run all of them again"):
        wait_until(lambda: False, lambda: None, "the others", clock=lambda: next(seconds), sleep=lambda _: None)


def test_a_sign_of_life_is_waited_for_again() -> None:
    answers = itertools.chain([False] * 20, [True])
    seconds = itertools.count(0, int(PATIENCE_S / 2))
    lines = itertools.count()
    wait_until(
        lambda: next(answers), lambda: next(lines), "the others", clock=lambda: next(seconds), sleep=lambda _: None
    )
