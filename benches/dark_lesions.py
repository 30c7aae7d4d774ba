"""What models find of lesions that are nearly as dark as water, on patients that they were not trained on.

    python3 benches/dark_lesions.py HEPAR DATA... --model MODEL [--model MODEL...] [--exclude NAME...]

Real lesions of labelled scans are made darker, so that their mean lies DARKER Hounsfield units below that of the liver around
them; their shapes, textures and noise stay. There is one model for each fold of patients, in their order, as for
`hepar experiment lits`. Needs nibabel, numpy and scipy. Prints a table in Markdown: of each case's lesions as they are and made
darker, the Dice of the tumours, the share of the lesions that the model takes for liver at all, that of what it takes for liver
or encloses with it within a slice, and the liver's Dice.
"""

import argparse
import pathlib
import statistics
import subprocess
import tempfile

import nibabel
import numpy as np
from scipy import ndimage

from common import dice, labelled_cases

DARKER = 95
# Millimetres over which a lesion's edge fades; about as in the scans.
EDGE = 1.0


def made_darker(hu: np.ndarray, labels: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """The scan with the mean of its lesions DARKER units below that of the rest of the liver, where they are brighter."""
    lesion = labels == 2
    drop = DARKER - (hu[labels == 1].mean() - hu[lesion].mean())
    share = ndimage.gaussian_filter(lesion.astype(np.float32), [EDGE / mm for mm in spacing])
    return hu - max(drop, 0.0) * np.where(lesion, np.maximum(share, 0.5), share)


def with_enclosed(liver: np.ndarray) -> np.ndarray:
    """The liver with the holes of its slices of all directions, until no slice has one."""
    while True:
        filled = liver.copy()
        for axis in range(3):
            for index in range(liver.shape[axis]):
                at = (slice(None),) * axis + (index,)
                filled[at] = ndimage.binary_fill_holes(filled[at])
        if (filled == liver).all():
            return liver
        liver = filled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hepar", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path, nargs="+")
    parser.add_argument("--model", type=pathlib.Path, action="append", required=True)
    parser.add_argument("--exclude", nargs="*", default=[])
    arguments = parser.parse_args()
    print("| case | lesions | tumour Dice | taken for liver | or enclosed | liver Dice |\n|---|---|---|---|---|---|")
    rows = {"as they are": [], "darker": []}
    for case in labelled_cases(arguments.hepar, arguments.data, len(arguments.model)):
        if case["name"] in arguments.exclude or not case["lesions"]:
            continue
        scan, labels = nibabel.load(case["image"]), np.asarray(nibabel.load(case["labels"]).dataobj)
        hu = np.asarray(scan.dataobj, dtype=np.float32)
        for name, shown in (("as they are", hu), ("darker", made_darker(hu, labels, scan.header.get_zooms()))):
            with tempfile.TemporaryDirectory() as folder:
                path, out = f"{folder}/ct.nii.gz", f"{folder}/labels.nii.gz"
                nibabel.save(nibabel.Nifti1Image(shown.round().astype(np.int16), scan.affine), path)
                subprocess.run([arguments.hepar, "segment", path, "-q", "-o", out, "--model", arguments.model[case["fold"]]],
                               check=True, stderr=subprocess.DEVNULL)
                found = np.asarray(nibabel.load(out).dataobj)
            enclosed = with_enclosed(found > 0)
            row = [dice(found == 2, labels == 2), float((found[labels == 2] > 0).mean()), float(enclosed[labels == 2].mean()),
                   dice(found > 0, labels > 0)]
            rows[name].append(row)
            print(f"| {case['name']} | {name} | {row[0]:.3f} | {row[1]:.2f} | {row[2]:.2f} | {row[3]:.3f} |", flush=True)
    for name, of_all in rows.items():
        means = [statistics.mean(row[column] for row in of_all) for column in range(4)]
        print(f"| mean of {len(of_all)} | {name} | {means[0]:.3f} | {means[1]:.2f} | {means[2]:.2f} | {means[3]:.3f} |")


if __name__ == "__main__":
    main()
