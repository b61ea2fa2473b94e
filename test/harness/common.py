"""What the case runners share: finding the programs, making captures, running the sensor, reading its events."""
import json
import multiprocessing
import os
import shlex
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILDS = ("build-test", "build")


def add_arguments(parser):
    parser.add_argument("sensor", nargs="?", default=os.environ.get("MILLRACE_SENSOR"),
                        help="command of millrace-sensor; by default that of build-test/ or build/")
    parser.add_argument("--generate", default=os.environ.get("MILLRACE_GENERATE"),
                        help="command that takes the generator's options; by default the millrace-bench beside it")
    parser.add_argument("-v", "--verbose", action="store_true")


def programs(args):
    """Makes lists of the commands args.sensor and args.generate; says what is missing and ends otherwise."""
    if args.sensor is None:
        found = [ROOT / build / "app/sensor/millrace-sensor" for build in BUILDS]
        found = [path for path in found if path.exists()]
        if not found:
            sys.exit("no sensor is built: give its path, or build in build/")
        args.sensor = str(found[0])
    args.sensor = shlex.split(args.sensor)
    if args.generate is None:
        bench = Path(args.sensor[0]).resolve().parents[1] / "bench/millrace-bench"
        if not bench.exists():
            sys.exit(f"{bench} is not there: build it, or give --generate")
        args.generate = f"{shlex.quote(str(bench))} generate"
    args.generate = shlex.split(args.generate)


def generate(args, out, *options, seed=1):
    command = [*args.generate, "--quiet", "--out", str(out), "--seed", str(seed), *map(str, options)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"generator: {done.stderr.strip()}")


class Run:
    """One run of the sensor over a capture."""

    def __init__(self, returncode, output, folder, seconds, memory_kib):
        self.returncode, self.output, self.folder = returncode, output, folder
        self.seconds, self.memory_kib = seconds, memory_kib
        self.error = None if returncode == 0 else f"exit {returncode}: {output.strip()[-400:]}"

    def events(self):
        """Every line of eve.json; a line that is no JSON object is an error."""
        path = Path(self.folder) / "eve.json"
        events = []
        if not path.exists():
            return events
        with open(path, "rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    event = json.loads(line)
                except ValueError as err:
                    raise RuntimeError(f"eve.json:{number}: {err}: {line[:120]!r}") from err
                if not isinstance(event, dict) or "event_type" not in event or not line.endswith(b"\n"):
                    raise RuntimeError(f"eve.json:{number}: not a whole event: {line[:120]!r}")
                events.append(event)
        return events


def run_sensor(args, capture, rules=None, sets=(), options=(), timeout=120):
    """Reads a capture. The events are below a temporary folder of args.work."""
    folder = tempfile.mkdtemp(prefix="run-", dir=args.work)
    command = [*args.sensor, "read", "-r", str(capture), "-l", folder, *options]
    if rules:
        command += ["-S", str(rules)]
    for assignment in sets:
        command += ["--set", assignment]
    if args.verbose:
        print("+", " ".join(map(shlex.quote, command)))
    with open(os.path.join(folder, "output"), "w+b") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        killer = threading.Timer(timeout, process.kill)
        killer.start()
        _, status, usage = os.wait4(process.pid, 0)
        returncode = os.waitstatus_to_exitcode(status)
        process.returncode = returncode
        if not killer.is_alive():
            returncode = f"none within {timeout} s"
        killer.cancel()
        output.seek(0)
        text = output.read().decode(errors="replace")
    return Run(returncode, text, folder, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)


def guarded(folder):
    try:
        return guarded.run(folder)
    except RuntimeError as err:
        return 0, [str(err)]


def run_each(folders, run):
    """Runs run(folder), which gives its passed and a list of failures, in as many processes as there are cores.

    Prints the results in order and the summary; returns the status of the program."""
    guarded.run = run   # the processes are copies of this one: nothing else is handed to them
    passed = failed = 0
    with multiprocessing.get_context("fork").Pool(len(os.sched_getaffinity(0))) as pool:
        for folder, (good, failures) in zip(folders, pool.imap(guarded, folders)):
            for failure in failures:
                print(f"FAIL {folder.name}: {failure}")
            print(f"{folder.name}: {good} passed, {len(failures)} failed", flush=True)
            passed += good
            failed += len(failures)
    return summary(passed, failed, 0)


def value_at(event, path):
    """The value at a dotted path, None where there is none; a number in it is an index of an array."""
    for part in path.split("."):
        if isinstance(event, list) and part.isdigit() and int(part) < len(event):
            event = event[int(part)]
        elif isinstance(event, dict) and part in event:
            event = event[part]
        else:
            return None
    return event


def summary(passed, failed, skipped):
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0
