"""The runs that the tests of the report read."""

from tests.support.report_runs import hostile, judged, run, weighed  # noqa: F401 -- fixtures
