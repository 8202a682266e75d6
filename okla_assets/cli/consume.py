"""`okla consume`: the queue's door."""

import logging
import signal

from okla_assets.cli.terminal import Out, say, warn
from resources.errors import BrokenSetup
from resources.storage.stores import existing_store


def consume(out: Out = "okla-media") -> None:
    """Take jobs from RabbitMQ (OKLA_AMQP_URL) until TERM, and answer them when they have ended.

    The messages are those of OKLA's backend; `okla serve` on the same media makes the jobs. Any
    number of these may run. What cannot be used lies in the queue okla-media.dead with the reason.
    """
    try:
        from okla_assets.doors.queue.broker import parameters_of
        from okla_assets.doors.queue.consumer import Consumer
    except ModuleNotFoundError as error:
        if error.name != "pika":
            raise
        raise BrokenSetup("RabbitMQ needs pika: pip install 'okla-media[rabbitmq]'") from None
    from okla_assets.doors.callers.stored import caller_named, callers_for
    from okla_assets.doors.door import Door
    from okla_assets.doors.jobs.record import Jobs
    from okla_assets.doors.links import Links, file_address, secret_of
    from okla_assets.doors.okla.viewers import page_url
    from okla_assets.doors.queue.answers import Places
    from okla_assets.runtime.instance import dagster_home
    from resources.settings import settings

    now = settings()
    parameters = parameters_of(now)
    store = existing_store(out)
    links = Links(store, secret_of(now.api_secret, dagster_home(out)))
    if store.public_base() is None and not now.api_url:
        warn("answers name files by their paths alone: set OKLA_API_URL to the HTTP door's address")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # what matters of it is told by us
    door = Door(store, Jobs(store), callers_for(store, now), links, now.api_url)
    places = Places(
        file_address(links, now.api_url), lambda vehicle: page_url(door, vehicle, now.api_url)
    )
    caller = caller_named(now.amqp_caller, store, now)
    consumer = Consumer(door, parameters, caller, places)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: consumer.stopping.set())
    consumer.run()
    say("stopped")
