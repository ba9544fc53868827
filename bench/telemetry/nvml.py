"""NVIDIA GPUs through NVML: how busy, how full, how fast, and what they draw. `nvidia-ml-py` is optional."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NO_LIBRARY = "nvidia-ml-py is not installed: pip install nvidia-ml-py"
NO_GPU = "no NVIDIA GPU here"
_DEVICE = Path("/dev/nvidiactl")
NONE_VISIBLE = "CUDA_VISIBLE_DEVICES hides every GPU"


@dataclass(frozen=True, slots=True)
class GpuReading:
    """All GPUs together: mean utilisation (share of the time) and clock (Hz), summed memory (bytes), power (W) and
    energy since this was made (J); NaN for what the GPU does not tell.
    """

    utilisation: float
    memory_bytes: float
    power_watts: float
    clock_hz: float
    energy_joules: float


@dataclass(slots=True)
class Gpus:
    """The GPUs that a server of ours may use. `nvml` is the module pynvml, or something that speaks like it."""

    nvml: Any
    handles: tuple[Any, ...]
    began: tuple[float, ...] = field(default=())

    def __post_init__(self) -> None:
        self.began = tuple(self._energy(handle) for handle in self.handles)

    def read(self) -> GpuReading:
        """What NVML tells now. A failure of one figure costs that figure only."""
        n = self.nvml
        count = len(self.handles)

        def each(ask: Callable[[Any], float]) -> float:
            return sum(self._asked(ask, handle) for handle in self.handles)

        spent = sum(self._energy(handle) - first for handle, first in zip(self.handles, self.began, strict=True))
        return GpuReading(
            utilisation=each(lambda h: n.nvmlDeviceGetUtilizationRates(h).gpu / 100) / count,
            memory_bytes=each(lambda h: float(n.nvmlDeviceGetMemoryInfo(h).used)),
            power_watts=each(lambda h: n.nvmlDeviceGetPowerUsage(h) / 1e3),
            clock_hz=each(lambda h: n.nvmlDeviceGetClockInfo(h, n.NVML_CLOCK_SM) * 1e6) / count,
            energy_joules=spent,
        )

    def close(self) -> None:
        """Let go of NVML."""
        with contextlib.suppress(Exception):
            self.nvml.nvmlShutdown()

    def _energy(self, handle: Any) -> float:
        return self._asked(lambda h: self.nvml.nvmlDeviceGetTotalEnergyConsumption(h) / 1e3, handle)

    def _asked(self, ask: Callable[[Any], float], handle: Any) -> float:
        try:
            return float(ask(handle))
        except self.nvml.NVMLError:  # not supported by this GPU, or not at this moment
            return float("nan")


def find_gpus(nvml: Any | None = None, environ: Mapping[str, str] = os.environ) -> Gpus | str:
    """The GPUs that CUDA_VISIBLE_DEVICES leaves, all without it; or why there are none."""
    if nvml is None:
        try:
            nvml = importlib.import_module("pynvml")
        except ImportError:
            return NO_LIBRARY if _DEVICE.exists() else NO_GPU
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as failure:
        return f"{NO_GPU} ({failure})"
    handles = tuple(nvml.nvmlDeviceGetHandleByIndex(place) for place in range(nvml.nvmlDeviceGetCount()))
    shown = tuple(h for place, h in enumerate(handles) if _visible(place, nvml, h, environ))
    if shown:
        return Gpus(nvml, shown)
    with contextlib.suppress(nvml.NVMLError):
        nvml.nvmlShutdown()
    return NONE_VISIBLE if handles else NO_GPU


def _visible(place: int, nvml: Any, handle: Any, environ: Mapping[str, str]) -> bool:
    if "CUDA_VISIBLE_DEVICES" not in environ:
        return True
    named = [part.strip() for part in environ["CUDA_VISIBLE_DEVICES"].split(",") if part.strip()]
    uuid = nvml.nvmlDeviceGetUUID(handle)
    uuid = uuid.decode() if isinstance(uuid, bytes) else str(uuid)
    return any(name == str(place) or (not name.isdecimal() and uuid.startswith(name)) for name in named)
