"""`okla consume`: takes the messages of OKLA's backend and answers them when their jobs have ended.

A message is acknowledged when its job's record is written, or when it lies in the queue of the
dead with the reason. A process or a connection that ends before that loses nothing: the broker
delivers again, and the message's id makes it the same job.
"""

import hashlib
import logging
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError

from okla_assets.doors.callers.caller import Caller
from okla_assets.doors.door import Door
from okla_assets.doors.errors import DoorError
from okla_assets.doors.jobs.record import Delivery, Job, Jobs
from okla_assets.doors.queue.answers import Places, Publication, answers, refusals
from okla_assets.doors.queue.broker import Broker, connected
from okla_assets.doors.queue.messages import QUEUES, Asked, Letter, Poison, asked
from okla_assets.doors.telling import outbox
from okla_assets.doors.telling.callbacks import MOST_RECORDED
from resources.errors import BadInput, BrokenSetup
from resources.storage.media_store import MediaStore

log = logging.getLogger("okla.doors")

LONGEST_PAUSE = 30.0
ANSWERS_SECONDS = 1.0
"""Between two looks at what is to be answered."""


def pauses() -> Iterator[float]:
    """Seconds to wait before each next try: twice as long each time, and never the same for two
    that lost the broker together."""
    longest = 0.5
    while True:
        yield random.uniform(longest / 2, longest)
        longest = min(longest * 2, LONGEST_PAUSE)


