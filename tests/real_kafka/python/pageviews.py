"""Writes Avro messages with one registry and reads them with others, by Confluent's own client.

python pageviews.py BROKERS TOPIC COUNT WRITERS_REGISTRY READERS_REGISTRY...
"""

import sys

from confluent_kafka import Consumer
from confluent_kafka import Producer
from confluent_kafka import TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField
from confluent_kafka.serialization import SerializationContext

# A message that is not there within so many seconds never comes.
WAIT_SECONDS = 30


def pageview(number):
    return {"viewtime": number, "userid": f"user {number}", "pageid": f"page {number}", "referrer": None}


def write(brokers, topic, count, registry):
    settings = {"auto.register.schemas": False, "use.latest.version": True}
    serialize = AvroSerializer(SchemaRegistryClient({"url": registry}), conf=settings)
    context = SerializationContext(topic, MessageField.VALUE)
    producer = Producer({"bootstrap.servers": brokers})
    for number in range(count):
        producer.produce(topic, value=serialize(pageview(number), context), partition=0)
    if producer.flush(WAIT_SECONDS) > 0:
        sys.exit("not all messages were taken")


def read(brokers, topic, count):
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    values = []
    while len(values) < count:
        message = consumer.poll(WAIT_SECONDS)
        if message is None or message.error():
            sys.exit(f"{len(values)} of {count} messages came: {message and message.error()}")
        values.append(message.value())
    consumer.close()
    return values


def main(brokers, topic, count, writers, *readers):
    count = int(count)
    write(brokers, topic, count, writers)
    values = read(brokers, topic, count)
    context = SerializationContext(topic, MessageField.VALUE)
    for registry in readers:
        deserialize = AvroDeserializer(SchemaRegistryClient({"url": registry}))
        for number, value in enumerate(values):
            decoded = deserialize(value, context)
            if decoded != pageview(number):
                sys.exit(f"{registry}: {decoded} instead of {pageview(number)}")
        print(f"{count} read")


main(*sys.argv[1:])
