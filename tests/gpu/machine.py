"""What there is to run on: the GPU, CUDA's libraries of the Python environment, and what a figure has to say of the machine."""

import ctypes
import importlib.util
import os
import pathlib
import platform
import re
import subprocess


def find_gpu(device):
    """(name, None) of the GPU behind `cuda:N`, or (None, why there is none). Asks the driver, which needs no other tool."""
    if device == "cpu":
        return None, "no GPU: --device cpu was asked for"
    number = int(device.partition(":")[2] or 0)
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None, "no GPU: this machine has no NVIDIA driver (libcuda.so.1)"
    count, handle, name = ctypes.c_int(), ctypes.c_int(), ctypes.create_string_buffer(256)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return None, "no GPU: the driver finds none"
    if number >= count.value:
        return None, f"no GPU with the number {number}: the driver finds {count.value}"
    driver.cuDeviceGet(ctypes.byref(handle), number)
    driver.cuDeviceGetName(name, len(name), handle)
    return name.value.decode(), None


def environment():
    """The environment of the executable: CUDA's libraries that PyTorch brought are found, and nobody else's choice of a device."""
    folders = [folder for folder in os.environ.get("SEKISHO_CUDA_LIBS", "").split(":") if folder]
    spec = importlib.util.find_spec("nvidia")
    for root in (spec.submodule_search_locations or []) if spec else []:
        folders += [str(path) for path in sorted(pathlib.Path(root).glob("*/lib"))]
    found = {name: value for name, value in os.environ.items() if name not in ("SEKISHO_DEVICE", "SEKISHO_CUDA_LIBS")}
    if folders:
        found["SEKISHO_CUDA_LIBS"] = ":".join(folders)
    return found


def ask_smi(fields, number=0):
    """What nvidia-smi says of a GPU, or nothing where it is missing."""
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader", f"--id={number}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def clocks(device):
    """Clocks at this moment, and the power limit: under load they say whether the GPU was held back."""
    said = ask_smi("clocks.sm,clocks.mem,clocks.max.sm,power.limit,temperature.gpu", int(device.partition(":")[2] or 0))
    names = ["SM", "memory", "SM at most", "power limit", "temperature"]
    return ", ".join(f"{name} {value.strip()}" for name, value in zip(names, said.split(","))) if said else ""


def facts(args, gpu):
    """What stands above the table."""
    executable = args.binary.read_bytes()
    number = int(args.device.partition(":")[2] or 0) if gpu else 0
    return {
        "device": gpu or f"CPU, {os.cpu_count()} threads, {platform.machine()}",
        "driver": ask_smi("driver_version", number) if gpu else "",
        "clocks at the start": clocks(args.device) if gpu else "",
        "executable": f"{len(executable) / 2**20:.1f} MiB, needs glibc {needed_glibc(executable)}",
        "commit": args.commit or commit(),
        "command": args.said,
    }


def needed_glibc(executable):
    """The newest version of glibc that an executable names."""
    found = {tuple(map(int, match.split(b"."))) for match in re.findall(rb"GLIBC_(2\.\d+)", executable)}
    return ".".join(map(str, max(found))) if found else "none"


def commit():
    """Of the working tree that this lies in, or nothing where it came without its history."""
    command = ["git", "-C", str(pathlib.Path(__file__).parent), "rev-parse", "--short=12", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
