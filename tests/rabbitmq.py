"""A RabbitMQ server for a test, all of whose ports are on the loopback interface."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PLACES = "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin"
"""Debian's own scripts refuse to run as anybody but root and then change the user."""


@dataclass(frozen=True)
class Rabbit:
    """The server's URL, and its command line."""

    url: str
    programs: Path
    environment: dict[str, str]
    servers: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def start(self) -> None:
        """Starts the server, the first time or after a crash, and waits until it takes clients."""
        server = subprocess.Popen(
            [str(self.programs / "rabbitmq-server")],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.servers.append(server)
        for _ in range(300):
            assert server.poll() is None, "RabbitMQ did not start"
            if self.running():
                return
            time.sleep(0.2)
        raise AssertionError("RabbitMQ takes no clients")

    def crash(self) -> None:
        """Kills the server; what it has on disk stays."""
        server = self.servers.pop()
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()

    def cut_connections(self) -> None:
        """Closes every client's connection, as a network does that goes away for a moment."""
        self._control("close_all_connections", "a test")

    def import_definitions(self, path: Path) -> None:
        """Makes the users and virtual hosts of a file."""
        self._control("import_definitions", str(path))

    def running(self) -> bool:
        """Whether it takes clients."""
        port = int(self.environment["RABBITMQ_NODE_PORT"])
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def _control(self, *arguments: str) -> None:
        subprocess.run(
            [str(self.programs / "rabbitmqctl"), *arguments],
            env=self.environment,
            check=True,
            capture_output=True,
        )


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody has."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@contextmanager
def running_rabbitmq() -> Iterator[Rabbit]:
    """A new server, gone at the end; skips the test where RabbitMQ is not installed."""
    found = sorted(Path("/").glob(PLACES.lstrip("/")))
    epmd = shutil.which("epmd")
    if not found or epmd is None:
        pytest.skip("needs RabbitMQ (Debian's package rabbitmq-server)")
    port, names, distribution = free_ports(3)
    with tempfile.TemporaryDirectory(prefix="okla-rabbitmq-") as folder:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "LANG": "C.UTF-8",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(names),
            "RABBITMQ_BASE": folder,
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/none",
            "RABBITMQ_CONFIG_FILE": f"{folder}/none",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia",
            "RABBITMQ_NODENAME": "okla@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            # Its own threads wait for work by turning round; two of them are enough here.
            "RABBITMQ_SCHEDULER_BIND_TYPE": "u",
        }
        (Path(folder) / "plugins").write_text("[].\n")
        with subprocess.Popen([epmd, "-address", "127.0.0.1"], env=environment) as daemon:
            rabbit = Rabbit(f"pyamqp://guest:guest@127.0.0.1:{port}//", found[-1], environment)
            try:
                rabbit.start()
                yield rabbit
            finally:
                while rabbit.servers:
                    rabbit.crash()
                daemon.kill()
