//! How large a record may be, and a batch of them.

use rdkafka::ClientConfig;

use crate::service::ports::RecordLimit;

/// What a topic takes whose setting can't be read: Kafka's default for `max.message.bytes`.
const TOPIC_BYTES_MAX: usize = 1_048_588;

/// librdkafka's default for `batch.size`.
const BATCH_BYTES_MAX: usize = 1_000_000;

/// librdkafka's default for `queue.buffering.max.kbytes`, which an appender always sets.
const QUEUE_KIB_MAX: usize = 1_048_576;

const RAISE_TOPIC: &str = "raise the topic's max.message.bytes";
const RAISE_CLIENT: &str = "raise message.max.bytes (and queue.buffering.max.kbytes) among the \
                            cluster's kafka properties";
const RAISE_UNTOLD: &str = "this is Kafka's default, as the topic's max.message.bytes can't be \
                            read: grant DESCRIBE_CONFIGS on it";

/// The largest record that a client may send to a topic, and its batches made to fit.
///
/// A broker counts whole batches, and librdkafka does not part one that is refused: all records in
/// it would be too large. `batch.size` bounds the batch before it is compressed, its frame included.
pub(super) fn bound(config: &mut ClientConfig, topic_max: Option<i64>) -> RecordLimit {
    let told = topic_max.and_then(|max| usize::try_from(max).ok());
    let topic = match told {
        Some(bytes) => RecordLimit { bytes, raise: RAISE_TOPIC },
        None => RecordLimit { bytes: TOPIC_BYTES_MAX, raise: RAISE_UNTOLD },
    };
    let batch = number(config, "batch.size").unwrap_or(BATCH_BYTES_MAX).min(topic.bytes).max(1);
    config.set("batch.size", batch.to_string());
    let message = number(config, "message.max.bytes").unwrap_or(usize::MAX);
    // A record that is larger than the whole queue would wait for room for ever.
    let queue = number(config, "queue.buffering.max.kbytes").unwrap_or(QUEUE_KIB_MAX);
    let client = message.min(queue.saturating_mul(1024));
    if client < topic.bytes { RecordLimit { bytes: client, raise: RAISE_CLIENT } } else { topic }
}

fn number(config: &ClientConfig, name: &str) -> Option<usize> {
    config.get(name).and_then(|value| value.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        properties: &[(&str, &str)],
        topic_max: Option<i64>,
        limit: (usize, &str),
        batch: &str,
    ) {
        let mut config = ClientConfig::new();
        config.set("message.max.bytes", "8388608").set("queue.buffering.max.kbytes", "16384");
        for (name, value) in properties {
            config.set(*name, *value);
        }
        let found = bound(&mut config, topic_max);
        assert_eq!((found.bytes, found.raise), limit, "{properties:?}");
        assert_eq!(config.get("batch.size"), Some(batch), "{properties:?}");
    }

    #[test]
    fn the_smaller_limit_of_topic_and_client_counts() {
        check(&[], Some(20_000), (20_000, RAISE_TOPIC), "20000");
        check(&[], Some(1_048_588), (1_048_588, RAISE_TOPIC), "1000000");
        check(&[], Some(20_000_000), (8_388_608, RAISE_CLIENT), "1000000");
        let property = [("message.max.bytes", "5000")];
        check(&property, Some(20_000), (5_000, RAISE_CLIENT), "20000");
    }

    #[test]
    fn a_record_that_fits_no_queue_is_not_waited_for() {
        let property = [("message.max.bytes", "99000000")];
        check(&property, Some(99_000_000), (16_777_216, RAISE_CLIENT), "1000000");
    }

    #[test]
    fn kafkas_default_stands_in_for_a_setting_that_is_not_told() {
        check(&[], None, (1_048_588, RAISE_UNTOLD), "1000000");
    }

    #[test]
    fn a_batch_of_the_user_is_bounded_by_the_topic() {
        check(&[("batch.size", "4000000")], Some(2_000_000), (2_000_000, RAISE_TOPIC), "2000000");
        check(&[("batch.size", "500")], Some(20_000), (20_000, RAISE_TOPIC), "500");
    }
}
