"""A study's way through a real PACS: Orthanc.

Needs orthanc and dcmtk from Debian. The study is sent with storescu, fetched as the archive that Orthanc makes of it,
segmented, and the segmentation, the structure set and the report are sent back and looked for in the same study.

    python3 tests/oracles/orthanc.py HEPAR FOLDER_OF_A_CT_SERIES
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

HTTP, DICOM = 18042, 14242


def get(path: str) -> bytes:
    return urllib.request.urlopen(f"http://127.0.0.1:{HTTP}{path}", timeout=60).read()  # noqa: S310


def send(folder: pathlib.Path) -> None:
    # Classes that the files need (-R), which the usual ones lack; besides the uncompressed syntaxes, JPEG 2000 lossless is proposed for series that are stored so.
    options = ["-xv"] if "JPEG2000" in syntax(folder) else []
    subprocess.run(["storescu", *options, "-R", "+sd", "+r", "127.0.0.1", str(DICOM), str(folder)], check=True,
                   capture_output=True)


def syntax(folder: pathlib.Path) -> str:
    first = next(file for file in folder.rglob("*") if file.is_file())
    return subprocess.run(["dcmdump", "+P", "0002,0010", str(first)], capture_output=True, text=True).stdout


def main() -> int:
    hepar, series = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    work = pathlib.Path(tempfile.mkdtemp())
    config = {"Name": "test", "StorageDirectory": str(work / "db"), "IndexDirectory": str(work / "db"), "HttpPort": HTTP,
              "DicomPort": DICOM, "DicomAlwaysAllowStore": True, "RemoteAccessAllowed": False,
              "AuthenticationEnabled": False, "Plugins": []}
    (work / "orthanc.json").write_text(json.dumps(config))
    server = subprocess.Popen(["/usr/sbin/Orthanc", str(work / "orthanc.json")], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                print("Orthanc", json.loads(get("/system"))["Version"])
                break
            except OSError:
                time.sleep(0.2)
        send(series)
        studies = json.loads(get("/studies"))
        assert len(studies) == 1, studies
        archive = work / "study.zip"
        archive.write_bytes(get(f"/studies/{studies[0]}/archive"))
        print("fetched", archive.stat().st_size, "bytes")
        run = [hepar, "segment", archive, "-o", work / "result", "--write", "labels,seg,rtstruct,sr"]
        said = subprocess.run([str(part) for part in run], capture_output=True, text=True)
        print(said.stdout.strip(), said.stderr.strip())
        assert said.returncode == 0, said.returncode
        back = work / "back"
        back.mkdir()
        for name in ("seg.dcm", "rtstruct.dcm", "sr.dcm"):
            (work / "result" / name).rename(back / name)
        send(back)
        again = json.loads(get("/studies"))
        assert again == studies, "the objects are in the same study"
        found = [json.loads(get(f"/series/{name}"))["MainDicomTags"]["Modality"]
                 for name in json.loads(get(f"/studies/{studies[0]}"))["Series"]]
        print("series of the study:", ", ".join(sorted(found)))
        assert sorted(found) == ["CT", "RTSTRUCT", "SEG", "SR"], found
    finally:
        server.terminate()
        server.wait()
    print("passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
