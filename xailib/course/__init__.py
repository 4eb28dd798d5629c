"""The tools around the notebooks: ``python -m xailib.course --help``."""
