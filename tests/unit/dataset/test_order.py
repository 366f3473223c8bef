import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cryodenoise.dataset.order import batches, share, shuffled


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


@given(st.integers(1, 200), st.integers(1, 40), st.integers(1, 12))
def test_processes_together_see_every_sample_once_an_epoch(samples: int, batch_size: int, world: int) -> None:
    plan = list(batches(shuffled(samples, 42, 1), batch_size))
    seen = [np.concatenate([share(batch, rank, world) for batch in plan]) for rank in range(world)]
    assert sorted(np.concatenate(seen)) == list(range(samples))


@given(st.integers(0, 40), st.integers(1, 12))
def test_the_shares_of_a_batch_are_as_equal_as_they_can_be_and_make_it_up_in_order(samples: int, world: int) -> None:
    batch = shuffled(samples, 42, 1)
    shares = [share(batch, rank, world) for rank in range(world)]
    assert np.array_equal(np.concatenate(shares), batch)
    assert {len(part) for part in shares} <= {samples // world, -(-samples // world)}
    assert [len(part) for part in shares] == sorted((len(part) for part in shares), reverse=True)


@given(st.integers(1, 200), st.integers(1, 40), st.integers(1, 5), st.integers(1, 5), st.integers(0, 5))
def test_another_number_of_processes_can_take_up_an_epoch(
    samples: int, batch_size: int, before: int, after: int, first: int
) -> None:
    order = shuffled(samples, 42, 2)
    plan = list(batches(order, batch_size))
    done = [share(batch, rank, before) for rank in range(before) for batch in plan[:first]]
    rest = [share(batch, rank, after) for rank in range(after) for batch in batches(order, batch_size, first)]
    assert sorted(np.concatenate([*done, *rest])) == list(range(samples))
