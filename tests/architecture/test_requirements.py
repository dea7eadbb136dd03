import pytest
from tests.architecture import requirements

IDS = [each for part in requirements.PARTS.values() for each in part]


@pytest.mark.parametrize("requirement", IDS)
def test_every_requirement_has_a_test(requirement: str) -> None:
    assert requirements.found().get(requirement)


def test_the_document_tells_what_the_tests_carry() -> None:
    assert requirements.DOCUMENT.read_text("utf-8") == requirements.document()
