"""Fixtures of the system tests: a fresh LAN for each test, its logs when the test fails."""

import pytest

from lanlab import BUILD, Lab, can_make_namespaces


def pytest_configure(config):
    config.addinivalue_line("markers", "soak: many minutes; run by ./dev soak")
    config.addinivalue_line("markers", "alone: measures rates or delays; no other test runs beside it")
    config.addinivalue_line("markers", "xdist_group(name): run one after the other by the same process")


def pytest_collection_modifyitems(items):
    able, reason = can_make_namespaces()
    if not (BUILD / "app/lanspread").exists():
        able, reason = False, f"{BUILD}/app/lanspread is not built"
    if not able:
        for item in items:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for value in item.funcargs.values():
            if isinstance(value, Lab):
                report.sections.append(("daemons", value.logs()))


@pytest.fixture
def lab():
    """A LAN of this test alone."""
    with Lab() as made:
        yield made
