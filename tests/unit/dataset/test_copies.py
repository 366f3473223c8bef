"""On the processor, where streams do nothing: which place a batch lands in, and its values."""

import pytest
import torch

from cryodenoise.dataset.copies import Copies, laid_out

SHAPE = (3, 4, 5)


def images(count: int, dtype: torch.dtype) -> list[torch.Tensor]:
    return [torch.rand(count, *SHAPE[1:]).to(dtype) for _ in range(2)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_batch_arrives_as_float32_while_the_one_before_is_in_use(dtype: torch.dtype) -> None:
    copies = Copies(torch.device("cpu"), 2, SHAPE, dtype)
    batches = [images(count, dtype) for count in (3, 1, 0, 2)]
    copies.begin(batches[0])
    for number, batch in enumerate(batches):
        taken = copies.take()
        if number + 1 < len(batches):
            copies.begin(batches[number + 1])
        for found, sent in zip(taken, batch, strict=True):
            assert found.dtype == torch.float32
            assert torch.equal(found, sent[:, None].float())
    copies.close()


def test_only_two_batches_have_a_place() -> None:
    copies = Copies(torch.device("cpu"), 2, SHAPE, torch.float32)
    places = []
    for _ in range(5):
        copies.begin(images(3, torch.float32))
        places.append([image.data_ptr() for image in copies.take()])
    assert places[0] == places[2] == places[4] != places[1] == places[3]


def test_images_are_laid_out_channels_last_without_a_copy() -> None:
    source = torch.rand(SHAPE)
    found = laid_out(source)
    assert (found.shape, found.stride()) == ((3, 1, 4, 5), (20, 1, 5, 1))
    assert found.data_ptr() == source.data_ptr()
    assert torch.equal(found[:, 0], source)
    assert found.stride() == torch.rand(3, 1, 4, 5).to(memory_format=torch.channels_last).stride()
