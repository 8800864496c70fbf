#!/usr/bin/env python3
"""Reads a run's event file with TensorBoard's own reader and compares it with metrics.jsonl, value by value.

    pip install tensorboard
    tools/job/check_tensorboard.py RUN_DIRECTORY...
    tools/job/check_tensorboard.py --glot build/release/glot --recipe RECIPE     # runs it, stops it twice, goes on, then compares

A step's line gives PHASE/KEY at its step for each number in it; an evaluation gives bits_per_byte/LANGUAGE and acc/TASK at the number of
training steps before it. Values are float32. Nothing may be missing, twice, or there without a line.
"""
import argparse
import collections
import json
import pathlib
import signal
import struct
import subprocess
import sys
import tempfile
import time

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

NO_VALUE = {"step", "time"}


def float32(value):
    return struct.unpack("f", struct.pack("f", value))[0]


def of_metrics(run):
    """{tag: [(step, value)]} as metrics.jsonl says."""
    tags, n_steps = collections.defaultdict(list), 0
    for line in map(json.loads, (run / "metrics.jsonl").read_text().splitlines()):
        is_evaluation = line["phase"] == "eval"
        step = n_steps if is_evaluation else line["step"]
        for key, value in line.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool) and key not in NO_VALUE:
                tags[f"{line['phase']}/{key}"].append((step, float32(value)))
        for language, score in line.get("text", {}).items():
            tags[f"bits_per_byte/{language}"].append((step, float32(score["bits_per_byte"])))
        for task, score in line.get("tasks", {}).items():
            tags[f"acc/{task}"].append((step, float32(score["acc"])))
        n_steps += not is_evaluation
    return dict(tags)


def of_events(run):
    """The same as TensorBoard reads it, whole: size_guidance 0 keeps every value."""
    reader = EventAccumulator(str(run), size_guidance={"scalars": 0})
    reader.Reload()
    return {tag: [(e.step, e.value) for e in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}


def compare(run):
    files = sorted(run.glob("events.out.tfevents.*"))
    expected, found = of_metrics(run), of_events(run)
    faults = [] if len(files) == 1 else [f"{len(files)} event files, expected one"]
    faults += [f"{tag}: not in the event file" for tag in expected.keys() - found.keys()]
    faults += [f"{tag}: not in metrics.jsonl" for tag in found.keys() - expected.keys()]
    for tag in expected.keys() & found.keys():
        if expected[tag] != found[tag]:
            pairs = [(a, b) for a, b in zip(expected[tag], found[tag]) if a != b]
            faults.append(f"{tag}: {len(expected[tag])} values expected, {len(found[tag])} found, first difference {pairs[:1]}")
    n = sum(map(len, expected.values()))
    print(f"{run}: {len(expected)} tags, {n} values: {'equal' if not faults else 'DIFFERENT'}")
    for fault in faults:
        print("  " + fault)
    return not faults


def lines_of(run):
    metrics = run / "metrics.jsonl"
    return metrics.read_text().count("\n") if metrics.exists() else 0


def run_with_stops(glot, recipe, run):
    """Ends the run twice, once kindly and once not, each time after some more lines of metrics; then lets it end."""
    command = [glot, "expand", recipe, "--set", f"output={run}", "--set", "train.checkpoint_every=3"]
    for how in (signal.SIGTERM, signal.SIGKILL):
        until = lines_of(run) + 5
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and lines_of(run) < until:
            time.sleep(0.05)
        process.send_signal(how)
        process.wait()
        print(f"stopped by {how.name} with {lines_of(run)} lines")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--glot", default="build/release/glot")
    parser.add_argument("--recipe", help="a short recipe to run with stops")
    parser.add_argument("runs", nargs="*", type=pathlib.Path, metavar="RUN_DIRECTORY")
    args = parser.parse_args()
    good = [compare(run) for run in args.runs]
    if args.recipe:
        with tempfile.TemporaryDirectory() as name:
            run = pathlib.Path(name) / "run"
            run_with_stops(args.glot, args.recipe, run)
            good.append(compare(run))
    sys.exit(0 if good and all(good) else 1)


if __name__ == "__main__":
    main()
