"""What is in deploy/: read, and as far as it goes on this machine, run."""

import json
import re
import shutil
import ssl
import subprocess
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer.main
import urllib3
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from okla_assets.cli.app import app
from okla_assets.doors.server import make_app
from okla_assets.runtime import servers
from resources.settings import Settings
from resources.storage.media_store import LocalMediaStore
from tests.conftest import REPOSITORY
from tests.doors.conftest import answering, door_on
from tests.rabbitmq import free_ports
from tests.running import listens, wait_for

DEPLOY = REPOSITORY / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
EXAMPLE = (DEPLOY / "compose" / "okla.env.example").read_text()
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: one for name, one in SERVICES.items() if one["image"].startswith("okla-media")}
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())
UNITS = sorted(DEPLOY.rglob("*.service"))


def test_every_file_can_be_read() -> None:
    for path in FILES:
        text = path.read_text()
        if path.suffix == ".yaml":
            assert list(yaml.safe_load_all(text)), path
        elif path.suffix == ".json":
            assert json.loads(text), path


def test_every_variable_is_one_that_there_is() -> None:
    known = {f"OKLA_{name.upper()}" for name in Settings.model_fields} | {
        "OKLA_DOMAIN",  # of the proxies
        "OKLA_DOOR",
    }
    for path in FILES:
        used = set(re.findall(r"OKLA_[A-Z0-9_]+[A-Z0-9]", path.read_text()))
        assert used <= known, path


def _check_command(words: list[str]) -> None:
    """Parses an `okla` command with its options, as typing it does; runs nothing."""
    command = typer.main.get_command(app)
    context = command.make_context("okla", words, resilient_parsing=True)
    name, found, rest = command.resolve_command(context, words)  # type: ignore[attr-defined]
    assert found is not None and name == words[0]
    found.make_context(name, rest)


def test_every_command_is_one_that_there_is() -> None:
    commands = [one["command"] for one in OURS.values() if one["command"][0] == "okla"]
    assert [words[1] for words in commands] == ["up", "serve", "consume", "worker"]
    for words in commands:
        _check_command(words[1:])
    units = 0
    for path in UNITS:
        (line,) = re.findall(r"^ExecStart=(.*)$", path.read_text(), re.MULTILINE)
        words = re.sub(r"^.*?/okla/bin/okla ", "", line.rstrip("'")).split()
        _check_command([word for word in words if "$" not in word and not word.startswith("--")])
        units += 1
    assert units == 4


def test_only_the_proxy_can_be_reached_from_other_machines() -> None:
    for name, service in SERVICES.items():
        for port in service.get("ports", ()):
            assert name == "caddy" or port.startswith("127.0.0.1:"), (name, port)
    # In a network of the host's own nothing is published, so what it starts has to keep to itself.
    hosted = [name for name, one in SERVICES.items() if one.get("network_mode") == "host"]
    assert hosted == ["up"]
    assert SERVICES["caddy"]["networks"] == ["front"]
    with_front = {name for name, one in SERVICES.items() if "front" in one.get("networks", ())}
    assert with_front == {"caddy", "serve"}


def test_dagsters_webserver_is_on_the_loopback_interface() -> None:
    """It is started by `okla up` alone, which has no option for another address; in the cluster
    no pod may reach it."""
    assert servers.HOST == "127.0.0.1"
    (up,) = [one for one in typer.main.get_command(app).commands.items() if one[0] == "up"]  # type: ignore[attr-defined]
    assert "host" not in {parameter.name for parameter in up[1].params}
    for path in FILES:
        assert not re.search(r"dagster-webserver +-|dagit|dagster dev", path.read_text()), path
    policy = yaml.safe_load((DEPLOY / "kubernetes" / "webserver-policy.yaml").read_text())
    assert policy["spec"]["podSelector"]["matchLabels"] == {"component": "dagster-webserver"}
    assert policy["spec"]["ingress"] == []
    proxies = [path.read_text() for path in (DEPLOY / "proxy").iterdir()]
    assert len(proxies) == 2
    for text in proxies:
        assert "3000" not in text and text.count("127.0.0.1:") == text.count("127.0.0.1:8080")


