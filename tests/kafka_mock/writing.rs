//! What is written, and what becomes of it.

use bytes::Bytes;
use rdkafka::types::RDKafkaApiKey as Api;
use rdkafka::types::RDKafkaRespErr as Refusal;

use schema_mirror::core::record::Header;
use schema_mirror::core::record::Outgoing;
use schema_mirror::kafka::WRITES_WAITING_MAX;
use schema_mirror::service::ports::Appender;
use schema_mirror::service::ports::FaultClass;
use schema_mirror::service::ports::Progress;

use super::World;
use super::acked;
use super::append_all;
use super::check_in_order;
use super::count_records;
use super::soon;
use super::to_end;
use super::write;

#[tokio::test]
async fn a_null_value_and_an_empty_one_are_two_things() {
    let world = World::new();
    let mut appender = world.appender().await;
    let key = b"k".to_vec();
    for value in [None, Some(Vec::new()), Some(b"v".to_vec())] {
        let write = Outgoing { key: key.clone(), value, ..Outgoing::default() };
        soon(appender.append_when_room(&write)).await.unwrap();
    }
    acked(&appender, 3).await;

    let records = to_end(&mut world.log(0).await).await;
    let values: Vec<_> = records.into_iter().map(|record| record.value).collect();
    assert_eq!(values, [None, Some(Bytes::new()), Some(Bytes::from_static(b"v"))]);
}

#[tokio::test]
async fn records_of_every_size_are_read_as_they_were_written() {
    let world = World::new();
    let mut appender = world.appender().await;
    // Up to and over what readers keep side by side in one block.
    let sizes = [0, 1, 60_000, 65_535, 65_536, 66_000, 2, 300_000, 60_000, 60_000, 60_000, 3];
    let value = |number: usize, size| vec![u8::try_from(number).unwrap(); size];
    for (number, size) in sizes.into_iter().enumerate() {
        let write = Outgoing { value: Some(value(number, size)), ..write(number) };
        soon(appender.append_when_room(&write)).await.unwrap();
    }
    acked(&appender, u64::try_from(sizes.len()).unwrap()).await;
    let records = to_end(&mut world.log(0).await).await;
    assert_eq!(records.len(), sizes.len());
    for (number, (record, size)) in records.iter().zip(sizes).enumerate() {
        assert_eq!(record.key.as_deref(), Some(&write(number).key[..]));
        assert!(record.value.as_deref() == Some(&value(number, size)[..]), "record {number}");
    }
}

#[tokio::test]
async fn headers_come_back_as_they_were_written() {
    let world = World::new();
    let header = |name: &str, value: Option<&[u8]>| Header {
        name: name.to_owned(),
        value: value.map(<[u8]>::to_vec),
    };
    let headers = vec![
        header("link", Some(b"dr")),
        header("null", None),
        header("empty", Some(b"")),
        header("link", Some(&[0xff, 0])),
    ];
    let mut appender = world.appender().await;
    let write = Outgoing { headers: headers.clone().into(), ..write(0) };
    soon(appender.append_when_room(&write)).await.unwrap();
    acked(&appender, 1).await;

    let records = to_end(&mut world.log(0).await).await;
    assert_eq!(records[0].headers, headers);
    assert_eq!(records[0].timestamp_ms, Some(1_000));
}

#[tokio::test]
async fn what_is_written_is_read_back_in_order() {
    let world = World::new();
    let mut appender = world.appender().await;
    append_all(&mut appender, 0..5_000).await;
    let progress = acked(&appender, 5_000).await;
    let expected =
        Progress { acked: 5_000, failed: None, next: 5_000, gapless: true, first: Some(0) };
    assert_eq!(progress, expected);
    check_in_order(&to_end(&mut world.log(0).await).await, 0..5_000);
}

