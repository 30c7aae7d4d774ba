"""The labels of one engine beside those of another: Dice of liver and tumour, and how many voxels differ.

    python3 benches/engines.py HEPAR SCAN... [--engines hepar burn] [--threads N]

Needs nibabel and numpy. Prints a table in Markdown.
"""

import argparse
import pathlib
import subprocess
import tempfile

import nibabel
import numpy as np

from common import dice


def labels(hepar: pathlib.Path, scan: pathlib.Path, engine: str, threads: list[str]) -> np.ndarray:
    """The label volume of a scan."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "labels.nii.gz"
        subprocess.run([hepar, "segment", scan, "-q", "-o", out, "--engine", engine, *threads], check=True,
                       stderr=subprocess.DEVNULL)
        return np.asarray(nibabel.load(out).dataobj)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hepar", type=pathlib.Path)
    parser.add_argument("scans", type=pathlib.Path, nargs="+")
    parser.add_argument("--engines", nargs=2, default=["hepar", "burn"])
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    threads = ["--threads", str(arguments.threads)] if arguments.threads else []
    print("| scan | voxels | that differ | Dice, liver | Dice, tumour |\n|---|---|---|---|---|")
    for scan in arguments.scans:
        one, other = (labels(arguments.hepar, scan, engine, threads) for engine in arguments.engines)
        figures = [f"{dice(one >= least, other >= least):.6f}" for least in (1, 2)]
        name = scan.name.removesuffix(".gz").removesuffix(".nii")
        print(f"| {name} | {one.size} | {np.count_nonzero(one != other)} | {' | '.join(figures)} |", flush=True)


if __name__ == "__main__":
    main()
