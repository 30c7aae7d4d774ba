"""Small DICOM files in every transfer syntax, made by other programs, and the Hounsfield units in them.

Needs dcmcjpeg, dcmcrle, dcmcjpls, dcmconv (DCMTK) and gdcmconv (GDCM) on the path, and from PyPI: pydicom, numpy,
pylibjpeg-openjpeg, imagecodecs. Writes crates/hepar-formats/tests/golden/dicom/.

    python3 tests/oracles/dicom_fixtures.py
"""

import json
import pathlib
import subprocess
import sys

import imagecodecs
import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

ROOT = pathlib.Path(__file__).parents[2] / "crates/hepar-formats/tests/golden/dicom"
ROWS, COLUMNS = 16, 12


def image(signed: bool, bits: int) -> tuple[FileDataset, np.ndarray]:
    """A slice of 16 × 12 pixels with a ramp, noise and the extremes of its bits."""
    rng = np.random.default_rng(7)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    stored = np.clip(np.arange(ROWS * COLUMNS) * 9 + rng.integers(0, 40, ROWS * COLUMNS) + (low if signed else 0), low, high)
    stored[[0, 5]] = low, high
    stored = stored.reshape(ROWS, COLUMNS).astype(np.int16 if signed else np.uint16)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3.4.5"
    ds = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = CTImageStorage, "1.2.3.4.5", "CT"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SeriesNumber = "1.2.3", "1.2.3.4", 1
    ds.PatientName, ds.PatientID = "Test^Image", "1"
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = ROWS, COLUMNS, 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, bits, bits - 1, int(signed)
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness = [0.5, 0.5], 1
    intercept = 0 if signed else -1024
    ds.RescaleIntercept, ds.RescaleSlope = intercept, 1
    ds.PixelData = stored.tobytes()
    return ds, stored.astype(int) + intercept


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def encapsulated(source: pathlib.Path, target: pathlib.Path, uid: str, stream: bytes) -> None:
    """One fragment under a transfer syntax; pydicom, which does not know all, writes another UID of the same length."""
    known = "1.2.840.10008.1.2.4.201"
    assert len(uid) == len(known)
    ds = pydicom.dcmread(source)
    ds.file_meta.TransferSyntaxUID = known
    ds.PixelData = encapsulate([stream])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    ds.save_as(target)
    target.write_bytes(target.read_bytes().replace(known.encode(), uid.encode()))


def main() -> int:
    ROOT.mkdir(parents=True, exist_ok=True)
    golden = {}
    for name, signed, bits in [("signed16", True, 16), ("unsigned12", False, 12)]:
        ds, hounsfield = image(signed, bits)
        plain = ROOT / f"{name}-explicit.dcm"
        ds.save_as(plain)
        stored = ds.pixel_array
        made = {"explicit": lambda t: None}
        made["implicit"] = lambda t: run("dcmconv", "+ti", str(plain), str(t))
        made["big-endian"] = lambda t: run("dcmconv", "+tb", str(plain), str(t))
        made["deflated"] = lambda t: run("dcmconv", "+td", str(plain), str(t))
        made["rle-dcmtk"] = lambda t: run("dcmcrle", str(plain), str(t))
        made["rle-gdcm"] = lambda t: run("gdcmconv", "--rle", str(plain), str(t))
        made["jpeg-lossless-sv1-dcmtk"] = lambda t: run("dcmcjpeg", "+e1", str(plain), str(t))
        made["jpeg-lossless-sv6-dcmtk"] = lambda t: run("dcmcjpeg", "+el", "+sv", "6", str(plain), str(t))
        made["jpeg-lossless-gdcm"] = lambda t: run("gdcmconv", "--jpeg", str(plain), str(t))
        made["jpeg-2000-gdcm"] = lambda t: run("gdcmconv", "--j2k", str(plain), str(t))
        made["jpeg-ls-dcmtk"] = lambda t: run("dcmcjpls", "+el", str(plain), str(t))
        made["rle-pydicom"] = lambda t: (d := pydicom.dcmread(plain), d.compress(pydicom.uid.RLELossless), d.save_as(t))
        if not signed:
            made["jpeg-xl-imagecodecs"] = lambda t: encapsulated(
                plain, t, "1.2.840.10008.1.2.4.110", imagecodecs.jpegxl_encode(stored, lossless=True, level=100))
            made["htj2k-imagecodecs"] = lambda t: encapsulated(
                plain, t, "1.2.840.10008.1.2.4.201", imagecodecs.htj2k_encode(stored, reversible=True, planar=True))
        for kind, make in made.items():
            target = ROOT / f"{name}-{kind}.dcm"
            try:
                make(target)
            except Exception as error:  # noqa: BLE001: which encoder is missing is what is to be known
                print(f"not made: {target.name}: {error}", file=sys.stderr)
                continue
            print(target.name, target.stat().st_size)
        golden[name] = hounsfield.ravel().tolist()
    # Lossy: what DCMTK decodes is compared within a tolerance. The Rust decoder knows baseline's 8 bits, not 12.
    ds, hounsfield = image(False, 8)
    ds.BitsAllocated = 8
    stored = np.clip(hounsfield + 1024, 0, 255).astype(np.uint8)
    ds.PixelData = stored.tobytes()
    plain, lossy, back = ROOT / "plain.tmp", ROOT / "unsigned8-jpeg-baseline-dcmtk.dcm", ROOT / "back.tmp"
    ds.save_as(plain)
    run("dcmcjpeg", "+eb", "+q", "95", str(plain), str(lossy))
    run("dcmdjpeg", str(lossy), str(back))
    golden["unsigned8-jpeg-baseline"] = (pydicom.dcmread(back).pixel_array.astype(int) - 1024).ravel().tolist()
    plain.unlink()
    back.unlink()
    (ROOT / "golden.json").write_text(json.dumps(golden) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
