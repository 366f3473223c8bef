"""Command and task `denoise`: micrographs in, denoised micrographs out, in their own units."""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import torch
import yaml

from cryodenoise import devices, environment
from cryodenoise.claims import JOURNAL_NAME, claim, entries
from cryodenoise.config.denoising import DenoisedFile, DenoisedRecord, DenoiseParameters, HalvesFound
from cryodenoise.config.documents import MadeFrom
from cryodenoise.config.schema import YamlLoader, validate
from cryodenoise.console import Console
from cryodenoise.errors import UserError
from cryodenoise.files import require_space
from cryodenoise.inference import halves, memory, relion_job
from cryodenoise.inference.inputs import Inputs, gather, with_halves
from cryodenoise.inference.jobs import Job, Unusable, is_done, noted, on_disk, pixel_size, sound
from cryodenoise.inference.micrograph import Denoiser
from cryodenoise.inference.model import Model
from cryodenoise.inference.overlap import IN_FLIGHT
from cryodenoise.inference.run import Preview, Run, denoise_all
from cryodenoise.inference.star import MicrographsStar, write_star
from cryodenoise.inference.suits import dose_warnings
from cryodenoise.micrographs.faithful import naming
from cryodenoise.tasks.models_given import device_of, open_model

DOCUMENT_NAME = "denoised.json"
EXIT_LEFT_OUT = 1
_BYTES = {"float32": 4, "float16": 2}


def denoise(
    inputs: Sequence[str],
    parameters_file: Path | None,
    micrographs_dir: Path | None,
    in_mics: str | None,
    model: str | None,
    model_dir: Path | None,
    output_dir: Path | None,
    relion_job_dir: Path | None,
    even: Path | None,
    odd: Path | None,
    code_dir: Path | None,
    data_dir: Path | None,
    threads: int | None,
    console: Console,
    **keys: str | None,
) -> int:
    """Denoise micrographs with a trained network, a filter, or the model that is shipped.

    Args:
        inputs: Files, folders, patterns or STAR files.
        parameters_file: Run file; None takes the defaults of all keys.
        micrographs_dir: Another folder of micrographs, as a task is given one.
        in_mics: Another STAR file, as RELION gives one.
        model: What denoises, as `models_given.open_model` takes it; None asks the run file, then model_dir, then takes
            the shipped model.
        model_dir: Folder of a model, as a task is given one; one that is empty or missing counts as none.
        output_dir: Gets the denoised micrographs and denoised.json.
        relion_job_dir: RELION's folder of the job, in place of output_dir.
        even: Folder of the sums of the even frames, named as the micrographs are.
        odd: Likewise of the odd frames.
        code_dir: Code of a network of one's own.
        data_dir: Dataset that a filter is fitted on.
        threads: Of the processor; None leaves that to PyTorch.
        console: Takes what is to be said.
        keys: Values of keys of the run file, as YAML, which take the place of those in it.

    Returns:
        The exit code: 0, or 1 if micrographs were left out.

    Raises:
        UserError: If something is missing, cannot be used or does not fit together.
    """
    target = output_dir or (relion_job_dir or Path()) / relion_job.OUTPUTS
    stars: list[Path] = []
    with relion_job.told(relion_job_dir, stars) if relion_job_dir else nullcontext():
        parameters = _parameters(parameters_file, keys)
        if threads is not None:
            devices.compute_with(threads)
        chosen = model or parameters.model or _model_in(model_dir)
        given = [*inputs, *(str(place) for place in (micrographs_dir, in_mics) if place)]
        found = _found(given, target, even, odd, parameters)
        star_dir = relion_job_dir or target
        stars.extend(star_dir / star.path.name for star in found.stars)
        return _denoise(found, parameters, chosen, target, star_dir, (code_dir, data_dir), console)


def _parameters(parameters_file: Path | None, keys: Mapping[str, str | None]) -> DenoiseParameters:
    """The run file, with what the command line says in place of what it says."""
    base = DenoiseParameters.load(parameters_file) if parameters_file else DenoiseParameters()
    told = {name: _value(name, text) for name, text in keys.items() if text is not None}
    content = {**base.model_dump(mode="json"), **told}
    return validate(DenoiseParameters, json.dumps(content, default=str), Path("command line"))


