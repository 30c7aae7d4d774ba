"""Reads the events of a training run as TensorBoard does, and compares them with the run's log.

    pip install -r requirements.txt
    python events_tensorboard.py RUN    every figure of log.csv, and how far its events are from it
    python events_tensorboard.py        the golden records of crates/hepar-train/src/events.rs

Ends with 1 when a tag is missing or not in the log, or steps or values differ. A run of several sessions has a file for
each, and rows that were done again must not be there twice: TensorBoard drops what an older file says of the steps of a
newer session. The training must not be running meanwhile.
"""

import csv
import io
import sys
from decimal import Decimal
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

TAGS = {
    "loss": "loss",
    "loss/smoothed": "smoothed_loss",
    "learning_rate": "learning_rate",
    "dice/per_case": "dice_per_case",
    "dice/global": "dice_global",
}


def main() -> int:
    if len(sys.argv) < 2:
        goldens()
        return 0
    run = Path(sys.argv[1])
    with open(run / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    # All scalars, not a sample of them.
    events = EventAccumulator(str(run), size_guidance={"scalars": 0})
    events.Reload()
    tags = events.Tags()["scalars"]
    problems = [f"{tag}: not in the log" for tag in tags if tag not in TAGS]
    for tag, column in TAGS.items():
        logged = [(int(row["step"]), row[column]) for row in rows if row[column]]
        read = [(scalar.step, scalar.value) for scalar in events.Scalars(tag)] if tag in tags else []
        problems += compared(tag, logged, read)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def compared(tag, logged, read):
    """What is wrong with the scalars of a tag; prints how far they are from the log."""
    if [step for step, _ in logged] != [step for step, _ in read]:
        extra = sorted({step for step, _ in read} ^ {step for step, _ in logged})
        return [f"{tag}: {len(read)} steps are read, {len(logged)} are logged; not in both: {extra[:10]}"]
    problems, worst = [], 0.0
    for (step, text), (_, value) in zip(logged, read):
        difference = abs(value - float(text))
        # The log rounds to its last digit, the events to 32 bits.
        if not difference <= rounding(text) + 2.0**-23 * abs(value):
            problems.append(f"{tag}: {value} at step {step}, the log says {text}")
        worst = max(worst, difference)
    print(f"{tag}: {len(read)} steps, at most {worst:.1e} from the log")
    return problems


def rounding(text):
    """Half a unit of the last digit of a number."""
    return 0.5 * 10.0 ** Decimal(text).as_tuple().exponent


def goldens():
    scalar = Summary.Value(tag="loss", simple_value=0.5)
    messages = [
        Event(wall_time=1.5, file_version="brain.Event:2"),
        Event(wall_time=1.5, step=21, session_log=SessionLog(status=SessionLog.START)),
        Event(wall_time=1.5, step=300, summary=Summary(value=[scalar])),
    ]
    for message in messages:
        print("message", message.SerializeToString().hex())
    file = io.BytesIO()
    RecordWriter(file).write(messages[-1].SerializeToString())
    print("record", file.getvalue().hex())


if __name__ == "__main__":
    sys.exit(main())
