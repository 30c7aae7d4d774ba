"""DICOM objects that hepar writes, read and judged by other programs; and what hepar reads beside what they read.

Needs from PyPI: pydicom, numpy, SimpleITK, highdicom, dicom3tools, dcmqi; from Debian: dcmtk.

    python3 tests/oracles/dicom.py HEPAR [FOLDER_OF_A_REAL_SERIES] > tests/oracles/dicom.md

HEPAR is the program. Synthetic series are made of an axial, a mirrored and an oblique kind; labels are balls. Every line
of the table is a check; the exit code is 1 when one fails.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import highdicom as hd
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

SHAPE = (24, 64, 72)
BIN = pathlib.Path(sys.executable).parent
rows, failed = [], 0


def check(study: str, what: str, passed: bool, detail: str = "") -> None:
    global failed
    failed += not passed
    rows.append(f"| {study} | {what} | {'yes' if passed else '**no**'} | {detail} |")


def run(*command, **options) -> subprocess.CompletedProcess:
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, errors="replace", **options)


def write_series(folder: pathlib.Path, orientation: list[float], seed: int) -> None:
    """A series of slices in an order of names that is not theirs."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    hu = rng.normal(60, 15, SHAPE)
    hu[:, :6] = hu[:, -6:] = -1000
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    normal = np.cross(row, column)
    study, series, frame = (generate_uid(entropy_srcs=[f"{seed}", what]) for what in ("study", "series", "frame"))
    for k in range(SHAPE[0]):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
        uid = generate_uid(entropy_srcs=[f"{seed}", f"slice {k}"])
        meta.MediaStorageSOPInstanceUID = uid
        ds = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = CTImageStorage, uid, "CT"
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
        ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Müller^Anna", f"P{seed}", "19700101", "F"
        ds.SpecificCharacterSet = "ISO_IR 100"
        ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber = "20240101", "120000", "1", "A1"
        ds.ReferringPhysicianName, ds.PositionReferenceIndicator = "", ""
        ds.ImageType, ds.SeriesNumber, ds.InstanceNumber = ["ORIGINAL", "PRIMARY", "AXIAL"], 3, k + 1
        ds.SeriesDescription, ds.Manufacturer = "Abdomen portal venous", "none"
        ds.ImageOrientationPatient = [f"{v:.10g}" for v in orientation]
        ds.ImagePositionPatient = [f"{v:.8f}" for v in np.array([-50.5, -60.25, 700.0]) + normal * 2.5 * k]
        ds.PixelSpacing, ds.SliceThickness = [0.8, 0.75], 2.5
        ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = SHAPE[1], SHAPE[2], 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = -1024, 1, "HU"
        ds.PixelData = np.clip(np.round(hu[k] + 1024), 0, 4095).astype(np.uint16).tobytes()
        ds.save_as(folder / f"{(k * 7) % 24:03}.dcm")


def labels_like(image: sitk.Image, tumour: bool) -> sitk.Image:
    size = np.array(image.GetSize()[::-1])
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in size], indexing="ij"), -1)
    distance = (((grid - size * 0.5) / (size * [0.38, 0.3, 0.33])) ** 2).sum(-1)
    labels = (distance < 1).astype(np.uint8)
    if tumour:
        for centre, radius in (([0.5, 0.45, 0.5], 0.1), ([0.4, 0.6, 0.6], 0.05)):
            labels[(labels > 0) & ((((grid - size * centre) / size) ** 2).sum(-1) < radius**2)] = 2
        # A hole in a tumour, and a single voxel.
        labels[tuple((size * [0.5, 0.45, 0.5]).astype(int))] = 1
        labels[tuple((size * [0.5, 0.6, 0.4]).astype(int))] = 2
    result = sitk.GetImageFromArray(labels)
    result.CopyInformation(image)
    return result


