"""The scores within results/report.json."""

from typing import Literal

from pydantic import Field

from cryodenoise.config.schema import Schema


class Interval(Schema):
    """A 95 % interval by bootstrap over micrographs, whose overlapping patches are not independent."""

    low: float
    """Its lower end."""
    high: float
    """Its upper end."""


class Spread(Schema):
    """A score a patch, summed up over the patches."""

    mean: float
    """Mean over the patches."""
    median: float
    """Median over the patches; of an even count, the mean of the middle two."""
    min: float
    """Lowest."""
    max: float
    """Highest."""


class Scores(Schema):
    """How close images are to others; intensities are those of the dataset, in [0, 1] where it was clipped there."""

    mse: float = Field(ge=0)
    """Mean squared error over all pixels of the test split."""
    rmse: float = Field(ge=0)
    """Square root of `mse`."""
    mae: float = Field(ge=0)
    """Mean absolute error over all pixels."""
    psnr_db: float | None
    """10·log10(1 / mse), of the whole set; null if `mse` is 0. Of unclipped data the range of 1 is a convention."""
    patch_psnr_db: Spread | None
    """The same of each patch; null if a patch has no error."""
    ssim: Spread
    """Structural similarity a patch."""
    correlation: Spread
    """Pearson correlation a patch; 0 for a patch without variation."""
    edge_preservation: Spread
    """Correlation of the Laplacians of a patch; 0 for one without variation."""


class Intervals(Schema):
    """95 % intervals of what was scored."""

    mse: Interval
    """Of the mean squared error."""
    psnr_db: Interval | None
    """Of the PSNR of the set; null if a draw has no error."""
    ssim: Interval
    """Of the mean structural similarity."""
    correlation: Interval
    """Of the mean Pearson correlation."""


class AffineFitted(Schema):
    """Scores after the one slope and offset, for all patches scored, with the lowest mean squared error.

    The map is fitted to the test split itself: what predicts up to an affine map can then be compared with others that
    have one, too.
    """

    slope: float
    """What the images are multiplied by; 0 of images that are one constant."""
    offset: float
    """What is added then."""
    mse: float = Field(ge=0)
    """Mean squared error under that map."""
    psnr_db: float | None
    """10·log10(1 / mse); null if `mse` is 0."""
    psnr_interval: Interval | None
    """95 % interval of `psnr_db`, the map fitted to each draw anew; null where there is none."""


class Method(Schema):
    """Another way to denoise, scored beside the one that counts."""

    title: str
    """What it is."""
    kind: Literal["input", "bound", "baseline"]
    """The noisy input; a map fitted to the test split itself, which no map of its kind can beat; or a filter that knows
    training and validation alone."""
    found: dict[str, float]
    """What was estimated or tuned."""
    samples: int = Field(ge=1)
    """Patches that it was scored on."""
    scores: Scores
    """Its scores."""
    gain_db: float | None
    """PSNR of what was scored, on the same patches, less that of this method; null if either has no error."""
    gain_interval: Interval | None
    """95 % interval of `gain_db`; null where there is none."""
    affine_fitted: AffineFitted
    """Its scores under the best affine map."""
    affine_fitted_gain_db: float | None
    """What `gain_db` is where both have theirs, fitted on the same patches."""
    affine_fitted_gain_interval: Interval | None
    """95 % interval of that; null where there is none."""


class Curve(Schema):
    """Spectra of images beside those that they are held against, ring by ring."""

    frc: list[float]
    """Fourier ring correlation of the two."""
    ssnr: list[float | None]
    """Power of the reference over that of the difference; null where there is no difference."""
    power: list[float]
    """Radial power of the images; of white noise, its variance."""
    frc_below_0_5_per_px: float | None
    """Lowest frequency at which `frc` falls below 0.5; null if it does not."""
    frc_below_0_143_per_px: float | None
    """Likewise 0.143."""


