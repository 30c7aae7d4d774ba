"""Every figure of `hepar evaluate` against MedPy, SciPy, SimpleITK and DeepMind's surface-distance.

    python3 -m venv .venv && .venv/bin/pip install -r tests/oracles/requirements.txt
    .venv/bin/python tests/oracles/metrics.py --hepar target/release/hepar LABELS.nii.gz...

From each label volume (0 background, 1 liver, 2 tumour) some pairs are made: moved, eroded, dilated, with lesions
dropped, split, joined and invented. The program scores all of them in one run for each protocol;
the same figures are computed here from other libraries, and the greatest deviation of each is printed as a table.
What the libraries lack, the matching of lesions, is done here on voxels, as the definitions say and without regard
for speed: by SciPy's assignment for hepar's protocol, by painting label arrays for that of the challenge.

`--golden FILE` instead writes small volumes of random blobs, as text, with their figures: the golden numbers of
`crates/hepar-metrics/tests/goldens.rs`.
"""

import argparse
import json
import os
import subprocess
import tempfile
import warnings

import nibabel as nib
import numpy as np
import SimpleITK as sitk
import surface_distance
from medpy.metric import binary
from scipy import ndimage, stats
from scipy.optimize import linear_sum_assignment

FACES = ndimage.generate_binary_structure(3, 1)
CORNERS = ndimage.generate_binary_structure(3, 3)
SEED = 20181103
LARGE = 9001.0
medpy_distances = getattr(binary, "__surface_distances")
# surface-distance 0.1 uses a name that NumPy 2 no longer has.
np.Inf = np.inf


# ---- pairs ---------------------------------------------------------------------------------------------------------


def moved(labels, rng):
    return np.roll(labels, rng.integers(-3, 4, 3), (0, 1, 2))


def eroded(labels, rng):
    inner = ndimage.binary_erosion(labels > 0, FACES, iterations=2)
    return np.where(inner, labels, 0)


def dilated(labels, rng):
    result = np.where(ndimage.binary_dilation(labels > 0, FACES, iterations=2), 1, 0)
    result[ndimage.binary_dilation(labels == 2, CORNERS)] = 2
    return result


