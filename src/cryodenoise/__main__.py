"""`python -m cryodenoise` is the command `cryodenoise`."""

from cryodenoise.cli import main

if __name__ == "__main__":  # workers started by spawn import this file too
    raise SystemExit(main())