def test_the_compose_file_is_whole() -> None:
    text = (DEPLOY / "compose" / "compose.yaml").read_text()
    # Nothing works before its passwords are set, and each is named in the example.
    told = set(re.findall(r"^([A-Z_0-9]+)=", EXAMPLE, re.MULTILINE))
    needed = set(re.findall(r"\$\{([A-Z_0-9]+)", text))
    assert needed == told
    secret = {name for name in told if re.search("PASSWORD|SECRET", name)}
    assert all(f"${{{name}:?}}" in text and f"${{{name}:-" not in text for name in secret)
    assert not re.search(r"^\w*(PASSWORD|SECRET)\w*=.", EXAMPLE, re.MULTILINE)
    for name, service in SERVICES.items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            exists = source in COMPOSE["volumes"] or (DEPLOY / "compose" / source).exists()
            assert exists, (name, volume)
        for config in service.get("configs", ()):
            assert config["source"] in COMPOSE["configs"], name
        for other in service.get("depends_on", ()):
            assert other in SERVICES, name
        for network in service.get("networks", ()):
            assert network in COMPOSE["networks"], name
        assert ":" in service["image"] and not service["image"].endswith(":latest")
    # The backend cannot write to where the workers' tasks come from.
    definitions = json.loads(COMPOSE["configs"]["rabbitmq_definitions"]["content"])
    allowed = {(one["user"], one["vhost"]) for one in definitions["permissions"]}
    assert allowed == {("okla", "/"), ("okla", "workers"), ("backend", "/")}
    environment = OURS["worker"]["environment"]
    assert environment["OKLA_BROKER_URL"].endswith("/workers")
    assert environment["OKLA_AMQP_URL"].endswith("/%2F")
    assert json.loads(COMPOSE["configs"]["s3_identities"]["content"])
    assert all("no-new-privileges:true" in one["security_opt"] for one in OURS.values())


def test_a_new_container_knows_the_runs_of_the_old_one() -> None:
    """Runs are named by host, process and start. What makes runs by itself keeps its host's name;
    workers may be several, and theirs are known by their tasks."""
    assert OURS["serve"]["hostname"] == "serve"


def test_links_in_dagsters_ui_open_whoever_made_the_vehicle() -> None:
    """`okla up` tells its own servers alone where its file server is."""
    port = typer.main.get_command(app).commands["up"].params  # type: ignore[attr-defined]
    (usual,) = [one.default for one in port if one.name == "port"]
    for name in ("up", "serve", "worker"):
        assert OURS[name]["environment"]["OKLA_FILES_URL"] == f"http://127.0.0.1:{usual + 1}"


def _named(found: Any, key: str) -> set[str]:
    """All values of a key, anywhere in a document."""
    if isinstance(found, list):
        return set().union(*(_named(one, key) for one in found))
    if isinstance(found, dict):
        here = {found[key]} if isinstance(found.get(key), str) else set()
        return here.union(*(_named(one, key) for one in found.values()))
    return set()


