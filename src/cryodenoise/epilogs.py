"""What the help of a command says beneath its words."""

EPILOG = """\
A task can be named as MLCube names it: `cryodenoise run/smoke/train.yaml …` is `cryodenoise train
--parameters_file run/smoke/train.yaml …`. A task that was interrupted is run again to go on; one that was
finished finds nothing to do. Exit codes: 0 done; 1 a fault of the program, of a check findings, of `plan` something
that does not fit; 2 a mistake in what was given, with a message that says what to do; 130 and 143 stopped by Ctrl-C
and by SIGTERM.
"""

PLAN = """\
Nothing is fetched, and nothing stays written: for a second or two, code of the tasks runs on made-up data, and a file
of 64 MB is written and read beside the workspace, to tell how fast this machine is. Times are estimates that rest on
that. Exit code 1 if something does not fit.
"""
CHECK = """\
Every file is read once. Each finding is one line: a rule, the place, what was found and what was expected. Exit codes:
0 no finding, 1 findings, 2 no such folder.
"""
CHECK_LOGS = """\
`test` writes a log for each training that it scores: result_0.txt, …. Each finding is one line. Exit codes: 0 no
finding, 1 findings, 2 no log.
"""
SUBMIT = """\
Gathers reports, logs, weights and documents into ORG/cryodenoise/SYSTEM/DESCRIPTOR/ and an archive of it, the same
bytes from the same files. docs/RULES.md says what a valid run is. Exit codes: 0 done, 1 `check` would refuse it, and
nothing was written.
"""
VERIFY = """\
Checks the package, scores its weights on data_dir, and holds every figure against the one submitted. Exit codes: 0 all
are within their tolerance, 1 some differ or `check` refuses the package.
"""
LEADERBOARD = """\
Writes leaderboard.json, leaderboard.md, leaderboard.html and reports/, a page of each. Packages that `check` refuses
are named, with its findings, and not ranked.
"""
INSPECT = """\
Writes contact_sheet.png (target, input, difference, and the truth where there is one beside the target), histograms.png
and power_spectra.png of patches spread evenly over the splits; the same dataset gives the same patches. A sample that
was altered is refused, as in training.
"""
PICTURE = """\
Writes exposure.png (the micrograph, its particles, its truth and its halves, as far as they are there) and spectrum.png
(its power spectrum, with the zeros of the contrast transfer where the defocus is known).
"""
DENOISE = """\
Each micrograph becomes an MRC file of its name in the output folder, in its own units, with pixel size, origin and
extended header kept; denoised.json tells of all. Run again, it goes on at the file where it was stopped. With the sums
of even and odd frames, denoised.json and the last lines tell what was gained, without bias; without them nothing is.
docs/DENOISING.md has more: STAR files, RELION, cryoSPARC. Exit codes: 0 all were denoised, 1 some were left out, 2 it
stopped at a mistake.

keys of the run file, with their defaults; each is also a word of the command line, such as --mode float16:
"""
REPORT = """\
Reads report.json and measures.npz of each folder, and nothing else. Of one folder it writes report.html, a page that
needs nothing but a browser, figures/ (PNG and PDF) and tables/ (Markdown and LaTeX); of several, comparison.html, on
which they stand side by side, the largest gain over the best classical baseline first.
"""
COMPARE = """\
Brings the data of each track, trains and scores each system on it, and writes COMPARISON.md, COMPARISON.html and
comparison/comparison.json. The workspace gets a folder for each track, with one for each system and the run files that
were used; what is finished there is not done again. For a denoiser of your own, add it to a copy of run/compare.yaml.
Exit codes: 0 done, 1 a system failed on a track and was left out, 2 a mistake in what was given.
"""
EXPORT = """\
Writes one file that says itself how to normalise micrographs for it and how to come back (docs/FORMATS.md), once
onnxruntime was seen to compute it as PyTorch does. Needs the packages of requirements-onnx.txt.
"""
CLEAN = """\
A folder raw/, data/, model/ or results/ of the workspace is emptied if its document (or, of unfinished work,
unfinished.json) says that it was made from this run set's run file of the task, as this version reads it. Only files
that tasks write are removed: of raw/ those that `download` noted, so neither micrographs of one's own nor the targets
of links. Anything else stays, and is named. Logs go when no other work is left.
"""
