"""Message brokers: aio-pika against RabbitMQ, nats-py, aiomqtt against Mosquitto."""

from __future__ import annotations

import asyncio
import logging
import os

import aio_pika
import aiomqtt
import nats
import nats.errors
import pytest

from tests.ecosystem.services import HOST, PORTS, needs, relay

LARGE = os.urandom(500_000)
NAME = f"weft.{os.getpid()}"


# RabbitMQ


def amqp(port=PORTS["RabbitMQ"]):
    return f"amqp://guest:guest@{HOST}:{port}/"


@needs("RabbitMQ")
async def test_messages_are_confirmed_consumed_and_acknowledged():
    async with await aio_pika.connect(amqp()) as connection:
        channel = await connection.channel(publisher_confirms=True)
        await channel.set_qos(prefetch_count=20)
        queue = await channel.declare_queue(exclusive=True, auto_delete=True)
        bodies = [b"%d" % number for number in range(200)] + [LARGE]

        async def publish(body):
            message = aio_pika.Message(body)
            assert await channel.default_exchange.publish(message, queue.name)

        async with asyncio.TaskGroup() as group:
            for body in bodies:
                group.create_task(publish(body))
        received = []
        async with queue.iterator() as messages:
            async for message in messages:
                async with message.process():
                    received.append(message.body)
                if len(received) == len(bodies):
                    break
        assert sorted(received) == sorted(bodies)


@needs("RabbitMQ")
async def test_waiting_for_a_message_can_be_cancelled():
    async with await aio_pika.connect(amqp()) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True, auto_delete=True)
        for _ in range(3):
            with pytest.raises(aio_pika.exceptions.QueueEmpty):
                await queue.get(timeout=5)
        async with queue.iterator() as messages:
            waiting = asyncio.create_task(anext(messages))
            await asyncio.sleep(0.01)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting


@needs("RabbitMQ")
async def test_a_robust_connection_comes_back(caplog):
    for logger in ("aio_pika", "aiormq"):  # records of the cut would keep frames and transports
        caplog.set_level(logging.CRITICAL + 1, logger)
    async with relay("RabbitMQ") as between:
        connection = await aio_pika.connect_robust(amqp(between.port), reconnect_interval=0.01)
        async with connection:
            back = asyncio.Event()
            connection.reconnect_callbacks.add(lambda *_: back.set())
            channel = await connection.channel()
            queue = await channel.declare_queue(f"{NAME}.robust", auto_delete=True)
            between.cut()
            await back.wait()
            await channel.default_exchange.publish(aio_pika.Message(b"again"), queue.name)
            message = await queue.get(timeout=5, fail=True)
            await message.ack()
            assert message.body == b"again"
            await queue.delete()


# NATS


@needs("NATS")
async def test_nats_publishes_requests_and_replies():
    client = await nats.connect(f"nats://{HOST}:{PORTS['NATS']}")
    try:

        async def answer(message):
            await message.respond(message.data[::-1])

        await client.subscribe(f"{NAME}.service", queue="workers", cb=answer)
        listener = await client.subscribe(f"{NAME}.news.*")
        for number in range(500):
            await client.publish(f"{NAME}.news.{number}", b"%d" % number)
        news = [await listener.next_msg(timeout=5) for _ in range(500)]
        assert [message.data for message in news] == [b"%d" % number for number in range(500)]

        async def ask(number):
            answer = await client.request(f"{NAME}.service", b"%03d" % number, timeout=5)
            assert answer.data == (b"%03d" % number)[::-1]

        async with asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(ask(number))
        answer = await client.request(f"{NAME}.service", LARGE, timeout=5)
        assert answer.data == LARGE[::-1]
        with pytest.raises(nats.errors.NoRespondersError):
            await client.request(f"{NAME}.nobody", b"", timeout=5)
        with pytest.raises(nats.errors.TimeoutError):
            await listener.next_msg(timeout=0.01)
    finally:
        await client.drain()


@needs("NATS")
async def test_nats_connects_again():
    async with relay("NATS") as between:
        back = asyncio.Event()

        async def reconnected():
            back.set()

        client = await nats.connect(
            f"nats://{HOST}:{between.port}",
            reconnect_time_wait=0.01,
            reconnected_cb=reconnected,
            error_cb=ignored,
        )
        listener = await client.subscribe(f"{NAME}.after")
        await client.flush()
        between.cut()
        await back.wait()
        await client.publish(f"{NAME}.after", b"the cut")
        assert (await listener.next_msg(timeout=5)).data == b"the cut"
        await client.close()


async def ignored(_error):
    """The cut connection is an error that the test made itself."""


# MQTT


def mqtt(port=PORTS["Mosquitto"]):
    return aiomqtt.Client(HOST, port, timeout=5)


@needs("Mosquitto")
async def test_mqtt_publishes_with_every_quality_of_service():
    async with mqtt() as publisher, mqtt() as subscriber:
        await subscriber.subscribe(f"{NAME}/#", qos=2)
        payloads = [b"%d" % number for number in range(60)] + [LARGE]

        async def publish():
            for number, payload in enumerate(payloads):
                await publisher.publish(f"{NAME}/{number}", payload, qos=number % 3)

        publishing = asyncio.create_task(publish())
        received = {}
        async for message in subscriber.messages:
            received[int(message.topic.value.rpartition("/")[2])] = message.payload
            if len(received) == len(payloads):
                break
        await publishing
        assert received == dict(enumerate(payloads))


@needs("Mosquitto")
async def test_mqtt_waiting_is_cancelled_and_a_cut_is_told():
    async with relay("Mosquitto") as between:
        with pytest.raises(aiomqtt.MqttError):
            async with mqtt(between.port) as client:
                await client.subscribe(f"{NAME}/nothing")
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await anext(aiter(client.messages))
                between.cut()
                await anext(aiter(client.messages))
        async with mqtt(between.port) as client:
            await client.publish(f"{NAME}/again", b"x", qos=1)
