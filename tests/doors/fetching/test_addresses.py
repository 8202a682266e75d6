"""What may be called on a stranger's word: hostile URLs, names and addresses."""

import ipaddress

import pytest

from okla_assets.doors.fetching.addresses import (
    AddressRules,
    CannotFetch,
    HostRule,
    is_of_the_network,
    is_public,
    target_of,
)
from resources.errors import BrokenSetup
from resources.settings import Settings
from tests.doors.web import PUBLIC, lying_names


def words(text: str) -> list[str]:
    """Without its spaces."""
    return text.split()


NO_URLS = (
    """
    ftp://example.com/a.jpg
    file:///etc/passwd
    gopher://example.com/_x
    data:image/png;base64,iVBORw0KGgo=
    dict://example.com:11211/stat
    ldap://example.com/
    jar:https://example.com!/x
    javascript:alert(1)
    //example.com/a.jpg
    /etc/passwd
    example.com/a.jpg
    https:/example.com/a.jpg
    https:example.com/a.jpg
    https://
    https:///a.jpg
    https://?x
    https://#x
    https://:443/
    https://user@example.com/
    https://user:password@example.com/
    https://example.com@127.0.0.1/
    https://127.0.0.1@example.com/
    https://example.com%40127.0.0.1/
    https://@example.com/
    https://example.com:0/
    https://example.com:65536/
    https://example.com:99999/
    https://example.com:443443443/
    https://example.com:-1/
    https://example.com:https/
    https://example.com:443:80/
    https://example.com\\@127.0.0.1/
    https://127.0.0.1\\.example.com/
    https:\\\\127.0.0.1\\
    https://exa%6dple.com/
    https://127%2e0.0.1/
    https://%31%32%37.0.0.1/
    https://127.0.0.1%00.example.com/
    https://0x7f000001/
    https://0x7f.0.0.1/
    https://0x7f.1/
    https://2130706433/
    https://017700000001/
    https://0177.0.0.1/
    https://127.1/
    https://127.0.1/
    https://127.0.0.01/
    https://127.0.0.256/
    https://0/
    https://1/
    https://[::1
    https://::1/
    https://[]/
    https://[127.0.0.1]/
    https://[fe80::1%25eth0]/
    https://[fe80::1%eth0]/
    https://[::ffff:127.0.0.1]x/
    https://[v1.127.0.0.1]/
    https://-example.com/
    https://example-.com/
    https://exam!ple.com/
    https://exam$ple.com/
    https://a..example.com/
    https://.example.com/
    https://example.com../
    https://*.example.com/
    https://exa\tmple.com/
    https://exa\rmple.com/
    https://example.com/a\x00.jpg
    https://example.com/a\r\nHost: x
    https://exa\x7fmple.com/
    https://example.com\u2028/
    https://\u0000/
    """.removeprefix("\n")
    .removesuffix("\n    ")
    .split("\n    ")
)

NOT_PUBLIC = words("""
    0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255
    127.0.0.1 127.255.255.254 168.63.129.16 169.254.0.1 169.254.169.254 169.254.170.2
    172.16.0.1 172.31.255.255 192.0.0.8 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1
    192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.250
    240.0.0.1 255.255.255.255
    :: ::1 ::2 ::127.0.0.1 ::ffff:0.0.0.0 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254
    ::ffff:192.168.1.1 ::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b::10.0.0.1
    64:ff9b:1::1 64:ff9b:1::5db8:d70e 100::1 2001::1 2001:0:7f00:1::1 2001:2::1 2001:10::1
    2001:20::1 2001:db8::1 2002:7f00:1:: 2002:a9fe:a9fe::1 2002:5db8:d70e::1 3fff::1 4000::1
    5f00::1 fc00::1 fd00::1 fd00:ec2::254 fd20:ce::254 fe80::1 febf::1 fec0::1 ff02::1 ff0e::1
    """)


