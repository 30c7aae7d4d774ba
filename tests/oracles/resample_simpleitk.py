"""Golden numbers for hepar-volume: resampling by SimpleITK, components and holes by SciPy.

    pip install SimpleITK numpy scipy
    python tests/oracles/resample_simpleitk.py > crates/hepar-volume/tests/golden/simpleitk.txt

Each line is a name, a colon and numbers. The voxels of the source and of the mask come from splitmix64, so that
crates/hepar-volume/tests/golden.rs makes the same ones; the grids are written out. Arrays are [k, j, i] in C order.
"""

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

OUTSIDE = -2000.0


def splitmix64(seed, count):
    """The first `count` numbers of splitmix64."""
    mask = (1 << 64) - 1
    numbers = []
    for _ in range(count):
        seed = (seed + 0x9E3779B97F4A7C15) & mask
        z = seed
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        numbers.append(z ^ (z >> 31))
    return numbers


def rotation(x, y, z):
    """Rotation by the angles, in degrees, about the axes x, then y, then z."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.radians([x, y, z])), np.sin(np.radians([x, y, z]))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def affine(directions, spacing, origin):
    """A 4x4 matrix from (i, j, k, 1) to RAS+ mm; `spacing` is (i, j, k)."""
    matrix = np.eye(4)
    matrix[:3, :3] = directions * np.array(spacing)
    matrix[:3, 3] = origin
    return matrix


def image(values, matrix):
    """A SimpleITK image of `values`, [k, j, i], on the RAS+ grid of `matrix`; SimpleITK's world is LPS."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    result = sitk.GetImageFromArray(values)
    result.SetSpacing(spacing)
    result.SetDirection((lps[:3, :3] / spacing).ravel())
    result.SetOrigin(lps[:3, 3])
    return result


def show(name, numbers, form="{}"):
    print(f"{name}:", *(form.format(n) for n in np.asarray(numbers).ravel()))


def resampling():
    shape = (7, 9, 11)
    values = np.array([n % 401 for n in splitmix64(1, 7 * 9 * 11)], dtype=np.float64).reshape(shape) - 200
    # The rotation keeps j and k as they are stored and turns i round, as in a scan of RAI order.
    directions = rotation(12, -17, 25) @ np.diag([-1.0, 1.0, 1.0])
    source = affine(directions, (0.8, 0.9, 2.5), (31.0, -22.0, 105.0))
    moving = image(values, source)
    middle = (source @ [5, 4, 3, 1])[:3]
    targets = {
        "oblique": (affine(rotation(-8, 11, -30) @ np.diag([1.0, -1.0, 1.0]), (1.1, 0.7, 1.9), np.zeros(3)), (8, 9, 7)),
        "parallel": (affine(directions @ np.diag([-1.0, 1.0, -1.0]), (0.67, 1.3, 1.7), np.zeros(3)), (9, 6, 10)),
    }
    show("source_shape", shape)
    show("source_affine", source, "{:.17g}")
    for name, (target, target_shape) in targets.items():
        centre = target[:3, :3] @ ((np.array(target_shape[::-1]) - 1) / 2 + [0.21, -0.13, 0.34])
        target[:3, 3] = middle - centre
        reference = image(np.zeros(target_shape), target)
        show(f"{name}_shape", target_shape)
        show(f"{name}_affine", target, "{:.17g}")
        for kind, interpolator in [("linear", sitk.sitkLinear), ("nearest", sitk.sitkNearestNeighbor)]:
            result = sitk.Resample(moving, reference, sitk.Transform(), interpolator, OUTSIDE, sitk.sitkFloat64)
            show(f"{name}_{kind}", sitk.GetArrayFromImage(result), "{:.5f}" if kind == "linear" else "{:.0f}")


def masks():
    shape = (13, 17, 19)
    numbers = np.array([n % 1000 for n in splitmix64(2, 13 * 17 * 19)]).reshape(shape)
    show("mask_shape", shape)
    for name, rank in [("6", 1), ("18", 2), ("26", 3)]:
        # Sparse enough for each neighbourhood that there are many components of several sizes.
        density = {"6": 250, "18": 120, "26": 90}[name]
        labels, count = ndimage.label(numbers < density, ndimage.generate_binary_structure(3, rank))
        _, first = np.unique(labels.ravel(), return_index=True)
        order = labels.ravel()[np.sort(first)]
        sizes = np.bincount(labels.ravel())
        show(f"components_{name}", [density, *(sizes[label] for label in order if label > 0)])
        assert count == len(order) - 1
    filled = ndimage.binary_fill_holes(numbers < 720)
    show("filled", np.flatnonzero(filled & (numbers >= 720)))


resampling()
masks()