def test_what_the_pods_need_is_made_before() -> None:
    folder = DEPLOY / "kubernetes"
    values, workers, claim = (
        yaml.safe_load((folder / f"{name}.yaml").read_text())
        for name in ("values", "workers", "models")
    )
    text = (DEPLOY / "README.md").read_text()
    secrets = set(re.findall(r"^ +kubectl create secret generic ([\w-]+)", text, re.MULTILINE))
    assert secrets == {"okla", values["global"]["postgresqlSecretName"]}
    for path in folder.glob("*.yaml"):
        assert f"kubernetes/{path.name}" in text, path
    # The chart's dagster.yaml asks for the password, which the chart gives to its own pods.
    pod = workers["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (password,) = [one for one in container["env"] if one["name"] == "DAGSTER_PG_PASSWORD"]
    wanted = {"name": values["global"]["postgresqlSecretName"], "key": "postgresql-password"}
    assert password["valueFrom"]["secretKeyRef"] == wanted
    assert f"{wanted['key']}=" in text
    # Nothing but `okla` fetches weights, and runs of the chart start without it.
    run = values["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]
    (first,) = run["podSpecConfig"]["initContainers"]
    assert first["command"] == ["okla", "models", "pull"]
    _check_command(first["command"][1:])
    for spec, mounts in ((run["podSpecConfig"], run["containerConfig"]), (pod, container)):
        assert _named(spec["volumes"], "claimName") == {claim["metadata"]["name"]}
        assert {"name": "models", "mountPath": "/models"} in mounts["volumeMounts"]
        uid = re.findall(r"--uid (\d+)", (DEPLOY / "Dockerfile").read_text())
        assert [str(spec["securityContext"]["fsGroup"])] == uid


def test_only_dagsters_own_pods_reach_the_code_server() -> None:
    policy = yaml.safe_load((DEPLOY / "kubernetes" / "code-server-policy.yaml").read_text())
    assert policy["spec"]["podSelector"]["matchLabels"] == {"component": "user-deployments"}
    assert _named(policy["spec"]["ingress"], "component") == {"dagster-webserver", "dagster-daemon"}


def test_a_new_machine_installs_what_lies_here() -> None:
    """No registry has the package: `pip install okla-media` finds none."""
    text = (DEPLOY / "README.md").read_text()
    installed = re.findall(r"pip install (\S+)", text)
    assert installed
    extras = set(
        tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"][
            "optional-dependencies"
        ]
    )
    for what in installed:
        found = re.fullmatch(r"'\.\.\[([\w,]+)\]'", what)
        assert found is not None, what
        assert set(found[1].split(",")) <= extras


def test_the_image_runs_as_nobody_in_particular_and_holds_no_weights() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    (user,) = [n for n, line in enumerate(lines) if line.startswith("USER ")]
    assert lines[user] == "USER okla"
    assert not any(line.startswith(("RUN", "COPY", "ADD")) for line in lines[user:])
    assert "VOLUME /models" in lines
    assert not [path for path in FILES if path.name == "Dockerfile"][1:]
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {project["project"]["readme"], *project["project"]["license-files"]}
    needed |= {*wheel["packages"], *wheel["force-include"], "pyproject.toml"}
    copied = {source for line in lines if line.startswith("COPY ") for source in line.split()[1:-1]}
    assert copied == needed


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_systemd_takes_the_units(unit: Path, tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("needs systemd-analyze")
    text = unit.read_text().replace("/opt/okla/bin/okla", "/bin/true").replace("User=okla\n", "")
    (tmp_path / unit.name.replace("@", "@0")).write_text(text)
    done = subprocess.run(
        [program, "verify", "--man=no", str(tmp_path / unit.name.replace("@", "@0"))],
        capture_output=True,
        text=True,
    )
    ours = [line for line in done.stderr.splitlines() if unit.name.split(".")[0] in line]
    assert not ours


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """One that names both hosts, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    names = [x509.DNSName(host) for host in ("media.example.org", "api.remove.bg")]
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, secret = tmp_path / "test.pem", tmp_path / "test.key"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pem, secret


@pytest.fixture
def proxied(
    store: LocalMediaStore, certificate: tuple[Path, Path], tmp_path: Path
) -> Iterator[int]:
    """nginx, as it is in deploy/, before a real door; the port of its TLS."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    if program is None:
        pytest.skip("needs nginx (Debian's package nginx-light)")
    plain, tls = free_ports(2)
    with answering(make_app(door_on(store))) as url:
        text = (DEPLOY / "proxy" / "nginx.conf").read_text()
        text = re.sub(r"/etc/okla/tls/[\w.]+\.pem", str(certificate[0]), text)
        text = re.sub(r"/etc/okla/tls/[\w.]+\.key", str(certificate[1]), text)
        text = text.replace("127.0.0.1:8080", url.removeprefix("http://"))
        text = text.replace("listen 443", f"listen 127.0.0.1:{tls}")
        text = text.replace("listen 80", f"listen 127.0.0.1:{plain}")
        text = text.replace("/var/log/nginx/access.log", str(tmp_path / "access.log"))
        places = "".join(
            f"    {kind}_temp_path {tmp_path}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        text = text.replace("http {\n", "http {\n" + places, 1)
        config = tmp_path / "nginx.conf"
        config.write_text(f"daemon off;\npid {tmp_path}/pid;\n" + text)
        arguments = [program, "-e", str(tmp_path / "error.log"), "-c", str(config)]
        subprocess.run([*arguments, "-t"], check=True, capture_output=True)
        with subprocess.Popen(arguments) as server:
            try:
                wait_for(lambda: listens(tls), 20)
                yield tls
            finally:
                server.terminate()


def test_the_proxy_answers_for_both_names(
    proxied: int, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    def get(host: str, path: str, **more: Any) -> urllib3.BaseHTTPResponse:
        pool = urllib3.HTTPSConnectionPool(
            "127.0.0.1",
            proxied,
            ca_certs=str(certificate[0]),
            server_hostname=host,
            assert_hostname=host,
            retries=False,
        )
        with pool:
            return pool.request(more.pop("method", "GET"), path, headers={"Host": host}, **more)

    ours, theirs = "media.example.org", "api.remove.bg"
    assert get(ours, "/health").json() == {"status": "Healthy"}
    assert get(ours, "/metrics").status == 404
    assert get(theirs, "/health").status == 404
    assert get(theirs, "/metrics").status == 404
    # The door answers, not the proxy.
    assert "x-request-id" in get(theirs, "/v1.0/account").headers
    assert "x-request-id" not in get(theirs, "/v1.0/../metrics").headers
    large = get(ours, "/api/aiprocessing/callback", method="POST", body=b"x" * (3 << 20))
    assert large.status == 413
    with pytest.raises((urllib3.exceptions.SSLError, ssl.SSLError)):
        get("another.example.org", "/health")
    get(ours, "/files/x?signature=abc123")
    assert "abc123" not in (tmp_path / "access.log").read_text()
