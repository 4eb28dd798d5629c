"""`make bench`: one table with task, our seconds, the peer's, the ratio, and the floor; then the labs' milliseconds.

A module with a ``report`` function prints a table of its own after its rows.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

import tests.peers


def main(names: list[str]) -> int:
    """Run the benchmarks named (all when none is); prints as it goes."""
    modules = sorted(m.name for m in pkgutil.iter_modules(tests.peers.__path__) if m.name.startswith("bench_"))
    print(f"{'task':63} {'peer':33} {'ours s':>9} {'peer s':>9} {'ours/peer':>9} {'floor s':>9} {'ours/floor':>10}")
    for module in modules:
        if not names or module.removeprefix("bench_") in names:
            benchmark = importlib.import_module(f"tests.peers.{module}")
            for row in benchmark.rows():
                print(_line(**row), flush=True)
            getattr(benchmark, "report", lambda: None)()
    if not names or "labs" in names:
        _labs()
    return 0


def _line(task: str, ours_s: float, peer: str, peer_s: float | None, floor_s: float | None) -> str:
    """One row; a missing peer or floor is a dash."""
    ratio = f"{ours_s / peer_s:9.2f}" if peer_s else f"{'-':>9}"
    over = f"{ours_s / floor_s:10.2f}" if floor_s else f"{'-':>10}"
    seconds = "".join(f" {s:9.4f}" if s else f" {'-':>9}" for s in (ours_s, peer_s))
    return f"{task:63} {peer:33}{seconds} {ratio} {f'{floor_s:9.4f}' if floor_s else '-':>9} {over}"


def _labs() -> None:
    from tests.test_labs import LABS, milliseconds

    print(f"\n{'lab (compute + draw)':40} {'median ms':>10} {'95 % ms':>10}")
    for name, make in LABS.items():
        print(f"{name:40} {'{:10.0f} {:10.0f}'.format(*milliseconds(make()))}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
