"""Every row of the contract that this part of the project promises has a test that names it."""

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
# D062 is the deployment's.
HISTORY = set(range(1, 67)) - {62}
TERMINAL = set(range(70, 127))
# Of the platform's contract.
ACCOUNTS = {"C90", "C91", "C92"}
ROWS = {f"D{number:03}" for number in HISTORY | TERMINAL} | ACCOUNTS


def test_every_row_of_the_contract_has_a_test_that_names_it() -> None:
    sources = "".join(path.read_text("utf-8") for path in TESTS.rglob("test_*.py"))
    named = set(re.findall(r"^@pytest\.mark\.contract\(\"(D\d{3}|C\d{2,3})\"\)", sources, re.MULTILINE))
    assert ROWS - named == set()