@pytest.mark.parametrize("url", NO_URLS, ids=ascii)
def test_what_is_no_plain_web_address_is_refused(url: str) -> None:
    with lying_names({}) as names, pytest.raises(CannotFetch) as refused:
        AddressRules().check(url)
    assert refused.value.code == "invalid_url"
    assert names.asked == []


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused_by_number_and_by_name(address: str) -> None:
    rules = AddressRules()
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(CannotFetch) as refused:
        rules.check(f"https://{host}/a.jpg")
    assert refused.value.code == "url_not_allowed"
    target = rules.check("https://photos.example.com/a.jpg")
    for answers in ([address], [PUBLIC, address], [address, PUBLIC]):
        with lying_names({"photos.example.com": [answers]}), pytest.raises(CannotFetch) as refused:
            rules.addresses(target)
        assert refused.value.code == "url_not_allowed"
        assert address not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://\uff11\uff12\uff17.0.0.1/",
        "https://127\u30020\u30020\u30021/",
        "https://\u2460\u2461\u2466.0.0.1/",
    ],
    ids=ascii,
)
def test_an_address_in_other_letters_is_the_same_address(url: str) -> None:
    with pytest.raises(CannotFetch) as refused:
        AddressRules().check(url)
    assert refused.value.code == "url_not_allowed"


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a.jpg",
        "HTTP://example.com/a.jpg",
        "https://example.com:22/",
        "https://example.com:6379/",
        "https://example.com:8443/",
    ],
)
def test_plain_http_and_other_ports_are_not_called(url: str) -> None:
    with pytest.raises(CannotFetch) as refused:
        AddressRules().check(url)
    assert refused.value.code == "url_not_allowed"


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        ("https://example.com", "example.com", "/"),
        ("https://Example.COM./a b.jpg", "example.com", "/a%20b.jpg"),
        ("https://example.com?x=1&y=%20#z", "example.com", "/?x=1&y=%20"),
        ("https://bücher.example/ä.jpg", "xn--bcher-kva.example", "/%C3%A4.jpg"),
        ("https://[2606:2800:220:1::1]:443/a", "2606:2800:220:1::1", "/a"),
        ("https://example.com/a@b:c/d\\e", "example.com", "/a@b:c/d%5Ce"),
        (" https://my_bucket.example.com/a ", "my_bucket.example.com", "/a"),
    ],
)
def test_a_url_is_taken_apart(url: str, host: str, path: str) -> None:
    target = target_of(url)
    assert (target.host, target.port, target.path) == (host, 443, path)
    assert target_of(target.url) == target


@pytest.mark.parametrize(
    "address",
    [PUBLIC, "8.8.8.8", "2606:4700::1", f"::ffff:{PUBLIC}", f"64:ff9b::{PUBLIC}", "2a00::1"],
)
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))
    rules = AddressRules()
    with lying_names({"photos.example.com": [[address]]}):
        found = rules.addresses(rules.check("https://photos.example.com/a.jpg"))
    assert found == [ipaddress.ip_address(address)]


def test_a_url_that_is_too_long_is_refused() -> None:
    with pytest.raises(CannotFetch):
        target_of("https://example.com/" + "a" * 5000)


def test_a_name_that_nobody_knows_reads_like_one_of_our_network() -> None:
    rules = AddressRules()
    said = []
    for names in ({}, {"db": [["10.0.0.7"]]}):
        with lying_names(names), pytest.raises(CannotFetch) as refused:
            rules.addresses(rules.check("https://db/"))
        said.append(str(refused.value))
    assert said[0] == said[1]


def test_only_hosts_that_are_named_are_called() -> None:
    rules = AddressRules.of(Settings(fetch_hosts="Photos.example.org, *.example.net:8443"))
    for url in (
        "https://photos.example.org/a",
        "https://a.example.net:8443/",
        "https://a.b.example.net:8443/",
    ):
        assert rules.check(url).path in url
    for url in (
        "https://example.org/",
        "https://photos.example.org.evil.com/",
        "https://xphotos.example.org/",
        "https://photos.example.org:8443/",
        "https://example.net:8443/",
        "https://evilexample.net:8443/",
        "https://a.example.net/",
        "http://photos.example.org/",
    ):
        with pytest.raises(CannotFetch):
            rules.check(url)


def test_a_star_adds_every_public_host_to_those_named() -> None:
    rules = AddressRules.of(Settings(fetch_hosts="*, media:8080", fetch_private=True))
    assert rules.check("https://anybody.example.com/").port == 443
    assert rules.check("http://media:8080/a.jpg").port == 8080
    for url in ("http://anybody.example.com/", "http://media/", "https://127.0.0.1/"):
        with pytest.raises(CannotFetch):
            rules.check(url)
    with lying_names({"anybody.example.com": [["10.0.0.1"]]}), pytest.raises(CannotFetch):
        rules.addresses(rules.check("https://anybody.example.com/"))


def test_hosts_of_our_network_are_called_where_that_is_set() -> None:
    named = (HostRule("media", port=8080),)
    target = AddressRules(named, every=False, private=True).check("http://media:8080/a.jpg")
    with lying_names({"media": [["10.1.2.3"]]}):
        assert AddressRules(named, False, private=True).addresses(target)
        with pytest.raises(CannotFetch):
            AddressRules(named, False, private=False).addresses(target)


@pytest.mark.parametrize("address", words("10.0.0.1 127.0.0.1 192.168.1.1 fd12::1 ::1 8.8.8.8"))
def test_addresses_of_a_network(address: str) -> None:
    assert is_of_the_network(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    words(
        "169.254.169.254 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe 168.63.129.16 100.100.100.200 "
        "fd00:ec2::254 fe80::1 0.0.0.0 :: 224.0.0.1 ff02::1 255.255.255.255"
    ),
)
def test_credentials_of_a_cloud_are_never_reached(address: str) -> None:
    assert not is_of_the_network(ipaddress.ip_address(address))


@pytest.mark.parametrize("wrong", ["https://example.com", "exa mple.com", "a@b", "*.*.com", "a:b"])
def test_a_host_that_is_none_is_a_broken_setup(wrong: str) -> None:
    with pytest.raises(BrokenSetup, match="OKLA_FETCH_HOSTS"):
        AddressRules.of(Settings(fetch_hosts=wrong))