class Spectra(Schema):
    """Spectra over the test split, under a Hann window."""

    frequency_per_px: list[float]
    """Middle of each ring, in cycles per pixel."""
    denoised: Curve
    """Of what was scored."""
    noisy_input: Curve
    """Of the noisy input; a radial filter without zeros has the same `frc`."""
    reference_power: list[float]
    """Radial power of what both are held against."""
    residual_power: list[float]
    """Radial power of the noisy input less the denoised."""


class AgainstReference(Schema):
    """How close what was scored, and other methods, come to one kind of image."""

    denoised: Scores
    """Scores of what was scored."""
    intervals: Intervals | None
    """Their 95 % intervals; null where there are too few micrographs."""
    methods: dict[str, Method]
    """The others, by name: `noisy_input`, `scalar_wiener`, `pointwise_optimum`, and each baseline."""
    best_baseline: str
    """The baseline over which the gain is the smallest; the noisy input counts among them."""
    affine_fitted: AffineFitted
    """What was scored, under the best affine map."""
    affine_fitted_best_baseline: str
    """The best baseline where all have the best map of their own."""
    spectra: Spectra
    """Their spectra."""


class HalvesEstimate(Schema):
    """The error against the unknown noise-free image, from halves of the frames with independent noise."""

    mse: float
    """Estimate of the mean squared error, without bias; noise may make it negative."""
    mse_interval: Interval | None
    """Its 95 % interval."""
    psnr_db: float | None
    """10·log10(1 / mse); null if that is not positive."""
    affine_fitted_mse: float
    """The same under the one slope and offset that are best against the other half, whose noise is independent."""
    affine_fitted_mse_interval: Interval | None
    """Its 95 % interval."""
    affine_fitted_psnr_db: float | None
    """PSNR of `affine_fitted_mse`; null if that is not positive."""
    noise_power: float = Field(ge=0)
    """Mean squared noise of a half: half the mean squared difference of the two."""
    input_psnr_db: float | None
    """PSNR of a half against the noise-free image: of `noise_power`."""
    frequency_per_px: list[float]
    """Middle of each ring, in cycles per pixel."""
    frc_denoised: list[float]
    """Fourier ring correlation of the denoised even and the denoised odd half: consistency, which also counts what a
    denoiser does to both alike."""
    frc_noisy: list[float]
    """That of the halves themselves."""
    frc_below_0_143_per_px: float | None
    """Lowest frequency at which `frc_denoised` falls below 0.143; null if it does not."""


class RegionSnr(Schema):
    """10·log10((mean of a particle − mean of the ice beside it)² / variance of that ice), mean over particles."""

    particles: int = Field(ge=1)
    """How many were measured."""
    denoised_db: float
    """Of what was scored."""
    noisy_input_db: float
    """Of the noisy input."""
    reference_db: float | None
    """Of the truth; null where there is none, or its ice is perfectly even."""


class BlankProbe(Schema):
    """What becomes of ice that shows nothing: the targets' mean, with noise of the power that the inputs have."""

    images: int
    """Images denoised, each under two independent noises."""
    noise_power: float
    """Variance of that noise."""
    energy: float
    """Variance of the denoised images over that of the noise: what is left of nothing."""
    energy_of_baselines: dict[str, float]
    """The same of filters, which can only pass on."""
    correlation: float
    """Correlation of the denoised images of one ice under two noises: 0 unless the denoiser draws what is not there."""
    correlation_error: float
    """Standard deviation of `correlation` for a denoiser that draws nothing."""
    frequency_per_px: list[float]
    """Middle of each ring, in cycles per pixel."""
    frc: list[float]
    """Fourier ring correlation of the same."""


class SeedSpread(Schema):
    """Scores of several trainings that differ by their seed alone, against the truth where there is one."""

    seeds: list[int]
    """Their seeds."""
    psnr_db: list[float]
    """PSNR of each."""
    mean_db: float
    """Mean of these."""
    standard_deviation_db: float
    """Their standard deviation, with n − 1."""
    interval_db: Interval
    """95 % interval of the mean, by Student's t."""
    gain_mean_db: float
    """Mean gain over the best baseline."""