@dataclass
class Consumer:
    """One process that takes messages. `caller` is in whose name its jobs are."""

    door: Door
    parameters: pika.URLParameters
    caller: Caller
    places: Places
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def jobs(self) -> Jobs:
        """All jobs."""
        return self.door.jobs

    @property
    def store(self) -> MediaStore:
        """Where they lie."""
        return self.door.store

    def run(self) -> None:
        """Takes and answers messages until `stopping` is set, whatever the broker does meanwhile.

        Raises BrokenSetup where it refuses us from the start.
        """
        waits, first = pauses(), True
        while not self.stopping.is_set():
            began = time.monotonic()
            try:
                broker = Broker(connected(self.parameters, first))
                first = False
                try:
                    self._serve(broker)
                finally:
                    broker.close()
            except (AMQPError, OSError) as error:
                if time.monotonic() - began > LONGEST_PAUSE:
                    waits = pauses()
                pause = next(waits)
                log.warning("no RabbitMQ (%s); next try in %.1f s", _said(error), pause)
                self.stopping.wait(pause)

    def _serve(self, broker: Broker) -> None:
        """The same on one connection; returns when it has to be made anew. Raises AMQPError."""
        broker.declare()
        channel = broker.taking()
        lost = threading.Event()
        channel.add_on_cancel_callback(lambda _frame: lost.set())
        for queue in QUEUES:
            channel.basic_consume(queue, partial(self._take, broker, queue))
        log.info("taking messages from %s", ", ".join(QUEUES))
        look = 0.0
        while not self.stopping.is_set():
            if lost.is_set():
                log.warning("a queue was deleted; it is made anew")
                return
            if time.monotonic() >= look:
                self.answer(broker)
                look = time.monotonic() + ANSWERS_SECONDS
            broker.connection.process_data_events(time_limit=ANSWERS_SECONDS / 4)

    def _take(
        self,
        broker: Broker,
        queue: str,
        channel: BlockingChannel,
        method: pika.spec.Basic.Deliver,
        properties: pika.BasicProperties,
        body: bytes,
    ) -> None:
        if self.stopping.is_set():
            return  # it goes back to its queue with the connection
        letter = Letter(
            queue,
            body,
            method.exchange,
            _text(properties.message_id),
            _text(properties.correlation_id),
            _text(properties.reply_to),
        )
        reason, reply = None, None
        try:
            wanted = asked(letter, self.caller.name)
            if not self._accept(broker, wanted):
                return
        except BadInput as error:
            reason, reply = str(error), getattr(error, "reply", None)
        except AMQPError:
            raise
        except Exception:
            # Whatever it is, delivered again it would be the same for ever.
            log.exception("a message of %s", queue)
            reason = "this message hit a fault of ours; the log has the details"
        if reason is not None:
            log.warning("a message of %s is put to the dead: %s", queue, reason)
            facts = {
                "x-okla-reason": reason,
                "x-okla-queue": queue,
                "x-okla-exchange": method.exchange,
                "x-okla-at": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            broker.bury(body, properties, facts)
            seed = letter.message_id or hashlib.sha256(body).hexdigest()
            self._publish(broker, refusals(reply, seed, reason))
        channel.basic_ack(method.delivery_tag)

    def _accept(self, broker: Broker, wanted: Asked) -> bool:
        """Writes the job's record, as often as it takes; False where we are to stop first.

        Raises BadInput where the job's id is another request's, or the vehicle another caller's.
        """
        waits = pauses()
        while True:
            try:
                self._write(wanted)
                return True
            except (OSError, BrokenSetup) as error:
                pause = next(waits)
                log.warning("the media store fails (%s); next try in %.1f s", _said(error), pause)
                until = time.monotonic() + pause
                while time.monotonic() < until:
                    if self.stopping.is_set():
                        return False
                    broker.connection.sleep(0.1)

    def _write(self, wanted: Asked) -> None:
        vehicle = wanted.request.vehicle_id
        if vehicle is not None:
            try:
                self.door.claim(vehicle, self.caller)
            except DoorError as error:
                raise Poison(error.detail, wanted.request.reply) from None
        job, is_new = self.jobs.accept(wanted.request, wanted.job_id)
        log.info("job %s %s", job.id, "accepted" if is_new else f"is known, and {job.state}")
        if job.has_ended and not is_new:
            # Whoever asks again has not heard of the end.
            now = datetime.now(UTC)
            outbox.put(self.store, "amqp", outbox.Entry(job=job.id, since=now, due=now))

    def answer(self, broker: Broker) -> None:
        """Publishes what is due about jobs that have ended. Raises AMQPError."""
        try:
            due = [info.key for info in outbox.listed(self.store, "amqp")]
            # Several processes begin at different ends.
            random.shuffle(due)
            for key in due:
                if self.stopping.is_set():
                    return
                self._answer(broker, key)
        except (OSError, BrokenSetup) as error:
            log.warning("the media store fails (%s)", _said(error))

    def _answer(self, broker: Broker, key: str) -> None:
        if self.store.stat(key) is None:
            return  # another process was here
        try:
            job = self.jobs.get(key.rpartition("/")[2].removesuffix(".json"))
        except BadInput as error:
            log.error("%s asks for an answer: %s; it is removed", key, error)
            self.store.delete(key)
            return
        if job.has_ended:
            began = datetime.now(UTC)
            unheard = self._publish(broker, answers(job, self.places))
            if job.request.callback is None:  # else the record is that sender's to write
                self._note(job, began, unheard)
            self.store.delete(key)

    def _note(self, job: Job, began: datetime, unheard: list[str]) -> None:
        """Has the job's record tell that its sender was answered, before the outbox forgets it."""
        took = datetime.now(UTC) - began
        told = Delivery(
            at=began,
            problem=f"nobody waits at {', '.join(unheard)}" if unheard else None,
            took_ms=round(took.total_seconds() * 1000),
        )
        deliveries = (*job.deliveries, told)[-MOST_RECORDED:]
        update = {"delivery": "delivered", "deliveries": deliveries}
        self.jobs.keep_ended(job.model_copy(update=update))

    def _publish(self, broker: Broker, every: Iterator[Publication]) -> list[str]:
        """Publishes, and returns where nobody waits any more. Raises AMQPError."""
        unheard = []
        for one in every:
            if not broker.publish(one):
                where = one.address.exchange or one.address.routing_key
                log.warning("nobody waits at %s any more for message %s", where, one.message_id)
                unheard.append(where)
        return unheard


def _text(value: object) -> str | None:
    """A property of a message; one that is no UTF-8 arrives as bytes, and counts as none."""
    return value if isinstance(value, str) else None


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
