"""Command `pipeline`: the four tasks of a run set, one after the other, in one workspace."""

from pathlib import Path

from cryodenoise.console import Console
from cryodenoise.errors import UserError
from cryodenoise.tasks.download import download
from cryodenoise.tasks.preprocess import preprocess
from cryodenoise.tasks.test import test
from cryodenoise.tasks.train import train


def pipeline(run_set: Path, workspace: Path, raw_dir: Path | None, code_dir: Path | None, console: Console) -> None:
    """Run the tasks whose run files are in the folder `run_set`; download.yaml only where it is needed.

    Args:
        run_set: Folder of run files, such as run/smoke.
        workspace: Folder of raw/, data/, model/ and results/.
        raw_dir: Micrographs that are there already, in place of a download; None for the workspace's raw/.
        code_dir: Folder of the code of a network of one's own; None without one.
        console: Takes what the tasks say.

    Raises:
        UserError: If a run file is missing, or a run set that downloads none is given no micrographs.
    """
    files = {name: run_set / f"{name}.yaml" for name in ("download", "preprocess", "train", "test")}
    missing = [file for name, file in files.items() if name != "download" and not file.is_file()]
    if missing:
        raise UserError(f"{missing[0]}: missing: give a folder with the run files of all tasks, such as run/smoke")
    if raw_dir is None and not files["download"].is_file():
        raise UserError(
            f"{files['download']}: missing, so this run set needs micrographs of your own: give --raw_dir FOLDER"
        )
    raw, data, model, results = (workspace / name for name in ("raw", "data", "model", "results"))
    if raw_dir is None:
        console.say("— download")
        download(files["download"], raw, console)
    console.say("— preprocess")
    preprocess(files["preprocess"], raw_dir or raw, data, console)
    console.say("— train")
    train(files["train"], data, model, code_dir, console)
    console.say("— test")
    test(files["test"], data, model, results, code_dir, None, console)