def _value(name: str, text: str) -> object:
    """A value of the command line, as a run file would have it."""
    try:
        return yaml.load(text, YamlLoader)  # noqa: S506  a SafeLoader
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"--{name}: found {text!r}, expected a value as in a run file: correct it") from error


def _model_in(model_dir: Path | None) -> str | None:
    """What a task was given as its model: a folder of a training, or an ONNX file in a folder of its own."""
    if model_dir is None or not model_dir.is_dir():
        return None
    inside = entries(model_dir)
    return str(inside[0] if len(inside) == 1 and inside[0].is_file() else model_dir) if inside else None


def _found(
    given: Sequence[str], output_dir: Path, even: Path | None, odd: Path | None, parameters: DenoiseParameters
) -> Inputs:
    """The micrographs, with their halves."""
    found = gather(given, output_dir, parameters.stacks)
    if even and odd:
        return with_halves(found, even, odd)
    if even or odd:
        raise UserError("--even, --odd: found one of them: give both, or neither")
    return found


def _denoise(
    found: Inputs,
    parameters: DenoiseParameters,
    chosen: str | None,
    output_dir: Path,
    star_dir: Path,
    for_model: tuple[Path | None, Path | None],
    console: Console,
) -> int:
    """Denoise what was found, in the folder that is claimed for it; the exit code."""
    device = device_of(chosen, devices.choose(parameters.device))
    if slow := devices.slow_precision(device, parameters.precision):
        console.say(slow)
    unusable = Unusable(parameters.on_bad_micrograph, console.say)
    jobs = sound(found.micrographs, unusable)
    model = open_model(chosen, *for_model, parameters.precision, device, [pixel_size(job, parameters) for job in jobs])
    made_from = MadeFrom(parameters=parameters.determining(), inputs={"model": model.digest})
    with claim(output_dir, DOCUMENT_NAME, "denoise", made_from.model_dump()) as work:
        former = DenoisedRecord.load_document(output_dir / DOCUMENT_NAME).files if work.finished else []
        done = on_disk([*former, *noted(output_dir)], output_dir)
        todo = [job for job in jobs if not is_done(job, done, output_dir, parameters)]
        _say_what(model, len(jobs), len(todo), devices.name_of(device), console)
        began_s, pixels = time.monotonic(), sum(_work_px(job, parameters) for job in todo)
        if todo:
            require_space(output_dir, sum(_pixels(job, parameters) for job in todo) * _BYTES[parameters.mode])
            shapes = [(job.header.height_px, job.header.width_px) for job in jobs]
            with_halves_too = any(job.halves for job in jobs)
            in_flight = IN_FLIGHT + memory.WITH_HALVES * with_halves_too
            tile_px = parameters.tile_px or memory.choose_tile(
                model, shapes, device, parameters.memory_limit_gib, in_flight
            )
            devices.start_memory_figures_anew(device)
            with console.progress("denoise", pixels, "pixels") as advance:

                def go_on(pixels: int) -> None:
                    advance(pixels)
                    devices.hand_back_memory_above(device, parameters.memory_limit_gib)

                run = Run(
                    Denoiser(model, device, tile_px, go_on),
                    parameters,
                    output_dir,
                    naming(model.name, model.digest),
                    halves.tile_side(shapes) if with_halves_too else None,
                    _preview() if parameters.preview else None,
                    unusable,
                )
                denoise_all(todo, run)
        elapsed_s = time.monotonic() - began_s
        done = on_disk([*done.values(), *noted(output_dir)], output_dir)
        finished = [job for job in jobs if is_done(job, done, output_dir, parameters)]
        outdated = {job.given.name for job in jobs} - {job.given.name for job in finished}
        files = sorted((file for name, file in done.items() if name not in outdated), key=lambda file: file.name)
        record = DenoisedRecord(
            format=DenoisedRecord.FORMAT,
            format_version=DenoisedRecord.VERSION,
            model=model.name,
            model_digest=model.digest,
            normalization=model.normalization,
            clipped=model.clipped,
            trained_on=model.trained_on,
            files=files,
            warnings=dose_warnings(model, parameters.dose_e_per_a2),
            left_out=sorted(unusable.left_out, key=lambda each: each.source),
            halves=_together(files),
            megapixels_per_s=pixels / elapsed_s / 1e6 if todo else None,
            peak_host_memory_bytes=devices.peak_host_memory_bytes(),
            peak_device_memory_bytes=devices.peak_device_memory_bytes(device),
            device=devices.name_of(device),
            made_from=made_from,
            machine={**parameters.of_the_machine(), "threads": torch.get_num_threads()},
            environment=environment.describe(),
        )
        for star in found.stars:
            _write_star(star_dir / star.path.name, star, finished, output_dir)
        work.finish(record.dumps())
        (output_dir / JOURNAL_NAME).unlink(missing_ok=True)
    _say_outcome(record, finished, output_dir, console)
    return EXIT_LEFT_OUT if unusable.left_out else 0


