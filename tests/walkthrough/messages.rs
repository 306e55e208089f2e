//! Messages and schemas of the walkthrough, and how they come into a topic and out of it.

use apache_avro::{
    Schema,
    types::{Record as AvroRecord, Value as Avro},
    writer::datum::GenericDatumWriter,
};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    producer::{BaseProducer, BaseRecord, Producer},
};

use super::{
    LIMIT, Side,
    Side::{First, Second},
};

/// The schemas of Datagen's `pageviews` and `stock_trades`.
pub(super) const PAGEVIEWS: &str = r#"{"type":"record","name":"pageviews","namespace":"ksql","fields":[{"name":"viewtime","type":"long"},{"name":"userid","type":"string"},{"name":"pageid","type":"string"}],"connect.name":"ksql.pageviews"}"#;
pub(super) const STOCK_TRADES: &str = r#"{"type":"record","name":"StockTrade","namespace":"ksql","fields":[{"name":"side","type":"string"},{"name":"quantity","type":"int"},{"name":"symbol","type":"string"}],"connect.name":"ksql.StockTrade"}"#;

/// The fields of a message.
pub(super) fn fields(side: Side, schema: &Schema, number: i32) -> AvroRecord<'_> {
    let mut record = AvroRecord::new(schema).unwrap();
    match side {
        First => {
            record.put("viewtime", i64::from(number));
            record.put("userid", format!("User_{number}"));
            record.put("pageid", format!("Page_{number}"));
        }
        Second => {
            record.put("side", "BUY");
            record.put("quantity", number);
            record.put("symbol", format!("Z{number}"));
        }
    }
    record
}

/// A message as Confluent's serializers frame it: a zero, the schema's id, the record. The schema is
/// the first that either registry has, so its id is 1.
pub(super) fn message(side: Side, number: i32) -> Vec<u8> {
    let schema = Schema::parse_str(if side == First { PAGEVIEWS } else { STOCK_TRADES }).unwrap();
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    let datum = writer.write_value_to_vec(Avro::from(fields(side, &schema, number))).unwrap();
    [&[0, 0, 0, 0, 1][..], &datum].concat()
}

pub(super) fn produce(broker: &str, topic: &str, key: Option<&str>, values: &[Vec<u8>]) {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", broker).create().unwrap();
    for value in values {
        let record = BaseRecord::<str, [u8]>::to(topic).payload(value).partition(0);
        let record = match key {
            Some(key) => record.key(key),
            None => record,
        };
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(LIMIT).unwrap();
}

pub(super) fn consume(broker: &str, topic: &str, messages: i32) -> Vec<Vec<u8>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker)
        .set("group.id", "console-consumer")
        .create()
        .unwrap();
    let mut from_start = TopicPartitionList::new();
    from_start.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&from_start).unwrap();
    (0..messages)
        .map(|_| {
            let message = consumer.poll(LIMIT).expect("a message in time").unwrap();
            message.payload().unwrap().to_vec()
        })
        .collect()
}
