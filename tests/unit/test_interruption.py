import os
import signal

import pytest

from cryodenoise.errors import Interrupted
from cryodenoise.interruption import deferred, interruptible


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_becomes_an_exception_with_the_shells_exit_code(number: int, exit_code: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as caught, interruptible():
        os.kill(os.getpid(), number)
    assert caught.value.exit_code == exit_code
    assert signal.getsignal(number) is before


def test_a_deferred_signal_waits_to_be_asked_for() -> None:
    with interruptible(), deferred() as interruption:
        assert interruption() is None
        os.kill(os.getpid(), signal.SIGTERM)
        stop = interruption()
        assert stop is not None
        assert stop.exit_code == 143
