import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cryodenoise.dataset.order import batches, shuffled


@given(st.integers(1, 300), st.integers(1, 40))
def test_an_epoch_visits_every_sample_once(samples: int, batch_size: int) -> None:
    plan = list(batches(shuffled(samples, 42, 1), batch_size))
    assert sorted(np.concatenate(plan)) == list(range(samples))
    assert all(len(batch) == batch_size for batch in plan[:-1])


@given(st.integers(1, 300), st.integers(1, 40), st.integers(0, 10))
def test_an_order_taken_up_again_goes_on_where_it_stopped(samples: int, batch_size: int, first: int) -> None:
    order = shuffled(samples, 42, 3)
    whole, rest = list(batches(order, batch_size)), list(batches(order, batch_size, first))
    assert [batch.tolist() for batch in rest] == [batch.tolist() for batch in whole[first:]]


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {tuple(shuffled(50, seed, epoch)) for seed in (1, 2) for epoch in (1, 2, 3)}
    assert len(orders) == 6


def test_the_order_is_that_of_the_published_format() -> None:
    words = np.frombuffer(hashlib.sha256(b'[42,"order",1]').digest()[:16], "<u4")
    assert shuffled(8, 42, 1).tolist() == np.random.RandomState(words).permutation(8).tolist()
