"""Classical denoisers: name → baseline; one is fitted on training patches and tuned on validation patches."""

from cryodenoise.baselines import affine, gaussian, identity, lowpass, nlm, pointwise, tv, wiener
from cryodenoise.baselines.baseline import Baseline, Batches, Fitted, Known
from cryodenoise.errors import require_known

__all__ = ["BASELINES", "Baseline", "Batches", "Fitted", "Known", "choose"]

BASELINES: dict[str, Baseline] = {
    baseline.name: baseline
    for baseline in (
        Baseline("identity", "Noisy input", identity.fit),
        Baseline("affine", "Affine map", affine.fit),
        Baseline("pointwise", "Curve per intensity", pointwise.fit),
        Baseline("gaussian", "Gaussian blur", gaussian.fit),
        Baseline("lowpass", "Low-pass, tuned", lowpass.fit),
        Baseline("lowpass20", "Low-pass at 20 Å", lowpass.fit_at_20_angstrom),
        Baseline("wiener", "Spectral Wiener filter", wiener.fit),
        Baseline("nlm", "Non-local means", nlm.fit, slow=True),
        Baseline("tv", "Total variation", tv.fit, slow=True),
    )
}
"""The baselines that a run file can name; each file tells what its baseline does."""


def choose(name: str, place: str) -> Baseline:
    """The baseline that a run file or a document names.

    Args:
        name: Its name, without `baseline/`.
        place: Start of messages, such as `run/test.yaml: model`.

    Raises:
        UserError: If there is no baseline of the name.
    """
    require_known(place, name, BASELINES)
    return BASELINES[name]
