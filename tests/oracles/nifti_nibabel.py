"""Makes small NIfTI files with nibabel, and what nibabel reads from them.

    pip install nibabel numpy
    python tests/oracles/nifti_nibabel.py

writes crates/hepar-formats/tests/golden/*.bin (NIfTI files under a neutral name) and golden/expected.json: for each
file its affine and its voxels in the order of the file (i fastest), slope and intercept applied.
"""

import gzip
import io
import json
from pathlib import Path

import nibabel as nib
import numpy as np

OUT = Path(__file__).resolve().parents[2] / "crates/hepar-formats/tests/golden"
SHAPE = (4, 3, 2)
OBLIQUE = np.array([[-0.7, 0.05, 0.4, 120.5], [0.03, -0.68, 0.9, -80.25], [0.1, 0.2, 2.3, -1000.0], [0, 0, 0, 1]])

files: dict[str, bytes] = {}


def raw(dtype: str) -> tuple[np.ndarray, float | None, float | None]:
    """Stored numbers with the slope and intercept that make Hounsfield units of them."""
    n = np.arange(np.prod(SHAPE)).reshape(SHAPE, order="F")
    if dtype == "u1":
        return (n * 11).astype(dtype), 400 / 255, -160.0
    if dtype == "i1":
        return (n * 10 - 120).astype(dtype), None, None
    if dtype.startswith("u"):
        return (n * 50).astype(dtype), 1.0, -1024.0
    if dtype.startswith("f"):
        return (n * 50.3 - 1000.0).astype(dtype), None, None
    return (n * 50 - 1000).astype(dtype), None, None


def image(version: int, order: str, dtype: str, affine: np.ndarray) -> nib.Nifti1Image:
    kind, header = {1: (nib.Nifti1Image, nib.Nifti1Header), 2: (nib.Nifti2Image, nib.Nifti2Header)}[version]
    stored, slope, intercept = raw(dtype)
    header = header(endianness=order)
    header.set_data_dtype(dtype)
    made = kind(stored, affine, header)
    if slope is not None:
        made.header.set_slope_inter(slope, intercept)
    made.header.set_xyzt_units("mm")
    return made


def rotation(axis: tuple[float, float, float], degrees: float) -> np.ndarray:
    return nib.quaternions.angle_axis2mat(np.radians(degrees), axis)


def with_qform_only(made: nib.Nifti1Image, affine: np.ndarray) -> nib.Nifti1Image:
    made.set_qform(affine, code=1)
    made.set_sform(None, code=0)
    return made


def affine_of(turn: np.ndarray, spacing: tuple[float, float, float], offset: tuple[float, float, float]) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = turn * np.array(spacing)
    affine[:3, 3] = offset
    return affine


TYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]
for dtype in TYPES:
    for order, name in (("<", "little"), (">", "big")):
        files[f"one_{name}_{dtype}"] = image(1, order, dtype, OBLIQUE).to_bytes()
for order, name in (("<", "little"), (">", "big")):
    for dtype in ("u1", "i2", "f8"):
        files[f"two_{name}_{dtype}"] = image(2, order, dtype, OBLIQUE).to_bytes()

turned = affine_of(rotation((0.3, -0.5, 0.8), 37), (0.7, 0.8, 2.5), (10.5, -200.25, 33.0))
mirrored = turned @ np.diag([1, 1, -1, 1])
half_turn = affine_of(rotation((0, 0, 1), 180), (0.7, 0.7, 5.0), (180.0, 170.0, -600.0))
for name, affine in (("turned", turned), ("mirrored", mirrored), ("half_turn", half_turn)):
    for version in (1, 2):
        made = with_qform_only(image(version, "<", "i2", affine), affine)
        files[f"qform_{name}_{version}"] = made.to_bytes()

both = image(1, ">", "i2", OBLIQUE)
both.set_qform(half_turn, code=1)
both.set_sform(OBLIQUE, code=2)
files["sform_before_qform"] = both.to_bytes()

extended = image(1, "<", "i2", OBLIQUE)
extended.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"a comment of some length"))
files["extension"] = extended.to_bytes()

one_time_point = nib.Nifti1Image(raw("i2")[0][..., None], OBLIQUE)
files["one_time_point"] = one_time_point.to_bytes()

plain = files["one_little_i2"]
parts = [plain[:200], plain[200:370], b"", plain[370:]]
files["gzip"] = gzip.compress(plain, mtime=0)
files["gzip_members"] = b"".join(gzip.compress(part, mtime=0) for part in parts)

OUT.mkdir(parents=True, exist_ok=True)
expected = {}
for name, content in files.items():
    (OUT / f"{name}.bin").write_bytes(content)
    bytes_ = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    kind = nib.Nifti2Image if bytes_[4:7] == b"n+2" else nib.Nifti1Image
    made = kind.from_stream(io.BytesIO(bytes_))
    expected[name] = {
        "affine": made.affine.tolist(),
        "shape": list(made.shape[:3]),
        "voxels": np.round(made.get_fdata().ravel(order="F"), 4).tolist(),
        "orientation": "".join(nib.aff2axcodes(made.affine)),
    }
lines = ",\n".join(f'"{name}": {json.dumps(case)}' for name, case in expected.items())
(OUT / "expected.json").write_text("{\n" + lines + "\n}\n")
