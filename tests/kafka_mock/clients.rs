//! A client that others wrote reads and writes Avro messages with no registry running.

use apache_avro::types::Value as Avro;
use schema_registry_converter::async_impl::avro::AvroDecoder;
use schema_registry_converter::async_impl::avro::AvroEncoder;
use schema_registry_converter::async_impl::schema_registry::SrSettings;
use schema_registry_converter::async_impl::schema_registry::get_schema_by_id;
use schema_registry_converter::schema_registry_common::SchemaType;
use schema_registry_converter::schema_registry_common::SubjectNameStrategy;
use schema_registry_converter::schema_registry_common::SuppliedSchema;

use super::exporters::Process;
use super::exporters::link;
use super::exporters::register_as;
use super::exporters::register_at;
use super::*;

const PAGEVIEWS: &str = r#"{"type":"record","name":"pageviews","namespace":"ksql","fields":[{"name":"viewtime","type":"long"},{"name":"userid","type":"string"}]}"#;
const ID: u32 = 7;

fn settings(url: String) -> SrSettings {
    SrSettings::new_builder(url).no_proxy().build().unwrap()
}

fn pageview(number: i64) -> Vec<(&'static str, Avro)> {
    vec![("viewtime", Avro::Long(number)), ("userid", Avro::String(format!("user {number}")))]
}

fn strategy() -> SubjectNameStrategy {
    SubjectNameStrategy::TopicNameStrategy("pageviews".to_owned(), false)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rust_client_decodes_avro_messages_through_either_cluster_and_through_a_context() {
    let mocks = MockPair::start().unwrap();
    let process = Process::start(&mocks).await;
    register_as(&mocks.source, "pageviews-value", 7, PAGEVIEWS).await;
    // Another schema has the id in the target's default context.
    register_at(&mocks.target, "other-value", 7).await;
    assert_eq!(process.ask("POST", "", link("x")).await.0, 200);
    process.status_until("x", |status| status["offset"] == 0).await;
    let (all, source) = (process.address, process.source_address);

    let encoder = AvroEncoder::new(settings(format!("http://{source}")));
    let mut messages = Vec::new();
    for number in 0..20 {
        messages.push(soon(encoder.encode(pageview(number), strategy())).await.unwrap());
    }
    for url in [
        format!("http://{all}/source"),
        format!("http://{all}/target/contexts/.source"),
        format!("http://{all}/target/contexts/:.source:"),
        format!("http://{source}"),
    ] {
        let decoder = AvroDecoder::new(settings(url.clone()));
        for (number, message) in (0..).zip(&messages) {
            let decoded = soon(decoder.decode(Some(message))).await.unwrap();
            let fields = pageview(number).into_iter().map(|(name, value)| (name.to_owned(), value));
            assert_eq!(decoded.value, Avro::Record(fields.collect()), "{url}");
        }
        let by_id = soon(get_schema_by_id(ID, &settings(url.clone()))).await.unwrap();
        assert_eq!(
            (by_id.schema.as_str(), by_id.schema_type),
            (PAGEVIEWS, SchemaType::Avro),
            "{url}"
        );
    }
    let elsewhere = settings(format!("http://{all}/target"));
    assert_eq!(soon(get_schema_by_id(ID, &elsewhere)).await.unwrap().schema, "\"int\"");
    assert!(soon(get_schema_by_id(8, &elsewhere)).await.is_err(), "nobody has it");
    process.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rust_client_that_registers_first_gets_the_id_of_what_is_there_and_no_other() {
    let mocks = MockPair::start().unwrap();
    let process = Process::start(&mocks).await;
    register_as(&mocks.source, "pageviews-value", 7, PAGEVIEWS).await;
    let encoder = AvroEncoder::new(settings(format!("http://{}/source", process.address)));
    let with = |schema: &str| {
        let name = Some("ksql.pageviews".to_owned());
        let schema = SuppliedSchema::new(name, SchemaType::Avro, schema.to_owned());
        SubjectNameStrategy::TopicNameStrategyWithSchema("pageviews".to_owned(), false, schema)
    };
    let there = soon(encoder.encode(pageview(1), with(PAGEVIEWS))).await.unwrap();
    assert_eq!(there, soon(encoder.encode(pageview(1), strategy())).await.unwrap());
    let other = PAGEVIEWS.replace("userid", "user");
    let fresh = AvroEncoder::new(settings(format!("http://{}/source", process.address)));
    let refused = soon(fresh.encode(pageview(1), with(&other))).await.unwrap_err();
    assert!(refused.to_string().contains("422"), "{refused}");
    process.end().await;
}
