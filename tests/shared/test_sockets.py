import errno
import socket

import pytest

from service_kit.running.sockets import ListenError, bind, host_port, listen


def connects(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as client:
        return client.connect_ex((host, port)) == 0


@pytest.mark.parametrize(
    ("host", "reached"),
    [
        ("127.0.0.1", {"127.0.0.1"}),
        ("0.0.0.0", {"127.0.0.1"}),  # noqa: S104 - it is the case
        ("::1", {"::1"}),
        ("::", {"127.0.0.1", "::1"}),
    ],
)
def test_a_host_is_reached_by_its_families(host: str, reached: set[str]) -> None:
    (bound,) = bind(host, 0)
    port = bound.getsockname()[1]
    with bound:
        assert not connects("127.0.0.1", port)
        listen(bound)
        assert {
            each for each in ("127.0.0.1", "::1") if connects(each, port)
        } == reached


def test_any_address_is_one_of_ipv4_where_there_is_no_ipv6(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Ipv4Socket(socket.socket):
        """The socket of a kernel that was started without IPv6."""

        def __init__(self, family: int = -1, *rest: int) -> None:
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, "")
            super().__init__(family, *rest)

    monkeypatch.setattr("socket.socket", Ipv4Socket)
    (bound,) = bind("::", 0)
    with bound:
        listen(bound)
        assert connects("127.0.0.1", bound.getsockname()[1])


def test_a_name_stands_for_all_its_addresses() -> None:
    (first,) = bind("127.0.0.1", 0)
    port = first.getsockname()[1]
    first.close()
    found = socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM)
    sockets = bind("localhost", port)
    places = {each.getsockname()[0] for each in sockets}
    for each in sockets:
        each.close()
    assert places == {str(address[0]) for *_, address in found}


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("127.0.0.1", "Address already in use"),
        ("192.0.2.1", "Cannot assign requested address"),
        ("no-such-name.invalid", ""),
        ("no..name", "a part of the name is empty"),
        ("x" * 64, "a part of the name is empty"),
    ],
)
def test_what_cannot_be_bound_is_said_in_one_line(host: str, reason: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ListenError) as caught:
            bind(host, port)
    assert str(caught.value).startswith(f"cannot listen on {host}:{port}: {reason}")
    assert "\n" not in str(caught.value)


def test_a_port_that_somebody_else_listened_on_first_is_said_too() -> None:
    (first,) = bind("127.0.0.1", 0)
    (second,) = bind("127.0.0.1", first.getsockname()[1])
    with first, second:
        listen(first)
        with pytest.raises(ListenError, match="Address already in use"):
            listen(second)


def test_addresses_are_spelled_as_people_write_them() -> None:
    assert host_port(("127.0.0.1", 80)) == "127.0.0.1:80"
    assert host_port(("::1", 80, 0, 0)) == "[::1]:80"


def test_a_port_is_shared_only_by_those_who_share_it() -> None:
    [one] = bind("127.0.0.1", 0, shared=True)
    port = one.getsockname()[1]
    [other] = bind("127.0.0.1", port, shared=True)
    with one, other:
        listen(one)
        listen(other)
        with pytest.raises(ListenError):
            bind("127.0.0.1", port)