#[tokio::test]
async fn a_foreign_write_shows_as_a_gap() {
    let world = World::new();
    let mut ours = world.appender().await;
    let mut foreign = world.appender().await;
    append_all(&mut ours, 0..1).await;
    acked(&ours, 1).await;
    append_all(&mut foreign, 1..2).await;
    acked(&foreign, 1).await;
    append_all(&mut ours, 2..3).await;
    let progress = acked(&ours, 2).await;
    assert!(!progress.gapless, "{progress:?}");
    assert_eq!(progress.next, 3);
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_when_the_broker_goes_and_comes_back() {
    let world = World::new();
    let mut log = world.log(0).await;
    let mut appender = world.appender().await;
    append_all(&mut appender, 0..500).await;
    world.broker.down().unwrap();
    append_all(&mut appender, 500..1_000).await;
    world.broker.up().unwrap();
    append_all(&mut appender, 1_000..1_500).await;
    let progress = acked(&appender, 1_500).await;
    assert_eq!((progress.acked, progress.failed), (1_500, None));
    check_in_order(&count_records(&mut log, 1_500).await, 0..1_500);
}

#[tokio::test]
async fn writes_that_may_be_repeated_are_repeated_in_order() {
    let world = World::new();
    let mut appender = world.appender().await;
    world.refuse(
        Api::Produce,
        &[
            Refusal::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            Refusal::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            Refusal::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        ],
    );
    append_all(&mut appender, 0..300).await;
    let progress = acked(&appender, 300).await;
    assert_eq!((progress.acked, progress.failed), (300, None));
    check_in_order(&to_end(&mut world.log(0).await).await, 0..300);
}

#[tokio::test]
async fn the_first_write_that_fails_stops_all_behind_it() {
    let world = World::new();
    let mut appender = world.appender().await;
    append_all(&mut appender, 0..10).await;
    acked(&appender, 10).await;
    world.refuse(Api::Produce, &[Refusal::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP]);
    append_all(&mut appender, 10..11).await;
    let progress = acked(&appender, 11).await;
    let fault = progress.failed.expect("a failure");
    assert_eq!((progress.acked, fault.class), (10, FaultClass::Permanent));
    assert_eq!(soon(appender.append_when_room(&write(11))).await, Err(fault));
    check_in_order(&to_end(&mut world.log(0).await).await, 0..10);
}

#[tokio::test]
async fn a_batch_that_is_refused_leaves_no_later_write_in_the_log() {
    // One record a batch, so that others are on their way behind the one that is refused.
    let world = World::with(&[("batch.num.messages", "1")]);
    let mut appender = world.appender().await;
    append_all(&mut appender, 0..1).await;
    acked(&appender, 1).await;
    world.refuse(Api::Produce, &[Refusal::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE]);
    for number in 1..200 {
        if soon(appender.append_when_room(&write(number))).await.is_err() {
            break;
        }
    }
    let progress = acked(&appender, 200).await;
    assert_eq!(progress.acked, 1);
    assert_eq!(progress.failed.unwrap().class, FaultClass::TooLarge);
}

#[tokio::test]
async fn a_record_that_is_too_large_is_told_before_it_is_sent() {
    let world = World::new();
    let mut appender = world.appender().await;
    let large = Outgoing { value: Some(vec![0; 9 * 1024 * 1024]), ..write(0) };
    let fault = soon(appender.append_when_room(&large)).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::TooLarge);
    append_all(&mut appender, 0..1).await;
    assert_eq!(acked(&appender, 1).await.failed, None);
}

#[tokio::test]
async fn a_missing_right_to_write_is_named() {
    let world = World::new();
    let mut appender = world.appender().await;
    world.refuse(Api::Produce, &[Refusal::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED]);
    append_all(&mut appender, 0..1).await;
    let fault = acked(&appender, 1).await.failed.expect("a failure");
    assert_eq!(fault.class, FaultClass::NotPermitted);
    assert!(fault.cause.contains("WRITE and DESCRIBE on topic _schemas"), "{fault}");
}

#[tokio::test]
async fn writes_wait_while_too_many_are_on_their_way() {
    let world = World::new();
    let mut appender = world.appender().await;
    world.broker.down().unwrap();
    let most = usize::try_from(WRITES_WAITING_MAX).unwrap();
    append_all(&mut appender, 0..most).await;
    assert_eq!(appender.append(&write(most)), Ok(None), "one more than the limit was taken");
    world.broker.up().unwrap();
    append_all(&mut appender, most..most + 1).await;
    let progress = acked(&appender, WRITES_WAITING_MAX + 1).await;
    assert_eq!((progress.acked, progress.failed), (WRITES_WAITING_MAX + 1, None));
}

#[tokio::test]
async fn large_writes_wait_for_room_in_the_queue() {
    let world = World::new();
    let mut appender = world.appender().await;
    for number in 0..60 {
        let large = Outgoing { value: Some(vec![0; 500_000]), ..write(number) };
        soon(appender.append_when_room(&large)).await.unwrap();
    }
    let progress = acked(&appender, 60).await;
    assert_eq!((progress.acked, progress.failed), (60, None));
}
