"""What a model finds when all intensities of a scan are shifted: how much it depends on contrast agent.

    python3 benches/brightness.py HEPAR DATA [--model MODEL]

DATA is a folder with `X_ct.nii.gz` beside `X_label.nii.gz`. Needs nibabel and numpy. Prints a table in Markdown.
"""

import argparse
import pathlib
import subprocess
import tempfile

import nibabel
import numpy as np

from common import dice

SHIFTS = (0, 35, -45)


def dice_of(found: np.ndarray, truth: np.ndarray) -> str:
    return f"{dice(found, truth):.3f}" if truth.any() else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hepar", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--model", help="folder of the model; the one in the program by default")
    arguments = parser.parse_args()
    model = ["--model", arguments.model] if arguments.model else []
    print("| scan | shift, HU | liver's median | liver Dice | tumour Dice | tumour voxels |\n|---|---|---|---|---|---|")
    for path in sorted(arguments.data.glob("*_ct.nii.gz")):
        name = path.name.removesuffix("_ct.nii.gz")
        scan = nibabel.load(path)
        truth = np.asarray(nibabel.load(path.with_name(f"{name}_label.nii.gz")).dataobj)
        for shift in SHIFTS:
            with tempfile.TemporaryDirectory() as folder:
                hu = np.asarray(scan.dataobj).round().astype(np.int16) + np.int16(shift)
                shifted = nibabel.Nifti1Image(hu, scan.affine)
                nibabel.save(shifted, f"{folder}/ct.nii.gz")
                out = f"{folder}/labels.nii.gz"
                subprocess.run([arguments.hepar, "segment", f"{folder}/ct.nii.gz", "-q", "-o", out, *model], check=True,
                               stderr=subprocess.DEVNULL)
                found = np.asarray(nibabel.load(out).dataobj)
            median = np.median(hu[truth > 0])
            print(f"| {name} | {shift:+d} | {median:.0f} | {dice_of(found > 0, truth > 0)} | "
                  f"{dice_of(found == 2, truth == 2)} | {int((found == 2).sum())} |", flush=True)


if __name__ == "__main__":
    main()
