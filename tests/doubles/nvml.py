"""Speaks as the module pynvml does, about GPUs that are not there."""

from __future__ import annotations

from types import SimpleNamespace


class FakeNvml:
    """`gpus` of them, each 40 % busy, 3 GB full, at 70.5 W and 1,590 MHz; `joules` is what each meter shows."""

    NVML_CLOCK_SM = 1

    class NVMLError(Exception):
        """What NVML raises."""

    def __init__(self, gpus: int, *, metered: bool = True, broken: bool = False) -> None:
        self.joules = 100.0
        self.open = 0
        self._gpus, self._metered, self._broken = gpus, metered, broken

    def nvmlInit(self) -> None:  # noqa: N802 -- NVML's names, here and below
        if self._broken:
            raise self.NVMLError("Driver Not Loaded")
        self.open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return self._gpus

    def nvmlDeviceGetHandleByIndex(self, place: int) -> int:  # noqa: N802
        return place

    def nvmlDeviceGetUUID(self, handle: int) -> str:  # noqa: N802
        return f"GPU-{handle}abc"

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(gpu=40, memory=10)

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(used=3_000_000_000, total=24_000_000_000)

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:  # noqa: N802
        return 70_500

    def nvmlDeviceGetClockInfo(self, handle: int, which: int) -> int:  # noqa: N802
        return 1590 if which == self.NVML_CLOCK_SM else 0

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> float:  # noqa: N802
        if not self._metered:
            raise self.NVMLError("Not Supported")
        return self.joules * 1000
