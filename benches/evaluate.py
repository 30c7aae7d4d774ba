"""Scores of one large pair: hepar against MedPy on SciPy, in turns.

    python3 -m venv .venv && .venv/bin/pip install nibabel numpy scipy medpy
    cargo build --release -p hepar
    .venv/bin/python benches/evaluate.py --hepar target/release/hepar [--labels LABELS.nii.gz] [--turns 3]

The pair has 512 x 512 x 300 voxels. Without --labels, liver and lesions are ellipsoids; with it they are those of the
file, padded or cut to that size, and the prediction is the reference moved by a voxel along each axis, with a lesion
dropped and one invented. Both programs read the same compressed files and give Dice, VOE, RVD, ASSD, RMSD and MSD of
the liver and of every lesion object of the challenge's protocol; MedPy works inside the box around each object, with
the surface distances of both directions computed once, which is the best that its parts allow. Times are of whole
processes. The machine's other work disturbs both alike because they take turns; the least time of each is reported
beside all of them.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time

SHAPE = (512, 512, 300)
SPACING = (0.75, 0.75, 1.0)
SEED = 20170912


def ellipsoid(np, labels, centre, radii, label):
    """Paints an ellipsoid; all in voxels."""
    low = [max(int(c - r) - 1, 0) for c, r in zip(centre, radii)]
    high = [min(int(c + r) + 2, n) for c, r, n in zip(centre, radii, labels.shape)]
    grids = np.ogrid[tuple(slice(a, b) for a, b in zip(low, high))]
    inside = sum(((g - c) / r) ** 2 for g, c, r in zip(grids, centre, radii)) <= 1
    part = labels[tuple(slice(a, b) for a, b in zip(low, high))]
    part[inside & ((part > 0) | (label == 1))] = label


def synthetic(np):
    rng = np.random.default_rng(SEED)
    labels = np.zeros(SHAPE, np.uint8)
    ellipsoid(np, labels, (210, 260, 150), (140, 105, 95), 1)
    ellipsoid(np, labels, (300, 220, 170), (110, 70, 60), 1)
    for _ in range(30):
        centre = rng.uniform((110, 180, 80), (330, 330, 220))
        ellipsoid(np, labels, centre, rng.uniform(2, 14, 3), 2)
    return labels


def fitted(np, nib, path):
    """The labels of a file, padded at the end or cut to the size of the bench."""
    image = nib.load(path)
    stored = np.asarray(image.dataobj).astype(np.uint8)[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    labels = np.zeros(SHAPE, np.uint8)
    labels[tuple(slice(0, n) for n in stored.shape)] = stored
    return labels, image.header.get_zooms()[:3]


def write_pair(folder, labels_file):
    import nibabel as nib
    import numpy as np
    from scipy import ndimage

    reference, spacing = fitted(np, nib, labels_file) if labels_file else (synthetic(np), SPACING)
    prediction = np.roll(reference, (1, 1, 1), (0, 1, 2))
    lesions, count = ndimage.label(prediction == 2)
    if count > 1:
        prediction[lesions == count] = 1
    ellipsoid(np, prediction, [n * 0.45 for n in SHAPE], (6, 6, 6), 2)
    for name, labels in [("prediction", prediction), ("reference", reference)]:
        image = nib.Nifti1Image(labels, np.diag([*spacing, 1.0]))
        nib.save(image, os.path.join(folder, name + ".nii.gz"))
    return {"lesions": int(ndimage.label(reference == 2)[1]), "liver voxels": int((reference > 0).sum())}


def medpy_scores(prediction_file, reference_file):
    """The challenge's metrics by MedPy, for the liver and every pair of lesions that overlap."""
    import nibabel as nib
    import numpy as np
    from medpy.metric import binary
    from scipy import ndimage

    distances = getattr(binary, "__surface_distances")

    def scores(p, r, spacing):
        to_r, to_p = distances(p, r, spacing, 2), distances(r, p, spacing, 2)
        both = np.hstack([to_r, to_p])
        return {
            "dice": binary.dc(p, r),
            "voe": 1 - binary.jc(p, r),
            "rvd": binary.ravd(p, r),
            "assd": both.mean(),
            "rmsd": np.sqrt((both**2).mean()),
            "msd": both.max(),
        }

    reference = nib.load(reference_file)
    spacing = [float(v) for v in reference.header.get_zooms()[:3]]
    r = np.asarray(reference.dataobj).astype(np.uint8)
    p = np.asarray(nib.load(prediction_file).dataobj).astype(np.uint8)
    box = ndimage.find_objects(((p > 0) | (r > 0)).astype(np.int8))[0]
    result = {"liver": scores((p >= 1)[box], (r >= 1)[box], spacing), "lesions": []}
    p_lesions, _ = ndimage.label(p == 2)
    r_lesions, _ = ndimage.label(r == 2)
    both = (p_lesions > 0) & (r_lesions > 0)
    for a, b in np.unique(np.stack([p_lesions[both], r_lesions[both]], 1), axis=0):
        one, other = p_lesions == a, r_lesions == b
        box = ndimage.find_objects((one | other).astype(np.int8))[0]
        result["lesions"].append(scores(one[box], other[box], spacing))
    return result