def read_series(folder: pathlib.Path) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def same_grid(a: sitk.Image, b: sitk.Image) -> float:
    """The greatest distance of the corners of two grids, in millimetres; infinite for other sizes."""
    if a.GetSize() != b.GetSize():
        return float("inf")
    corners = [[i * (n - 1) for i, n in zip(c, a.GetSize())] for c in np.ndindex(2, 2, 2)]
    point = lambda image, corner: np.array(image.TransformIndexToPhysicalPoint([int(v) for v in corner]))  # noqa: E731
    return max(float(np.linalg.norm(point(a, c) - point(b, c))) for c in corners)


def dciodvfy(study: str, path: pathlib.Path) -> None:
    said = run(BIN / "dciodvfy", path).stderr + run(BIN / "dciodvfy", path).stdout
    errors = [line for line in said.splitlines() if line.startswith("Error")]
    warnings = [line for line in said.splitlines() if line.startswith("Warning")]
    check(study, f"dciodvfy finds no error in {path.name}", not errors, "; ".join(errors) or f"{len(warnings)} warnings")
    dump = run("dcmdump", path)
    check(study, f"dcmdump opens {path.name}", dump.returncode == 0 and "E:" not in dump.stderr)


def masks(labels: np.ndarray) -> dict[int, np.ndarray]:
    return {1: labels >= 1, 2: labels == 2}


def by_highdicom(study: str, path: pathlib.Path, source: pathlib.Path, labels: np.ndarray) -> None:
    seg = hd.seg.segread(path)
    sorted_by = lambda d: np.dot(np.cross(d.ImageOrientationPatient[:3], d.ImageOrientationPatient[3:]),  # noqa: E731
                                 d.ImagePositionPatient)
    slices = sorted((pydicom.dcmread(f, stop_before_pixels=True) for f in source.iterdir()), key=sorted_by)
    uids = [d.SOPInstanceUID for d in slices]
    combine = seg.SegmentationType == "LABELMAP"
    pixels = seg.get_pixels_by_source_instance(uids, combine_segments=combine, ignore_spatial_locations=False,
                                               assert_missing_frames_are_empty=True)
    if combine:
        same = np.array_equal(pixels, labels)
    else:
        same = all(np.array_equal(pixels[..., n - 1].astype(bool), mask) for n, mask in masks(labels).items())
    check(study, f"highdicom reads the voxels of {path.name}", bool(same))


def by_dcmqi(study: str, path: pathlib.Path, expected: sitk.Image, out: pathlib.Path) -> None:
    out.mkdir()
    tool = BIN / "segimage2itkimage"
    said = run(tool, "--inputDICOM", path, "--outputDirectory", out, "--outputType", "nrrd")
    labels = sitk.GetArrayFromImage(expected)
    same, found = said.returncode == 0, 0
    for number, mask in masks(labels).items():
        file = out / f"{number}.nrrd"
        if not file.exists():
            # Of an empty segment dcmqi may write nothing.
            same &= not mask.any()
            continue
        found += 1
        image = sitk.Resample(sitk.ReadImage(str(file)), expected, sitk.Transform(), sitk.sitkNearestNeighbor)
        same &= np.array_equal(sitk.GetArrayFromImage(image) > 0, mask)
    check(study, f"dcmqi reads the voxels of {path.name}", bool(same), f"{found} segments")


def by_contours(study: str, path: pathlib.Path, expected: sitk.Image) -> None:
    """Areas of the contours against areas of the masks: the shoelace formula, holes through keyholes included."""
    ds = pydicom.dcmread(path)
    labels = sitk.GetArrayFromImage(expected)
    spacing = expected.GetSpacing()
    worst = 0.0
    for contour in ds.ROIContourSequence:
        mask = masks(labels)[int(contour.ReferencedROINumber)]
        area = 0.0
        for item in getattr(contour, "ContourSequence", []):
            points = np.array(item.ContourData, float).reshape(-1, 3)
            area += np.linalg.norm(np.cross(points, np.roll(points, -1, 0)).sum(0)) / 2
        truth = float(mask.sum()) * spacing[0] * spacing[1]
        worst = max(worst, abs(area - truth) / max(truth, 1.0))
    check(study, "contours enclose the area of the masks", worst < 1e-4, f"off by {worst:.1e}")


