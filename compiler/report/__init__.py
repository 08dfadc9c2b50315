"""What a run leaves to read: `report.json` for programs, `report.html` for people."""

from compiler.report.report import Reduced, Report, write_report

__all__ = [
    "Reduced",
    "Report",
    "write_report",
]