def timed(command):
    """Wall seconds and peak memory in MB of a command."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"{command} failed")
    return seconds, usage.ru_maxrss / 1024


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    return f"{model}, {len(os.sched_getaffinity(0))} cores used, load {os.getloadavg()[0]:.1f}, {platform.system()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hepar", default="target/release/hepar")
    parser.add_argument("--labels", help="label volume to make the pair of")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--write", metavar="FOLDER", help=argparse.SUPPRESS)
    parser.add_argument("--medpy", nargs=3, metavar=("PRED", "REF", "OUT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.medpy:
        prediction, reference, out = options.medpy
        json.dump(medpy_scores(prediction, reference), open(out, "w"))
        return
    if options.write:
        print(write_pair(options.write, options.labels))
        return
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    with tempfile.TemporaryDirectory() as folder:
        print("machine:", machine())
        # In a process of its own: the peak memory of a program begins with that of its parent.
        write = [sys.executable, __file__, "--write", folder] + (["--labels", options.labels] if options.labels else [])
        print("pair:", SHAPE, subprocess.run(write, check=True, capture_output=True, text=True).stdout.strip())
        files = [os.path.join(folder, name + ".nii.gz") for name in ("prediction", "reference")]
        out = os.path.join(folder, "scores.json")
        evaluate = [options.hepar, "evaluate", *files, "--json", out]
        rivals = {
            "hepar, protocol lits-2017": [*evaluate, "--protocol", "lits-2017"],
            "hepar, protocol hepar (also HD95, surface Dice)": evaluate,
            "MedPy on SciPy": [sys.executable, __file__, "--medpy", *files, out],
        }
        runs, liver = {name: [] for name in rivals}, {}
        for _ in range(options.turns):
            for name, command in rivals.items():
                if os.path.exists(out):
                    os.remove(out)
                runs[name].append(timed(command))
                scores = json.load(open(out))
                liver[name] = scores["liver"] if "liver" in scores else scores["cases"][0]["liver"]
        best = {name: min(seconds for seconds, _ in turns) for name, turns in runs.items()}
        print("| program | seconds | all turns | peak MB | times MedPy | ASSD of the liver, mm |")
        print("|---|---|---|---|---|---|")
        for name, turns in runs.items():
            every = ", ".join(f"{seconds:.2f}" for seconds, _ in turns)
            peak, ratio = max(memory for _, memory in turns), best["MedPy on SciPy"] / best[name]
            print(f"| {name} | {best[name]:.2f} | {every} | {peak:.0f} | {ratio:.1f} | {liver[name]['assd']:.9f} |")


main()
