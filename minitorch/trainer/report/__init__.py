"""The report of a run: one HTML file that needs no network."""

from minitorch.trainer.report.page import report_page

__all__ = ["report_page"]