def lesions_dropped(labels, rng):
    lesions, count = ndimage.label(labels == 2, CORNERS)
    dropped = np.isin(lesions, rng.permutation(count)[: (count + 1) // 2] + 1)
    return np.where(dropped, 1, labels)


def lesions_split(labels, rng):
    result = labels.copy()
    lesions, _ = ndimage.label(labels == 2, CORNERS)
    for number, box in enumerate(ndimage.find_objects(lesions), 1):
        axis = int(np.argmax([s.stop - s.start for s in box]))
        middle = [slice(None)] * 3
        middle[axis] = (box[axis].start + box[axis].stop) // 2
        middle = tuple(middle)
        result[middle][lesions[middle] == number] = 1
    return result


def lesions_joined(labels, rng):
    joined = ndimage.binary_closing(labels == 2, CORNERS, iterations=6)
    return np.where((labels > 0) & joined, 2, labels)


def lesions_invented(labels, rng):
    result = labels.copy()
    voxels = np.argwhere(labels == 1)
    grids = np.ogrid[tuple(slice(0, n) for n in labels.shape)]
    for centre in voxels[rng.integers(0, len(voxels), 6)]:
        radii = rng.uniform(1, 8, 3)
        blob = sum(((g - c) / r) ** 2 for g, c, r in zip(grids, centre, radii)) <= 1
        result[blob & (result > 0)] = 2
    return result


def everything(labels, rng):
    for change in (lesions_dropped, lesions_invented, moved):
        labels = change(labels, rng)
    return labels


CHANGES = [moved, eroded, dilated, lesions_dropped, lesions_split, lesions_joined, lesions_invented, everything]


# ---- figures of one object -----------------------------------------------------------------------------------------


def boxed(p, r):
    box = ndimage.find_objects((p | r).astype(np.int8))
    return (p[box[0]], r[box[0]]) if box else (p, r)


def overlap_figures(p, r):
    """Dice, Jaccard, VOE by SimpleITK; RVD by MedPy."""
    measures = sitk.LabelOverlapMeasuresImageFilter()
    image = [sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in (r, p)]
    measures.Execute(*image)
    dice, jaccard = measures.GetDiceCoefficient(1), measures.GetJaccardCoefficient(1)
    return {"dice": dice, "jaccard": jaccard, "voe": 1 - jaccard, "rvd": binary.ravd(p, r) if r.any() else None}


def distance_figures(p, r, spacing):
    """Surface distances by MedPy with the 18-neighbourhood."""
    if not p.any() or not r.any():
        return {}
    both = np.hstack([medpy_distances(p, r, spacing, 2), medpy_distances(r, p, spacing, 2)])
    return {
        "assd": both.mean(),
        "rmsd": np.sqrt((both**2).mean()),
        "msd": both.max(),
        "hd95": np.percentile(both, 95),
    }


def surface_dice_figures(p, r, spacing):
    """Surface Dice by DeepMind's surface-distance."""
    if not p.any() and not r.any():
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        distances = surface_distance.compute_surface_distances(r, p, spacing)
    dice = surface_distance.compute_surface_dice_at_tolerance
    return {f"nsd_{mm}mm": float(dice(distances, mm)) for mm in (1, 2, 3)}


def figures(p, r, spacing, surface_dice=True):
    p, r = boxed(p, r)
    result = {**overlap_figures(p, r), **distance_figures(p, r, spacing)}
    return {**result, **surface_dice_figures(p, r, spacing)} if surface_dice else result


# ---- hepar's protocol ----------------------------------------------------------------------------------------------


def hepar_protocol(p, r, spacing):
    ml = np.prod(spacing) / 1000
    result = {}
    for name, belongs in [("liver", lambda v: v >= 1), ("tumour", lambda v: v == 2)]:
        result[name] = figures(belongs(p), belongs(r), spacing)
        result[name]["predicted_ml"], result[name]["reference_ml"] = belongs(p).sum() * ml, belongs(r).sum() * ml
    p_lesions, p_count = ndimage.label(p == 2, CORNERS)
    r_lesions, r_count = ndimage.label(r == 2, CORNERS)
    shared = np.zeros((p_count, r_count), int)
    both = (p_lesions > 0) & (r_lesions > 0)
    np.add.at(shared, (p_lesions[both] - 1, r_lesions[both] - 1), 1)
    pairs = [(a, b) for a, b in zip(*linear_sum_assignment(shared, maximize=True)) if shared[a, b] > 0]
    sizes = [np.bincount(lesions.ravel())[1:] for lesions in (p_lesions, r_lesions)]
    iou = {(a, b): shared[a, b] / (sizes[0][a] + sizes[1][b] - shared[a, b]) for a, b in pairs}
    result["detection"] = {}
    for name, threshold in [("0", 0), ("0.5", 0.5)]:
        tp = sum(value > threshold for value in iou.values())
        result["detection"][name] = {"tp": tp, "fp": p_count - tp, "fn": r_count - tp}
    found = [figures(p_lesions == a + 1, r_lesions == b + 1, spacing) for (a, b), value in iou.items() if value > 0.5]
    result["lesion"] = {key: np.mean([f[key] for f in found]) for key in found[0]} if found else {}
    tumour = result["tumour"]["dice"] if (p == 2).any() or (r == 2).any() else 1.0
    result["lesion"]["dice_per_case"] = tumour
    burdens = [(v == 2).sum() / (v >= 1).sum() for v in (p, r)]
    result["burden"] = {"prediction": burdens[0], "reference": burdens[1], "error": abs(burdens[0] - burdens[1])}
    return result


# ---- the challenge's protocol --------------------------------------------------------------------------------------


def challenge_groups(p_lesions, r_lesions, threshold):
    """Labels painted on the prediction and on the reference, and what counts as found."""
    painted, merged = np.zeros(p_lesions.shape, np.uint8), r_lesions.copy()
    numbers = range(1, r_lesions.max() + 1)
    shares = {g: np.bincount(p_lesions[r_lesions == g], minlength=p_lesions.max() + 1) for g in numbers}
    owner = {g: 1 + int(np.argmax(share[1:])) for g, share in shares.items() if share[1:].any()}
    size = {g: 1 for g in numbers}
    for p in sorted(set(owner.values())):
        group = [g for g in numbers if owner.get(g) == p]
        merged[np.isin(r_lesions, group)] = group[0]
        size[group[0]] = len(group)
    groups = {}
    for p in range(1, p_lesions.max() + 1):
        share = np.bincount(merged[p_lesions == p], minlength=r_lesions.max() + 1)
        share[0] = 0
        if share.any():
            groups.setdefault(int(np.argmax(share)), []).append(p)
    for g, members in groups.items():
        painted[np.isin(p_lesions, members)] = g % 256
    found = len(groups)
    for p, g in sorted((members[0], g) for g, members in groups.items()):
        own = (np.isin(p_lesions, groups[g]) & (merged == g)).sum()
        if own / ((painted == p) | (merged == g)).sum() <= threshold:
            painted[painted == g] = 0
            found -= size[g]
    return painted, merged, found


def challenge_protocol(p, r, spacing):
    def seven(p, r):
        if not p.any() or not r.any():
            return dict(dice=0.0, jaccard=0.0, voe=1.0, rvd=LARGE, assd=LARGE, rmsd=LARGE, msd=LARGE)
        return {k: v for k, v in figures(p, r, spacing, surface_dice=False).items() if k != "hd95"}

    has_liver = (p == 1).any()
    result = {"liver": seven(p >= 1, r >= 1) if has_liver else seven(p > 9, r >= 1), "detection": {}, "lesion": {}}
    result["liver"]["dice_per_case"] = result["liver"]["dice"]
    p_lesions, p_count = ndimage.label(p == 2, FACES)
    r_lesions, r_count = ndimage.label(r == 2, FACES)
    for name, threshold in [("0", 0), ("0.5", 0.5)]:
        painted, merged, tp = challenge_groups(p_lesions, r_lesions, threshold)
        result["detection"][name] = {"tp": tp, "fp": p_count - tp, "fn": r_count - tp}
    objects = [seven(painted == n, merged == n) for n in np.unique(painted) if n > 0] if tp > 0 else []
    for key in ("dice", "jaccard", "voe", "rvd", "assd", "rmsd", "msd"):
        none = {"dice": 0.0, "jaccard": 0.0, "voe": 1.0}.get(key, LARGE)
        result["lesion"][key] = np.mean([o[key] for o in objects]) if objects else none
    result["lesion"]["objects"] = len(objects)
    lesions = (p == 2).any() or (r == 2).any()
    result["lesion"]["dice_per_case"] = binary.dc(p == 2, r == 2) if lesions else 1.0
    burden = (p == 2).sum() / (p >= 1).sum() if has_liver else LARGE
    result["burden"] = {"difference": (r == 2).sum() / (r >= 1).sum() - burden}
    return result


PROTOCOLS = {"hepar": hepar_protocol, "lits-2017": challenge_protocol}


# ---- comparison ----------------------------------------------------------------------------------------------------


def flat(values, path=""):
    for key, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{path}{key}/")
        else:
            yield path + key, value


def deviations(expected, found, table):
    """Takes the figures of a case into the table of path to [cases, greatest deviation, greatest value]."""
    found = dict(flat(found))
    for path, value in flat(expected):
        if value is None:
            continue
        row = table.setdefault(path, [0, 0.0, 0.0])
        deviation = float("inf") if found.get(path) is None else abs(found[path] - value)
        row[:] = [row[0] + 1, max(row[1], deviation), max(row[2], abs(float(value)))]


def program(hepar, folder, protocol):
    out = os.path.join(folder, protocol + ".json")
    pairs = os.path.join(folder, "pairs.csv")
    command = [hepar, "evaluate", "--pairs", pairs, "--protocol", protocol, "--json", out]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    result = json.load(open(out))
    if result["problems"]:
        raise SystemExit(result["problems"])
    return {case["name"]: case for case in result["cases"]}


def real_pairs(files, folder):
    """Writes pairs made from label volumes and gives their arrays and spacings."""
    rng, pairs = np.random.default_rng(SEED), {}
    for file in files:
        image = nib.load(file)
        reference = np.asarray(image.dataobj).astype(np.uint8)
        spacing = tuple(float(v) for v in image.header.get_zooms()[:3])
        has_lesions = (reference == 2).any()
        for change in CHANGES:
            needs_lesions = change in (lesions_dropped, lesions_split, lesions_joined)
            if needs_lesions and not has_lesions:
                continue
            prediction = change(reference, rng).astype(np.uint8)
            name = f"{os.path.basename(file).split('.')[0]}-{change.__name__}"
            for kind, labels in [("p", prediction), ("r", reference)]:
                part = nib.Nifti1Image(labels, image.affine)
                part.header.set_zooms(image.header.get_zooms()[:3])
                nib.save(part, os.path.join(folder, f"{name}-{kind}.nii.gz"))
            pairs[name] = (prediction, reference, spacing)
    with open(os.path.join(folder, "pairs.csv"), "w") as file:
        file.write("name,prediction,reference\n")
        file.writelines(f"{name},{name}-p.nii.gz,{name}-r.nii.gz\n" for name in pairs)
    return pairs


def compare(hepar, files):
    with tempfile.TemporaryDirectory() as folder:
        pairs = real_pairs(files, folder)
        print(f"{len(pairs)} pairs from {len(files)} label volumes\n")
        print("| protocol | figure | pairs | greatest deviation | greatest value |")
        print("|---|---|---|---|---|")
        for protocol, score in PROTOCOLS.items():
            found, table = program(hepar, folder, protocol), {}
            for name, (prediction, reference, spacing) in pairs.items():
                box = ndimage.find_objects(((prediction > 0) | (reference > 0)).astype(np.int8))[0]
                deviations(score(prediction[box], reference[box], spacing), found[name], table)
            for path, (count, deviation, greatest) in sorted(table.items()):
                print(f"| {protocol} | {path} | {count} | {deviation:.1e} | {greatest:.6g} |")


# ---- golden numbers ------------------------------------------------------------------------------------------------


def golden_volume(rng, shape):
    def blobs(share, width):
        field = ndimage.gaussian_filter(rng.normal(size=shape), width)
        return field > np.quantile(field, 1 - share)

    labels = blobs(0.7, 2).astype(np.uint8)
    labels[blobs(rng.uniform(0.1, 0.3), 0.9)] = 2
    return labels


def golden(path):
    rng, cases = np.random.default_rng(SEED), []
    for _ in range(8):
        shape, spacing = tuple(int(n) for n in rng.integers(6, 12, 3)), tuple(rng.uniform(0.5, 4, 3).round(2).tolist())
        reference = golden_volume(rng, shape)
        prediction = np.where(rng.random(shape) < 0.9, np.roll(reference, 1, 0), golden_volume(rng, shape))
        scores = {name: dict(flat(score(prediction, reference, spacing))) for name, score in PROTOCOLS.items()}
        text = ["".join(map(str, labels.ravel())) for labels in (prediction, reference)]
        cases.append({"shape": shape, "spacing": spacing, "prediction": text[0], "reference": text[1], **scores})
    tests = []
    for count in (6, 14, 30, 70):
        differences = rng.normal(0.4, 1, count).round(6).tolist()
        tests.append({"differences": differences, "p": float(stats.wilcoxon(differences).pvalue)})
    as_number = lambda value: value.item() if hasattr(value, "item") else value
    with open(path, "w") as file:
        json.dump({"cases": cases, "wilcoxon": tests}, file, default=as_number, indent=1)
        file.write("\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", nargs="*")
    parser.add_argument("--hepar", default="target/release/hepar")
    parser.add_argument("--golden")
    options = parser.parse_args()
    if options.golden:
        golden(options.golden)
    else:
        compare(options.hepar, options.labels)


main()