def _pixels(job: Job, parameters: DenoiseParameters) -> int:
    """Pixels that are written."""
    return job.header.height_px * job.header.width_px * job.images(parameters.stacks)


def _work_px(job: Job, parameters: DenoiseParameters) -> int:
    """Pixels that the model computes."""
    return _pixels(job, parameters) * (3 if job.halves else 1)


def _preview() -> Preview:
    from cryodenoise.report.preview import preview  # matplotlib takes its time to be imported

    return preview


def _together(files: Sequence[DenoisedFile]) -> HalvesFound | None:
    found = [file.halves for file in files if file.halves]
    sides = {len(each.frequency_per_px) for each in found}
    if not found or len(sides) > 1:  # of an earlier run, with micrographs of other sizes
        return None
    return halves.together(found, [file.height_px * file.width_px for file in files])


def _write_star(path: Path, star: MicrographsStar, jobs: Sequence[Job], output_dir: Path) -> None:
    """The STAR file of what became of its micrographs."""
    names = {job.given.path.resolve(): job.given.name for job in jobs}
    outputs = {row.path: output_dir / names[row.path.resolve()] for row in star.rows if row.path.resolve() in names}
    write_star(path, star, outputs)


def _say_what(model: Model, found: int, todo: int, device: str, console: Console) -> None:
    seen = model.trained_on
    knows = "its data are not known"
    if seen:
        knows = f"trained on {seen.micrographs} micrographs ({seen.pairs}, {seen.normalization})"
    console.say(f"{model.name}: {knows}; {device}")
    if todo < found:
        console.say(f"{found - todo} of {found} micrographs are denoised already")


def _say_outcome(record: DenoisedRecord, jobs: Sequence[Job], output_dir: Path, console: Console) -> None:
    """What a reader must know of the outcome: of these micrographs, and of halves only if they were given now."""
    for warning in record.warnings:
        console.say(f"warning: {warning}")
    here = {job.given.name for job in jobs}
    files = [file for file in record.files if file.name in here]
    warned = [file for file in files if file.warnings]
    for warning in warned[0].warnings if warned else ():
        console.say(f"warning: {Path(warned[0].source).name}: {warning}")
    if len(warned) > 1:
        console.say(
            f"warning: {len(warned)} of {len(files)} micrographs have such warnings: {DOCUMENT_NAME} lists them"
        )
    told = {job.given.name for job in jobs if job.halves}
    of_halves = [file for file in files if file.name in told]
    sizes = {file.pixel_size_angstrom for file in of_halves}
    for line in halves.lines(_together(of_halves), sizes.pop() if len(sizes) == 1 else None):
        console.say(line)
    rate = f", {record.megapixels_per_s:.3g} Mpixel/s" if record.megapixels_per_s else ""
    left_out = f"; {len(record.left_out)} left out" if record.left_out else ""
    console.say(f"{output_dir}: {len(files)} denoised micrographs{rate}{left_out}")
