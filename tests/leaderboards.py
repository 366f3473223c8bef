"""Submissions that tests make up."""

from typing import Any

from cryodenoise.config.scores import Interval
from cryodenoise.config.submission import Entry, LeftOut

HOSTILE = "</script><img src=x onerror=alert(1)>|`[a](javascript:alert(1))\u202e\x1b\n"
"""A name that is markup, a table's edge, a link, a turn of the reading direction, a control and a new line."""


def entry(**changes: Any) -> Entry:
    """A submission, of which only what differs is said."""
    values: dict[str, Any] = {
        "organization": "institute",
        "system": "workstation",
        "descriptor": "unet",
        "division": "closed",
        "track": "truth",
        "reference_set": "simulated-laptop",
        "model": "unet",
        "parameters": 1_925_025,
        "seeds": [42, 43, 44],
        "psnr_db": 24.2,
        "psnr_interval_db": Interval(low=24.0, high=24.4),
        "gain_db": 1.2,
        "best_baseline": "Wiener filter",
        "ssim": 0.7123,
        "training_s": 754.0,
        "patches_per_s": 812.3,
        "peak_device_memory_bytes": 3 << 30,
        "peak_host_memory_bytes": 2 << 30,
        "device": "GPU of 8 GB",
        "reviews": [],
        "package_sha256": "ab" * 32,
        "page": "unet/report.html",
    }
    return Entry(**{**values, **changes})


def around(psnr_db: float, half_db: float) -> dict[str, Any]:
    """A mean PSNR and an interval to both sides of it."""
    return {"psnr_db": psnr_db, "psnr_interval_db": Interval(low=psnr_db - half_db, high=psnr_db + half_db)}


def twelve() -> list[Entry]:
    """Submissions of three tracks and both divisions, of long names and short, on GPUs and on processors."""
    laptop = [
        ("closed", "institute-of-structural-biology", "dgx-h100-8x80gb-sxm5", "unet-bf16-compiled", "unet", 25.41, 0.06,
         412.0, 7.6, 9.1, "NVIDIA H100 80GB HBM3"),
        ("closed", "institute-of-structural-biology", "dgx-h100-8x80gb-sxm5", "unet-fp32", "unet", 25.44, 0.05,
         733.0, 7.9, 8.8, "NVIDIA H100 80GB HBM3"),
        ("closed", "university", "rtx-4060", "unet", "unet", 25.38, 0.09, 2741.0, 7.4, 5.2,
         "NVIDIA GeForce RTX 4060 Laptop GPU"),
        ("closed", "synchrotron", "node", "dncnn12", "dncnn12", 24.93, 0.11, 3105.0, 5.1, 6.0, "NVIDIA A100-SXM4-40GB"),
        ("closed", "synchrotron", "processors-only", "cnn3", "cnn3", 23.02, 0.04, 9214.0, None, 3.9,
         "AMD EPYC 7763 64-Core Processor"),
        ("open", "a-very-long-name-of-an-organisation-that-fills-64-letters", "rtx-4090",
         "transformer-with-a-name-of-very-many-letters-and-no-space-at-all", "own.networks:restormer", 26.11, 0.12,
         41000.0, 22.4, 31.0, "NVIDIA GeForce RTX 4090"),
        ("open", "university", "rtx-4060", "unet-wide", "own.networks:unet_wide", 25.73, 0.21, 8120.0, 7.9, 6.1,
         "NVIDIA GeForce RTX 4060 Laptop GPU"),
    ]  # fmt: skip
    made = [
        entry(division=division, organization=organization, system=system, descriptor=descriptor, model=model,
              **around(psnr_db, half_db), gain_db=psnr_db - 23.1, ssim=0.61 + (psnr_db - 23) / 20,
              training_s=training_s, patches_per_s=2.4e5 / training_s,
              peak_device_memory_bytes=gpu and round(gpu * 2**30), peak_host_memory_bytes=round(host * 2**30),
              device=device, page=f"{organization}/{descriptor}/report.html")
        for division, organization, system, descriptor, model, psnr_db, half_db, training_s, gpu, host, device in laptop
    ]  # fmt: skip
    review = "psnr_db: beyond the pointwise optimum by 0.41 dB, more than the pixels' correlations explain"
    empiar = {"track": "added_noise", "reference_set": "empiar-10025"}
    return [
        *made,
        entry(**empiar, organization="university", descriptor="cnn3", model="cnn3", parameters=2625,
              **around(21.61, 0.004), gain_db=0.01, training_s=6300.0, page=None),
        entry(**empiar, organization="facility", descriptor="cnn3", model="cnn3", parameters=2625,
              **around(21.608, 0.003), gain_db=0.008, training_s=5400.0, peak_device_memory_bytes=6 << 30),
        entry(**empiar, organization="company", descriptor="suspicious", psnr_db=22.02, psnr_interval_db=None,
              seeds=[1], gain_db=0.42, training_s=None, reviews=[review]),
        entry(track="halves", reference_set="simulated-halves", organization="university", descriptor="n2n",
              **around(19.84, 0.3), gain_db=-0.03, training_s=95.0, peak_device_memory_bytes=None),
        entry(track="halves", reference_set="simulated-halves", organization="facility", descriptor="n2n-long",
              division="open", **around(20.2, 0.2), gain_db=0.33, training_s=610.0, peak_device_memory_bytes=None),
    ]  # fmt: skip


def left_out() -> list[LeftOut]:
    """Two packages that were refused."""
    return [
        LeftOut(
            name="ORG-rtx-4060-unet.tar",
            findings=["PACKAGE-3: runs/0/results/report.json: SHA-256 differs from that of manifest.json"],
        ),
        LeftOut(
            name="somebody-workstation-own.tar",
            findings=[
                "CLOSED-2: config.yaml: epochs: found 20, expected 5 in the closed division",
                "LOG-4: result_0.txt: eval_accuracy: missing",
            ],
        ),
    ]
