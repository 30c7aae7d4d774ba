"""Volume and confidence of what a model finds, true and false: from which the least volume of a tumour can be chosen.

    python3 benches/lesion_sizes.py HEPAR DATA [--model MODEL]

DATA is a folder with `X_ct.nii.gz` beside `X_label.nii.gz`. A lesion is true when it shares a voxel with a tumour of the
labels. Needs nibabel, numpy and scipy. Prints CSV: case, true (1) or false (0), millilitres, confidence.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

import nibabel
import numpy as np
from scipy import ndimage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hepar", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--model", help="folder of the model; the one in the program by default")
    arguments = parser.parse_args()
    model = ["--model", arguments.model] if arguments.model else []
    print("case,true,volume_ml,confidence")
    for path in sorted(arguments.data.glob("*_ct.nii.gz")):
        name = path.name.removesuffix("_ct.nii.gz")
        truth = np.asarray(nibabel.load(path.with_name(f"{name}_label.nii.gz")).dataobj) == 2
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "out"
            subprocess.run([arguments.hepar, "segment", path, "-q", "-o", out, *model], check=True,
                           stderr=subprocess.DEVNULL)
            found = np.asarray(nibabel.load(out / "labels.nii.gz").dataobj) == 2
            lesions = json.loads((out / "result.json").read_text())["lesions"]
        components, count = ndimage.label(found, np.ones((3, 3, 3)))
        sizes = ndimage.sum_labels(found, components, range(1, count + 1)).astype(int)
        is_true = ndimage.maximum(truth, components, range(1, count + 1)) if count else []
        # Lesions are ordered by size; of equal ones any order gives the same table.
        by_size = sorted(zip(sizes, is_true), key=lambda pair: -pair[0])
        for lesion, (size, true) in zip(lesions, by_size, strict=True):
            assert lesion["voxels"] == size
            print(f"{name},{int(true)},{lesion['volume_ml']},{lesion['confidence']}", flush=True)


if __name__ == "__main__":
    main()
