"""The devices that a test runs on: the processor, and a GPU where there is one."""

import pytest
import torch

WITH_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
DEVICES = ["cpu", pytest.param("cuda", marks=WITH_GPU)]
