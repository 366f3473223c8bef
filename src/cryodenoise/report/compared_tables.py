"""COMPARISON.md: the tables of a comparison of systems."""

from collections.abc import Iterator

from cryodenoise.config.comparison import CompareParameters, ComparisonRecord, Row, TrackParameters, TrackResult
from cryodenoise.report import tables, wording
from cryodenoise.report.tables import Table
from cryodenoise.report.wording import NOTHING, beside, interval, number

_HEADER = (
    "system", "PSNR/dB", "gain/dB", "PSNR with affine fit/dB", "gain with affine fit/dB", "SSIM", "correlation",
    "parameters", "s/megapixel", "training", "patches seen", "published†",
)  # fmt: skip
_BEST = "best filter"
READING = (
    "PSNR is against what the track says, over all test patches; in brackets 95 % intervals by bootstrap over test "
    "micrographs. The gain is over the best classical filter, which is fitted on the same training split. *With affine "
    "fit* is the PSNR after the one slope and offset for the whole test split that suit each system best: what a "
    "denoiser is worth that predicts up to an affine map. Rows are in that order. Bounds are maps that were fitted to "
    "the test split itself. † Figures of the literature, on other data: they do not compare with the other columns."
)


def markdown(record: ComparisonRecord, parameters: CompareParameters) -> str:
    """All tables of a comparison, and how it was made."""
    parts = ["# Systems compared\n", f"{READING}\n"]
    for result in record.tracks:
        track = parameters.tracks[result.name]
        parts += [f"## {track.title}\n", f"{says(result, track)}\n", tables.markdown(of_track(result, parameters))]
        parts += [f"† {line}\n" for line in literature(result, parameters)]
    parts.append("## Systems\n")
    parts += [f"- **{system.title}**: {system.about}" for system in parameters.systems.values()]
    parts.append("\n## Remarks\n")
    parts += [f"- {track}, {titles}: {remark}" for track, titles, remark in remarks(record, parameters)]
    if lines := left_out(record):
        parts.append("\n## Left out\n")
        parts += [f"- {line}" for line in lines]
    parts.append("\n## How it was made\n")
    parts += [f"- {line}" for line in made(record)]
    return "\n".join(part.replace("<", r"\<") for part in parts) + "\n"


def says(result: TrackResult, track: TrackParameters) -> str:
    """What a track is, in words."""
    height, width = result.sample_shape
    tested = wording.pieces(result.micrographs, "test micrograph")
    patches = f"{wording.pieces(result.samples, 'patch')} of {height} × {width} of {tested}"
    seen = f"{track.about} Trained on {wording.pieces(result.training_samples, 'patch')}, scored on {patches}."
    return f"{seen} No intervals: {result.intervals_missing}." if result.intervals_missing else seen


def of_track(result: TrackResult, parameters: CompareParameters) -> Table:
    """The table of a track."""
    rows = tuple(_cells(row, result, parameters) for row in result.rows)
    return Table(result.name, f"Scores against the {result.against}; in brackets 95 % intervals", _HEADER, rows)


def literature(result: TrackResult, parameters: CompareParameters) -> Iterator[str]:
    """What was published of the systems of a track, with its sources."""
    for row in result.rows:
        system = parameters.systems.get(row.name)
        for each in system.literature if system else ():
            if each.track == result.name:
                yield f"{row.title}: {each.figure} ({each.source})"


def remarks(record: ComparisonRecord, parameters: CompareParameters) -> Iterator[tuple[str, str, str]]:
    """Each remark of the reports once a track: the track, the systems that it is on, and the remark."""
    for result in record.tracks:
        found: dict[str, list[str]] = {}
        for row in result.rows:
            for remark in row.remarks:
                found.setdefault(remark, []).append(row.title)
        for remark, titles in found.items():
            yield parameters.tracks[result.name].title, ", ".join(titles), remark


def left_out(record: ComparisonRecord) -> list[str]:
    """Which tracks and systems are lacking, and why, without the machine's places."""
    found = {**{f"track {name}": why for name, why in record.left_out_tracks.items()}, **record.left_out_systems}
    return [f"{name}: {wording.without_places(why)}" for name, why in found.items()]


def made(record: ComparisonRecord) -> Iterator[str]:
    """On what, and with which versions."""
    rows = [row for result in record.tracks for row in result.rows]
    devices = {row.device for row in rows if row.device} | {row.training.device for row in rows if row.training}
    yield f"device: {', '.join(sorted(devices))}"
    yield from (f"{key}: {value}" for key, value in tables.flat(record.environment))


def _cells(row: Row, result: TrackResult, parameters: CompareParameters) -> tuple[str, ...]:
    gain = beside(wording.gain(row.gain_db), interval(row.gain_interval_db, 2, signed=True))
    fitted = beside(wording.gain(row.affine_gain_db), interval(row.affine_gain_interval_db, 2, signed=True))
    training, system = row.training, parameters.systems.get(row.name)
    published = [each.figure for each in system.literature if each.track == result.name] if system else []
    return (
        row.title,
        beside(wording.psnr(row.psnr_db), interval(row.psnr_interval_db, 2)),
        _BEST if result.best_filter == row.name else gain,
        beside(wording.psnr(row.affine_psnr_db), interval(row.affine_psnr_interval_db, 2)),
        _BEST if result.best_affine_filter == row.name else fitted,
        number(row.ssim, 4),
        number(row.correlation, 4),
        wording.count(row.parameters),
        NOTHING if row.s_per_megapixel is None else f"{row.s_per_megapixel:.3g}",
        NOTHING if training is None else wording.duration(training.elapsed_s),
        NOTHING if training is None else wording.count(training.samples_seen),
        "; ".join(published) or NOTHING,
    )
