"""Whole micrographs through networks: how fast, beside what the machine multiplies, and what tiles cost.

Usage: python benchmarks/denoising.py [--models cnn3 unet] [--side-px 3840] [--tiles 0 512 1024] [--threads 2]
                                      [--device cuda]

For each network, with random weights, and each tile side (0: the whole at once; by default the whole, and what
`choose_tile` gives for 8 GiB), each in a process of its own, prints seconds per 1024 × 1024: of a patch of that size,
of the first micrograph, and of the best of two more; GFLOP/s of the last, and what fraction that is of the rate of
float32 matrix products in the same process; how many times as long it takes as the first tile side of the list; and how
much memory grows. Operations are those of convolutions, two a product and its sum, without the halos. Ratios within one
run are what counts.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable

PATCH_PX, MATRIX_PX, LIMIT_GIB = 1024, 2048, 8.0
PATCHES, MICROGRAPHS, PRODUCTS = 5, 3, 5


def figures_of(name: str, side_px: int, tile_px: int, threads: int, device_name: str) -> dict[str, float]:
    """Of this process, in which nothing else is computed."""
    import numpy as np
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from cryodenoise import devices
    from cryodenoise.config.training_record import TrainedOn
    from cryodenoise.inference.memory import choose_tile
    from cryodenoise.inference.networks import of_network
    from cryodenoise.inference.tiling import denoise_image
    from cryodenoise.models import MODELS

    torch.set_num_threads(threads)
    device = devices.choose(device_name)
    trained_on = TrainedOn(
        normalization="p95", clipped=True, pairs="added_noise", micrographs=1, pixel_size_angstrom=None,
        dose_e_per_a2=None, standard_deviation=(0.1, 0.1), neighbour_correlation=(0.0, 0.0),
    )  # fmt: skip
    module = MODELS[name].build()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(torch.rand(1, 1, PATCH_PX, PATCH_PX))
    model = of_network(MODELS[name], module, name, "0" * 64, "p95", True, trained_on, "fp32", device, own=False)
    chosen = choose_tile(model, [(side_px, side_px)], device, LIMIT_GIB) if tile_px < 0 else tile_px or None

    def seconds(work: Callable[[], object]) -> float:
        devices.synchronize(device)
        began = time.perf_counter()
        work()
        devices.synchronize(device)
        return time.perf_counter() - began

    def denoise(image: np.ndarray, tile_px: int | None) -> float:
        patches = image.size / PATCH_PX**2
        return seconds(lambda: denoise_image(image, model, device, tile_px, lambda _: None)) / patches

    left, right = (torch.rand(MATRIX_PX, MATRIX_PX, device=device) for _ in range(2))
    rate = 2 * MATRIX_PX**3 / min(seconds(lambda: left @ right) for _ in range(PRODUCTS))
    image = np.random.default_rng(0).random((side_px, side_px), np.float32)
    devices.start_memory_figures_anew(device)
    resting = devices.peak_memory_bytes(device)
    first, *others = (denoise(image, chosen) for _ in range(MICROGRAPHS))
    grown = devices.peak_memory_bytes(device) - resting
    patch = min(denoise(image[:PATCH_PX, :PATCH_PX], None) for _ in range(PATCHES))
    reached = counter.get_total_flops() / min(others)
    return {
        "tile, px": chosen or 0,
        "patch, s": patch,
        "first, s": first,
        "others, s": min(others),
        "GFLOP/s": reached / 1e9,
        "of products": reached / rate,
        "growth, MB": grown / 1e6,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["cnn3", "unet"])
    parser.add_argument("--side-px", type=int, default=3840)
    parser.add_argument("--tiles", nargs="+", type=int, default=[0, -1], help="-1: what choose_tile gives")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--alone", action="store_true", help="measure in this process and print JSON")
    options = parser.parse_args()
    words = ["--side-px", str(options.side_px), "--threads", str(options.threads), "--device", options.device]
    for name in options.models:
        whole = None
        for tile in options.tiles:
            if options.alone:
                print(json.dumps(figures_of(name, options.side_px, tile, options.threads, options.device)))
                continue
            command = [sys.executable, __file__, "--alone", "--models", name, "--tiles", str(tile), *words]
            found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
            whole = whole or found["others, s"]
            found["times as long"] = found["others, s"] / whole
            print(f"{name:10}", ", ".join(f"{key} {value:.4g}" for key, value in found.items()), flush=True)


if __name__ == "__main__":
    main()
