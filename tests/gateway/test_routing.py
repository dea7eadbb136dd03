import pytest

from gateway_service.config.model import Config, RouteConfig
from gateway_service.config.values import CorsAccess
from gateway_service.proxy.routing import Routes


def routes(*prefixes: str) -> Routes:
    return Routes(
        Config(
            upstreams=(),
            routes=tuple(RouteConfig(prefix, f"to {prefix}") for prefix in prefixes),
        )
    )


PRODUCT = routes(
    "/api/auth", "/api/auth/statuslists", "/api/test", "/.well-known", "/openapi.json"
)


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        pytest.param("/api/auth", "/api/auth", id="the prefix itself"),
        pytest.param("/api/auth/", "/api/auth", id="with a slash"),
        pytest.param("/api/auth/signin", "/api/auth", id="below it"),
        pytest.param("/api/auth/statuslists/1", "/api/auth/statuslists", id="longest"),
        pytest.param("/api/auth/statuslist", "/api/auth", id="shorter than longest"),
        pytest.param("/api/auth/statuslists-x", "/api/auth", id="longest, no border"),
        pytest.param("/.well-known/jwks.json", "/.well-known", id="a dot that is none"),
        pytest.param("/api/test/...", "/api/test", id="three dots are a name"),
        pytest.param("/api/test/a%20b", "/api/test", id="a harmless escape"),
        pytest.param("/api/test/" + "a/" * 4_000, "/api/test", id="very deep"),
        pytest.param("/api/authx", None, id="no border"),
        pytest.param("/api", None, id="only a part of a prefix"),
        pytest.param("/", None, id="root"),
        pytest.param("", None, id="empty"),
        pytest.param("*", None, id="asterisk"),
        pytest.param("api/test", None, id="no slash first"),
        pytest.param("http://other.test/api/test", None, id="absolute form"),
        pytest.param("/API/TEST", None, id="other case"),
        pytest.param("/api/%74est", None, id="escaped letter"),
        pytest.param("/metrics", None, id="an upstream's internal page"),
        pytest.param("/internal", None, id="another"),
    ],
)
def test_longest_prefix_on_a_segment_border_wins(path: str, prefix: str | None) -> None:
    route = PRODUCT.match(path)

    assert (route.prefix if route else None) == prefix


@pytest.mark.parametrize(
    "path",
    [
        "/api/test/../auth/signin",
        "/api/test/./user",
        "/api/test/..",
        "/api/test/.",
        "/api/test/%2e%2e/admin",
        "/api/test/%2E%2e/admin",
        "/api/test/.%2e/admin",
        "/api/test/..;/admin",
        "/api/test/..;a=b/admin",
        "/api/test%2fadmin",
        "/api/test/%2F/admin",
        "/api/test/a%5cadmin",
        "/api/test/a\\admin",
        "/api//test/user",
        "//api/test/user",
        "/api/test//",
        "/api/test/user%00",
    ],
)
def test_path_that_an_upstream_might_read_differently_belongs_to_no_route(
    path: str,
) -> None:
    """G8: what decides the route is what the upstream will see."""
    assert PRODUCT.match(path) is None


@pytest.mark.parametrize("path", ["/v1/users%3Afind", "/v1/users%3afind/x"])
def test_g8_an_escape_leads_around_no_route(path: str) -> None:
    route = routes("/v1", "/v1/users:find").match(path)
    assert route is not None
    assert route.prefix == "/v1/users:find"


def test_root_route_takes_what_no_other_claims() -> None:
    with_root = routes("/", "/api/test")

    for path, prefix in (("/", "/"), ("/x/y", "/"), ("/api/test/user", "/api/test")):
        route = with_root.match(path)
        assert route is not None
        assert route.prefix == prefix
    assert with_root.match("x") is None


def test_route_carries_its_allowed_methods_as_a_header_value() -> None:
    compiled = Routes(
        Config(routes=(RouteConfig("/a", "x", methods=frozenset({"HEAD", "GET"})),))
    )

    route = compiled.match("/a")
    assert route is not None
    assert route.allow == b"GET, HEAD"


def test_each_route_has_the_cors_policy_it_names() -> None:
    compiled = Routes(
        Config(
            routes=(
                RouteConfig("/keys", "x", cors=CorsAccess.PUBLIC),
                RouteConfig("/api", "x"),
            ),
        )
    )

    keys, api = compiled.match("/keys"), compiled.match("/api")
    assert keys is not None
    assert api is not None
    assert b"Access-Control-Allow-Origin: *" in keys.cors.for_request(None)
    assert b"Access-Control" not in api.cors.for_request(b"https://app.test")
    assert [route.prefix for route in compiled] == ["/keys", "/api"]
