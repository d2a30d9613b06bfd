"""Every row of the contract that this part of the project promises has a test that names it."""

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
# D018, D019 and D041 to D053 with D056 and D057 are the cache's, D062 the deployment's.
ROWS = {
    *(f"D{number:03}" for number in range(1, 41) if number not in (18, 19)),
    *("D054", "D055", "D058", "D059", "D060", "D061", "D063", "D064", "D065", "D066"),
}


def test_every_row_of_the_contract_has_a_test_that_names_it() -> None:
    sources = "".join(path.read_text("utf-8") for path in TESTS.rglob("test_*.py"))
    named = set(re.findall(r"^@pytest\.mark\.contract\(\"(D\d{3})\"\)", sources, re.MULTILINE))
    assert ROWS - named == set()
