"""What was measured, as text for people and as JSON for programs, and the ratios that are kept to compare with."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.databases import server_version
from bench.figures import Section

KEPT: Final = Path(__file__).resolve().parent / "baseline.json"
"""The ratios of a run of `make bench-check` that was thought good, with what it was run on and how."""


def report(sections: Mapping[str, Section]) -> str:
    """Return the figures for people to read."""
    return "\n\n".join("\n".join(section.lines()) for section in sections.values())


def write_json(sections: Mapping[str, Section], options: Mapping[str, Any], database_url: str, file: Path) -> None:
    """Keep all figures, with what they were measured on."""
    bars = [bar for section in sections.values() for bar in section.bars()]
    whole = {
        "machine": _machine() | {"postgresql": server_version(database_url)},
        "options": options,
        "parts": msgspec.to_builtins(dict(sections)),
        "ratios": _ratios_of(sections),
        "bars": [asdict(bar) | {"is_met": bar.is_met} for bar in bars],
    }
    file.write_text(json.dumps(whole, indent=2) + "\n")


def keep(sections: Mapping[str, Section], options: Mapping[str, Any], file: Path) -> None:
    """Write the ratios of a run to be compared with later, beside those of parts that this run left out."""
    ratios = (kept_ratios(file) if file.exists() else {}) | _ratios_of(sections)
    file.write_text(json.dumps({"machine": _machine(), "options": options, "ratios": ratios}, indent=2) + "\n")


def kept_ratios(file: Path) -> dict[str, float]:
    """Return the ratios that `keep` wrote."""
    ratios: dict[str, float] = json.loads(file.read_text())["ratios"]
    return ratios


def _ratios_of(sections: Mapping[str, Section]) -> dict[str, float]:
    return {ratio.name: round(ratio.median, 3) for section in sections.values() for ratio in section.ratios()}


def _machine() -> dict[str, Any]:
    return {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.system()}
