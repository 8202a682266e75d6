"""RabbitMQ: the connection, the queues and exchanges of OKLA's backend, and what is published.

Everything that is published is confirmed by the broker before it counts as said.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pika
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.exceptions import (
    AMQPConnectionError,
    ChannelClosedByBroker,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
    UnroutableError,
)

from okla_assets.doors.queue.answers import LONGEST_REASON, Publication
from okla_assets.doors.queue.messages import DEAD_QUEUE, OWN_QUEUE, PUBLISHED, QUEUES
from resources.errors import BrokenSetup
from resources.settings import Settings

log = logging.getLogger("okla.doors")

PREFETCH = 16
BLOCKED_SECONDS = 300
MOST_HEADERS = 40
LONGEST_HEADER = 120
REFUSED, MISSING, DIFFERENT = 403, 404, 406
"""Why the broker closes a channel: it may not, there is none, there is one of another kind."""
PERSISTENT = 2


def parameters_of(settings: Settings) -> pika.URLParameters:
    """How the broker is reached. Raises BrokenSetup, without the password."""
    name = "OKLA_AMQP_URL" if settings.amqp_url else "OKLA_BROKER_URL"
    url = settings.amqp_url or settings.broker_url
    if not url:
        raise BrokenSetup(
            "the queue's door needs a broker: set OKLA_AMQP_URL to "
            "amqp://USER:PASSWORD@HOST:5672/%2F"
        )
    scheme, _, rest = url.partition("://")
    try:
        if scheme not in ("amqp", "amqps", "pyamqp"):
            raise ValueError
        # Celery writes the virtual host / as it is, others as %2F.
        if rest.endswith("//"):
            rest = f"{rest[:-1]}%2F"
        parameters = pika.URLParameters(f"{scheme.removeprefix('py')}://{rest}")
    except ValueError:
        raise BrokenSetup(
            f"{name} cannot be used; give amqp://USER:PASSWORD@HOST:5672/%2F"
        ) from None
    parameters.blocked_connection_timeout = BLOCKED_SECONDS
    parameters.client_properties = {"connection_name": "okla consume"}
    return parameters


def connected(parameters: pika.URLParameters, first: bool) -> BlockingConnection:
    """A connection. On the `first` a user whom the broker refuses is a BrokenSetup: later it may
    be a broker that has just started. Raises AMQPConnectionError and OSError."""
    try:
        return BlockingConnection(parameters)
    except (ProbableAuthenticationError, ProbableAccessDeniedError):
        if not first:
            raise
        raise BrokenSetup(
            f"RabbitMQ at {parameters.host}:{parameters.port} refuses the user "
            f"{parameters.credentials.username!r} or its virtual host {parameters.virtual_host!r}; "
            "look after OKLA_AMQP_URL and the user's permissions"
        ) from None


@dataclass
class Broker:
    """One connection, with a channel that takes and one that publishes."""

    connection: BlockingConnection
    _publishing: BlockingChannel | None = None
    _declared: set[str] = field(default_factory=set)

    def declare(self) -> None:
        """The queues, an exchange of each one's name as MassTransit sends to, the exchanges of
        what is published, and the queue of the dead. What is there of another kind stays."""
        for queue in (*QUEUES, DEAD_QUEUE):
            self._queue(queue)
        for queue in QUEUES:
            self._fanout(queue)
            self._bind(queue, queue)
        for exchange in PUBLISHED:
            self._fanout(exchange)
            self._bind(OWN_QUEUE, exchange)

    def taking(self) -> BlockingChannel:
        """A channel to take from."""
        channel = self.connection.channel()
        channel.basic_qos(prefetch_count=PREFETCH)
        return channel

    def publish(self, one: Publication) -> bool:
        """Publishes, and waits until the broker has it. False: whoever waited for it is gone.

        Raises AMQPError: nothing is sure, publish it again.
        """
        exchange = one.address.exchange
        if one.is_ours and exchange not in self._declared:
            self._fanout(exchange)
            self._declared.add(exchange)
        properties = pika.BasicProperties(
            content_type=one.content_type,
            message_id=one.message_id,
            correlation_id=one.correlation_id,
            delivery_mode=PERSISTENT,
        )
        try:
            # Nobody may listen to what is published; an answer has to reach somebody.
            self._publish(
                exchange, one.address.routing_key, one.body, properties, mandatory=not one.is_ours
            )
        except UnroutableError:
            return False
        except ChannelClosedByBroker as closed:
            if one.is_ours or closed.reply_code not in (REFUSED, MISSING):
                raise
            return False
        return True

    def bury(self, body: bytes, properties: pika.BasicProperties, facts: Mapping[str, str]) -> None:
        """Puts a message into the queue of the dead, as it came, with the facts in its headers."""
        # Of its own headers what surely fits beside ours into one frame, and can be written.
        headers = {
            _short(name): value if isinstance(value, (bool, int)) else _short(value)
            for name, value in list((properties.headers or {}).items())[:MOST_HEADERS]
        }
        buried = pika.BasicProperties(
            content_type=properties.content_type,
            content_encoding=properties.content_encoding,
            message_id=properties.message_id,
            correlation_id=properties.correlation_id,
            reply_to=properties.reply_to,
            headers=headers | {name: value[:LONGEST_REASON] for name, value in facts.items()},
            delivery_mode=PERSISTENT,
        )
        self._publish("", DEAD_QUEUE, body, buried, mandatory=True)

    def close(self) -> None:
        """Closes the connection; what was taken and not acknowledged goes back to its queue."""
        if self.connection.is_open:
            try:
                self.connection.close()
            except AMQPConnectionError:
                log.info("RabbitMQ was gone before the connection was closed")

    def _publish(
        self,
        exchange: str,
        routing_key: str,
        body: bytes,
        properties: pika.BasicProperties,
        mandatory: bool,
    ) -> None:
        if self._publishing is None or self._publishing.is_closed:
            self._publishing = self.connection.channel()
            self._publishing.confirm_delivery()
        self._publishing.basic_publish(exchange, routing_key, body, properties, mandatory=mandatory)

    def _queue(self, name: str) -> None:
        self._try(lambda channel: channel.queue_declare(name, durable=True))

    def _fanout(self, name: str) -> None:
        self._try(
            lambda channel: channel.exchange_declare(name, exchange_type="fanout", durable=True)
        )

    def _bind(self, queue: str, exchange: str) -> None:
        with self.connection.channel() as channel:
            channel.queue_bind(queue, exchange)

    def _try(self, declare: Callable[[BlockingChannel], object]) -> None:
        """Declares, unless there is one of that name with other arguments, which serves as well."""
        try:
            with self.connection.channel() as channel:
                declare(channel)
        except ChannelClosedByBroker as closed:
            if closed.reply_code != DIFFERENT:
                raise
            log.info("RabbitMQ has it already, made otherwise: %s", closed.reply_text)


def _short(value: object) -> str:
    return str(value)[:LONGEST_HEADER]
