"""The reference page of the configuration is what the declarations say."""

from pathlib import Path

from tests.reference.gateway_configuration import default_of, sections

from gateway_service.config.keys import NAME
from gateway_service.config.model import Config

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = DOCS / "gateway.md"
PAGE = DOCS / "reference" / "gateway-configuration.md"


def test_page_has_every_table_and_key() -> None:
    text = PAGE.read_text("utf-8")
    for section in sections():
        assert section.name in text
        for key in section.keys:
            assert f"- `{key}`" in text


def test_defaults_are_those_of_the_code() -> None:
    found = {
        f"{section.name} {name}": default_of(key)
        for section in sections()
        for name, key in section.keys.items()
    }
    limits = Config().limits

    assert found["[limits] headers"] == str(limits.headers)
    assert found["[[routes]] body_limit"] == "limits.body"
    assert found["[[routes]] prefix"] == "required"
    assert found["[[routes]] rate_limit"] == "none"
    assert found["[upstreams.<name>] balance"] == '"least_in_flight"'
    assert found[" trusted_proxies"] == "[]"


def test_guide_names_every_variable_that_overrides_the_file() -> None:
    text = GUIDE.read_text("utf-8")
    for section in sections():
        for key in section.keys.values():
            assert not key.variable or f"`{key.variable}`" in text
    assert NAME in text
