//! The id of a topic (KIP-516), asked with librdkafka's `DescribeTopics`.
//!
//! A topic that was deleted and created again has another id, which is how its recreation is
//! known. rdkafka 0.39 has no call for it, librdkafka 2.12 has: this is the one file that talks to
//! it directly. Each native object lives in an [`Owned`], which frees it on every path.

#![expect(unsafe_code, reason = "rdkafka has no DescribeTopics; every block says why it is sound")]

use std::ffi::CStr;
use std::ffi::CString;
use std::ffi::c_char;
use std::ptr::NonNull;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::bindings as native;
use rdkafka::client::Client;
use rdkafka::error::RDKafkaErrorCode;

/// What a broker answers that has no topic ids (older than 2.8): sixteen zero bytes.
const NO_ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// The client answers by itself when the request times out; this much later we stop waiting for it.
const GRACE: Duration = Duration::from_secs(1);

/// Room for a reason that librdkafka gives; it is not read.
const REASON_BYTES: usize = 256;

/// A native object and the function that frees it.
struct Owned<T> {
    object: NonNull<T>,
    free: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    /// Takes over what a native constructor made; none where it made nothing.
    ///
    /// # Safety
    ///
    /// `object` is null, or was made for `free` and belongs to nobody else.
    unsafe fn new(object: *mut T, free: unsafe extern "C" fn(*mut T)) -> Option<Self> {
        NonNull::new(object).map(|object| Self { object, free })
    }

    fn as_ptr(&self) -> *mut T {
        self.object.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: `new` promises that the object is ours and that `free` is its destructor; it
        // runs once, here.
        unsafe { (self.free)(self.object.as_ptr()) }
    }
}

/// Asks one broker, by its id, for a topic's id, as Kafka's tools write it. `None` where the broker has no ids, or does
/// not know the request. Blocks, at most for `limit` and a second.
///
/// # Errors
///
/// The code that the broker or the client gave.
pub(super) fn topic_id<C: ClientContext>(
    client: &Client<C>,
    broker: i32,
    topic: &str,
    limit: Duration,
) -> Result<Option<String>, RDKafkaErrorCode> {
    let name = CString::new(topic).map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
    match described_id(client, broker, &name, limit) {
        Ok(id) => Ok(id.filter(|id| id != NO_ID)),
        Err(
            RDKafkaErrorCode::UnsupportedFeature
            | RDKafkaErrorCode::UnsupportedVersion
            | RDKafkaErrorCode::NotImplemented,
        ) => Ok(None),
        Err(code) => Err(code),
    }
}

fn described_id<C: ClientContext>(
    client: &Client<C>,
    broker: i32,
    name: &CStr,
    limit: Duration,
) -> Result<Option<String>, RDKafkaErrorCode> {
    let handle = client.native_ptr();
    let request_ms = milliseconds(limit);
    let wait_ms = milliseconds(limit.saturating_add(GRACE));
    let mut names = [name.as_ptr()];
    let mut reason: [c_char; REASON_BYTES] = [0; REASON_BYTES];

    // SAFETY: `names` holds one C string and outlives the call, which copies it; the collection
    // that comes back is ours to free.
    let topics = unsafe {
        Owned::new(
            native::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len()),
            native::rd_kafka_TopicCollection_destroy,
        )
    }
    .ok_or(RDKafkaErrorCode::Fail)?;
    // SAFETY: `handle` is alive as long as `client`, which we borrow; the options are ours.
    let options = unsafe {
        Owned::new(
            native::rd_kafka_AdminOptions_new(
                handle,
                native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
            ),
            native::rd_kafka_AdminOptions_destroy,
        )
    }
    .ok_or(RDKafkaErrorCode::Fail)?;
    // SAFETY: the options are alive, and `reason` has the length that is told.
    let set = unsafe {
        native::rd_kafka_AdminOptions_set_request_timeout(
            options.as_ptr(),
            request_ms,
            reason.as_mut_ptr(),
            reason.len(),
        )
    };
    ok(set)?;
    // SAFETY: as above.
    let set = unsafe {
        native::rd_kafka_AdminOptions_set_broker(
            options.as_ptr(),
            broker,
            reason.as_mut_ptr(),
            reason.len(),
        )
    };
    ok(set)?;
    // SAFETY: `handle` is alive; the queue is ours.
    let queue =
        unsafe { Owned::new(native::rd_kafka_queue_new(handle), native::rd_kafka_queue_destroy) }
            .ok_or(RDKafkaErrorCode::Fail)?;
    // SAFETY: all four are alive; the call copies what it needs and answers on our queue alone.
    // `poll` gives an event that is ours, or null after the wait. A queue may be destroyed while
    // an answer is still on its way.
    let answer = unsafe {
        native::rd_kafka_DescribeTopics(handle, topics.as_ptr(), options.as_ptr(), queue.as_ptr());
        Owned::new(
            native::rd_kafka_queue_poll(queue.as_ptr(), wait_ms),
            native::rd_kafka_event_destroy,
        )
    }
    .ok_or(RDKafkaErrorCode::OperationTimedOut)?;
    read_answer(&answer)
}

fn read_answer(
    answer: &Owned<native::rd_kafka_event_t>,
) -> Result<Option<String>, RDKafkaErrorCode> {
    // SAFETY: the event is alive.
    ok(unsafe { native::rd_kafka_event_error(answer.as_ptr()) })?;
    // SAFETY: the event is alive; null comes back where it answers something else.
    let result = unsafe { native::rd_kafka_event_DescribeTopics_result(answer.as_ptr()) };
    if result.is_null() {
        return Err(RDKafkaErrorCode::Fail);
    }
    let mut count = 0;
    // SAFETY: `result` is not null and belongs to the event; `count` is ours to be written.
    let topics = unsafe { native::rd_kafka_DescribeTopics_result_topics(result, &raw mut count) };
    if topics.is_null() || count == 0 {
        return Err(RDKafkaErrorCode::UnknownTopicOrPartition);
    }
    // SAFETY: the array is not null and has at least one element, which belongs to the event.
    let topic = unsafe { *topics };
    // SAFETY: `topic` belongs to the event, which is alive. The code of a null error is "none".
    ok(unsafe { native::rd_kafka_error_code(native::rd_kafka_TopicDescription_error(topic)) })?;
    // SAFETY: as above; the id belongs to the description.
    let id = unsafe { native::rd_kafka_TopicDescription_topic_id(topic) };
    if id.is_null() {
        return Ok(None);
    }
    // SAFETY: `id` is not null and belongs to the event; the text is kept inside of it.
    let text = unsafe { native::rd_kafka_Uuid_base64str(id) };
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: `text` is a C string that lives as long as the event; it is copied here.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    // librdkafka writes the standard alphabet of base64, Kafka's tools the one for URLs.
    Ok(Some(text.replace('+', "-").replace('/', "_")))
}

fn ok(code: native::rd_kafka_resp_err_t) -> Result<(), RDKafkaErrorCode> {
    let code = RDKafkaErrorCode::from(code);
    if code == RDKafkaErrorCode::NoError { Ok(()) } else { Err(code) }
}

fn milliseconds(limit: Duration) -> i32 {
    i32::try_from(limit.as_millis()).unwrap_or(i32::MAX)
}
