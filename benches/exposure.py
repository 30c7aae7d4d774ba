"""What a tumour stage's `greatest_exposure` and `sheet` would leave: tumour Dice, true and false lesions for several thresholds.

    hepar experiment lits --data DATA/lits --data DATA/lits-sparse ... --model M0 ... -o OUT      (models without the setting)
    python3 benches/exposure.py OUT DATA/lits DATA/lits-sparse

Every lesion (26-connected) of the written labels is measured: the share of its surface, in mm², that borders on what is not
liver; faces at the scan's edge do not count; and how compact and how thick it is: the share of its volume that the largest ball
inside it has, and twice that ball's radius, the greatest distance of a voxel's centre to one outside. One that shares a voxel with a tumour of the
reference is true. Needs nibabel, numpy and scipy. Prints tables in Markdown; with `--lesions` a line for each lesion first:
case, true (1) or false (0), millilitres, exposure, compactness, thickness.
"""

import argparse
import pathlib

import nibabel
import numpy as np
from scipy import ndimage

from common import dice

THRESHOLDS = [1.0, 0.65, 0.6, 0.55, 0.5, 0.45, 0.4, 0.35]
# Exposure, compactness and thickness in millimetres of `sheet`.
SHEETS = [(0.0, 0.2, 6), (0.2, 0.2, 6), (0.3, 0.1, 6), (0.3, 0.2, 4), (0.3, 0.2, 6), (0.3, 0.2, 8), (0.3, 0.2, 100), (0.4, 0.2, 6)]
AROUND = np.ones((3, 3, 3))


def exposures(labels: np.ndarray, spacing: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """The number of each voxel's lesion, and the share of every lesion's surface that is exposed."""
    lesions, _ = ndimage.label(labels == 2, AROUND)
    shares = []
    for number, place in enumerate(ndimage.find_objects(lesions), 1):
        around = tuple(slice(max(0, part.start - 1), part.stop + 1) for part in place)
        inside, near = lesions[around] == number, labels[around]
        exposed = total = 0.0
        for axis in range(3):
            area = np.prod(np.delete(spacing, axis))
            low, high = [tuple(part if a == axis else slice(None) for a in range(3)) for part in (slice(None, -1), slice(1, None))]
            for here, there in ((low, high), (high, low)):
                face = inside[here] & ~inside[there]
                exposed += area * np.count_nonzero(face & (near[there] == 0))
                total += area * np.count_nonzero(face)
        shares.append(exposed / total if total else 0.0)
    return lesions, shares


def balls(lesions: np.ndarray, spacing: np.ndarray) -> list[tuple[float, float]]:
    """Of the largest ball inside every lesion: the share of the lesion's volume that it has, and how thick it is."""
    found = []
    for number, place in enumerate(ndimage.find_objects(lesions), 1):
        inside = np.pad(lesions[place] == number, 1)
        radius = ndimage.distance_transform_edt(inside, sampling=spacing).max()
        found.append((4 / 3 * np.pi * radius**3 / (np.count_nonzero(inside) * spacing.prod()), 2 * radius))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path, nargs="+")
    parser.add_argument("--lesions", action="store_true", help="print each lesion")
    arguments = parser.parse_args()
    references = {f"{folder.name}-{path.name.removesuffix('_label.nii.gz')}": path
                  for folder in arguments.data for path in folder.glob("*_label.nii.gz")}
    exposed_rows = {threshold: [] for threshold in THRESHOLDS}
    sheet_rows = {rule: [] for rule in SHEETS}
    for case in sorted((arguments.experiment / "cases").iterdir()):
        image = nibabel.load(references[case.name])
        tumour = np.asarray(image.dataobj) == 2
        labels = np.asarray(nibabel.load(case / "labels.nii.gz").dataobj)
        spacing = np.array(image.header.get_zooms()[:3], dtype=float)
        lesions, exposed = exposures(labels, spacing)
        largest = balls(lesions, spacing)
        is_true = [bool(tumour[lesions == number].any()) for number in range(1, len(exposed) + 1)]
        ml = [np.count_nonzero(lesions == number) * spacing.prod() / 1000 for number in range(1, len(exposed) + 1)]
        if arguments.lesions:
            for real, size, share, ball in zip(is_true, ml, exposed, largest):
                print("{},{:d},{:.2f},{:.2f},{:.3f},{:.1f}".format(case.name, real, size, share, *ball))

        def row(stays: list[bool]) -> tuple:
            kept = [number for number, stay in enumerate(stays, 1) if stay]
            true = sum(is_true[number - 1] for number in kept)
            score = dice(np.isin(lesions, kept), tumour) if tumour.any() else None
            return score, true, len(kept) - true, sum(ml[number - 1] for number in kept)

        for threshold, cases in exposed_rows.items():
            cases.append(row([share <= threshold for share in exposed]))
        for (exposure, compactness, thickness), cases in sheet_rows.items():
            cases.append(row([share <= exposure or of_volume >= compactness or thick > thickness
                              for share, (of_volume, thick) in zip(exposed, largest)]))
    columns = "tumour Dice, mean | true lesions | false lesions | found, ml |\n"
    print(f"| greatest exposure | {columns}|---|---|---|---|---|")
    for threshold, cases in exposed_rows.items():
        print(f"| {threshold} {line(cases)}")
    print(f"\n| exposed by more than | compact by less than | at most mm thick | {columns}|---|---|---|---|---|---|---|")
    for rule, cases in sheet_rows.items():
        print("".join(f"| {value} " for value in rule) + line(cases))


def line(cases: list[tuple]) -> str:
    scores, true, false, volume = zip(*cases)
    mean = np.mean([score for score in scores if score is not None])
    return f"| {mean:.3f} | {sum(true)} | {sum(false)} | {sum(volume):.1f} |"


if __name__ == "__main__":
    main()