def study(hepar: pathlib.Path, name: str, source: pathlib.Path, out: pathlib.Path, tumour: bool) -> None:
    out.mkdir()
    ours, theirs = out / "ct.nii.gz", read_series(source)
    converted = run(hepar, "convert", source, ours)
    check(name, "hepar reads the series", converted.returncode == 0, converted.stderr.strip()[:200])
    if converted.returncode:
        return
    ct = sitk.ReadImage(str(ours))
    off = same_grid(ct, theirs)
    check(name, "voxels lie where SimpleITK (GDCM) puts them", off < 1e-3, f"{off:.1e} mm")
    same = np.array_equal(sitk.GetArrayFromImage(ct), np.round(sitk.GetArrayFromImage(theirs)))
    check(name, "voxels are those of SimpleITK (GDCM)", bool(same))
    for ending in ("nrrd", "mha"):
        run(hepar, "convert", source, out / f"ct.{ending}")
        image = sitk.ReadImage(str(out / f"ct.{ending}"))
        same = np.array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(ct)) and same_grid(image, ct) < 1e-3
        check(name, f"SimpleITK reads the same of ct.{ending}", bool(same))
        sitk.WriteImage(image, str(out / f"theirs.{ending}"), ending == "mha")
        run(hepar, "convert", out / f"theirs.{ending}", out / f"back-{ending}.nii.gz")
        back = sitk.ReadImage(str(out / f"back-{ending}.nii.gz"))
        same = np.array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(ct)) and same_grid(back, ct) < 1e-3
        check(name, f"hepar reads the same of SimpleITK's .{ending}", bool(same))
    expected = labels_like(ct, tumour)
    sitk.WriteImage(expected, str(out / "labels.nii.gz"))
    labels = sitk.GetArrayFromImage(expected)
    objects = {"seg.dcm": [], "labelmap.dcm": ["--labelmap"], "lesions.dcm": ["--split-lesions"],
               "rtstruct.dcm": ["--as", "rtstruct"]}
    for file, options in objects.items():
        made = run(hepar, "convert", out / "labels.nii.gz", out / file, "--like", source, *options)
        check(name, f"hepar writes {file}", made.returncode == 0, made.stderr.strip()[:200])
        if made.returncode:
            continue
        dciodvfy(name, out / file)
        back = run(hepar, "convert", out / file, out / f"{file}.nii.gz", "--like", source)
        image = sitk.ReadImage(str(out / f"{file}.nii.gz")) if back.returncode == 0 else None
        same = image is not None and np.array_equal(sitk.GetArrayFromImage(image), labels)
        check(name, f"hepar reads back {file}", bool(same), back.stderr.strip()[:200])
    by_highdicom(name, out / "seg.dcm", source, labels)
    by_highdicom(name, out / "labelmap.dcm", source, labels)
    by_dcmqi(name, out / "seg.dcm", expected, out / "dcmqi")
    by_contours(name, out / "rtstruct.dcm", expected)


def by_probability(study: str, out: pathlib.Path) -> None:
    """highdicom reads the fractions of the DICOM object as SimpleITK reads those of the NIfTI files."""
    seg = hd.seg.segread(str(out / "probability.dcm"))
    kind = (str(seg.SegmentationType), str(seg.SegmentationFractionalType))
    check(study, "highdicom reads probability.dcm as probabilities", kind == ("FRACTIONAL", "PROBABILITY"), str(kind))
    volume = seg.get_volume(rescale_fractional=True)
    affine = volume.affine
    for number, file in enumerate(("liver-probability.nii.gz", "tumour-probability.nii.gz")):
        image = sitk.ReadImage(str(out / file), sitk.sitkFloat32)
        theirs = sitk.GetArrayFromImage(image)
        worst, ours = 0.0, volume.array[..., number]
        for index in np.argwhere(ours > 0)[::97]:
            point = (affine @ np.append(index, 1.0))[:3]
            i, j, k = image.TransformPhysicalPointToIndex([float(v) for v in point])
            worst = max(worst, abs(float(ours[tuple(index)]) - float(theirs[k, j, i])))
        total = abs(float(ours.sum()) - float(theirs.sum())) / max(float(theirs.sum()), 1.0)
        check(study, f"highdicom's probabilities are those of {file}", worst < 2e-3 and total < 1e-3,
              f"off by {worst:.1e}, in all by {total:.1e}")


