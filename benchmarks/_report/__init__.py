"""The report of a run: one page, figures first, then every part with its numbers."""

from benchmarks._report.whole import report_page

__all__ = ["report_page"]
