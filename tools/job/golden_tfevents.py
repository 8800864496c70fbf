"""Makes tests/golden/job/tfevents.bin: the bytes that TensorBoard's own writer gives for three events, which tests/unit/job/test_tfevents.c compares
with those of src/job/tfevents.c.   Needs: pip install tensorboard (2.21.0 was used).   Run: python tools/job/golden_tfevents.py"""
import argparse
import io
import os

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

EVENTS = [
    (1234567890.25, 1, [("train/loss", 2.5), ("train/lr", 0.0005)]),
    (1234567891.5, 300, [("bits_per_byte/el", 1.0 / 3.0)]),
    (1234567892.0, 2**40, []),
]

argparse.ArgumentParser(description=__doc__).parse_args()
out = io.BytesIO()
writer = RecordWriter(out)
writer.write(Event(wall_time=1234567890.0, file_version="brain.Event:2").SerializeToString())
for wall_time, step, scalars in EVENTS:
    values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars]
    writer.write(Event(wall_time=wall_time, step=step, summary=Summary(value=values)).SerializeToString())
path = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "golden", "job", "tfevents.bin")
with open(path, "wb") as f:
    f.write(out.getvalue())
print(len(out.getvalue()), "bytes")