def report(hepar: pathlib.Path, source: pathlib.Path, out: pathlib.Path, name: str) -> None:
    """A whole run, with the report that only segmenting makes."""
    kinds = "labels,seg,rtstruct,sr,nrrd,probabilities,fractional-seg"
    done = run(hepar, "segment", source, "-o", out, "--write", kinds, "--force")
    check(name, f"hepar segment writes {kinds}", done.returncode == 0, done.stdout.split("\n")[0][:120])
    if done.returncode:
        return
    for file in ("seg.dcm", "rtstruct.dcm", "sr.dcm", "probability.dcm"):
        dciodvfy(name, out / file)
    by_probability(name, out)
    sr = pydicom.dcmread(out / "sr.dcm")
    read = hd.sr.ComprehensiveSR.from_dataset(sr)
    groups = hd.sr.MeasurementReport.from_sequence(read.content, is_root=True)
    text = str(sr)
    check(name, "highdicom reads the report as TID 1500", groups is not None,
          f"{len(re.findall('Measurement Group', text))} groups")
    image, seg = sitk.ReadImage(str(out / "labels.seg.nrrd")), sitk.ReadImage(str(out / "labels.nii.gz"))
    same = np.array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(seg))
    check(name, "labels.seg.nrrd has the labels of labels.nii.gz", bool(same) and same_grid(image, seg) < 1e-3)


def same_labels(hepar: pathlib.Path, source: pathlib.Path, out: pathlib.Path, name: str) -> None:
    """The same anatomy as DICOM and as NIfTI that SimpleITK wrote."""
    out.mkdir()
    sitk.WriteImage(sitk.Cast(read_series(source), sitk.sitkInt16), str(out / "ct.nii.gz"))
    for kind, path in (("dicom", source), ("nifti", out / "ct.nii.gz")):
        run(hepar, "segment", path, "-o", out / f"{kind}.nii.gz")
    a, b = (sitk.GetArrayFromImage(sitk.ReadImage(str(out / f"{kind}.nii.gz"))) for kind in ("dicom", "nifti"))
    total = (a > 0).sum() + (b > 0).sum()
    dice = 2 * ((a > 0) & (b > 0)).sum() / total if total else 1.0
    check(name, "DICOM and NIfTI give the same labels", dice >= 0.999, f"Dice {dice:.4f}, {int((a != b).sum())} voxels differ")


def main() -> int:
    hepar = pathlib.Path(sys.argv[1]).resolve()
    work = pathlib.Path(tempfile.mkdtemp())
    c, s = np.cos(np.radians(20)), np.sin(np.radians(20))
    kinds = {
        "axial": ([1, 0, 0, 0, 1, 0], True),
        "mirrored": ([-1, 0, 0, 0, 1, 0], True),
        "oblique": ([c, s, 0, -s * c, c * c, s], True),
        "no tumour": ([1, 0, 0, 0, 1, 0], False),
    }
    for seed, (name, (orientation, tumour)) in enumerate(kinds.items()):
        source = work / f"source-{seed}"
        write_series(source, orientation, seed)
        study(hepar, name, source, work / f"out-{seed}", tumour)
    report(hepar, work / "source-0", work / "result", "nothing found")
    if len(sys.argv) > 2:
        real = pathlib.Path(sys.argv[2])
        report(hepar, real, work / "result-real", "real series")
        same_labels(hepar, real, work / "same", "real series")
    shutil.rmtree(work)
    print("# Other programs on hepar's DICOM\n\nMade by `tests/oracles/dicom.py`.\n")
    print("| study | check | passed | |\n|---|---|---|---|")
    print("\n".join(rows))
    print(f"\n{len(rows) - failed} of {len(rows)} checks passed.")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
