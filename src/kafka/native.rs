//! What librdkafka 2.12 can and rdkafka 0.39 can't: this is the one file that talks to it directly.
//!
//! It asks for the id of a topic (KIP-516), and for what the principal may do with a topic or a group
//! (KIP-430), with `DescribeTopics` and `DescribeConsumerGroups`. A topic that was deleted and created
//! again has another id, which is how its recreation is known. And it gives a client its token,
//! which rdkafka does for clients that are polled only. Each native object lives in an [`Owned`], which
//! frees it on every path.

#![expect(unsafe_code, reason = "rdkafka has no call for these; every block says why")]

use std::ffi::CStr;
use std::ffi::CString;
use std::ffi::c_char;
use std::ptr::NonNull;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::bindings as native;
use rdkafka::client::Client;
use rdkafka::client::NativeClient;
use rdkafka::error::RDKafkaErrorCode;

use crate::service::ports::Operation;
use crate::service::ports::Rights;

/// What a broker answers that has no topic ids (older than 2.8): sixteen zero bytes.
const NO_ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// The client answers by itself when the request times out; this much later we stop waiting for it.
const GRACE: Duration = Duration::from_secs(1);

/// Room for a reason that librdkafka gives; it is not read.
const REASON_BYTES: usize = 256;

/// Who logs in with a token: shown in librdkafka's own log, and sent to nobody.
const TOKEN_HOLDER: &CStr = c"schema-mirror";

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

/// What is told of a topic.
#[derive(Debug)]
pub(super) struct TopicDescription {
    /// The topic's id, as Kafka's tools write it; `None` where the broker has no ids.
    pub(super) id: Option<String>,
    /// What the principal may do with it; `None` where the broker does not tell.
    pub(super) rights: Option<Rights>,
}

/// Asks one broker, by its id, about a topic. `None` where it does not know the request. Blocks, at
/// most for `limit` and a second.
///
/// # Errors
///
/// The code that the broker or the client gave.
pub(super) fn describe_topic<C: ClientContext>(
    client: &Client<C>,
    broker: i32,
    topic: &str,
    limit: Duration,
) -> Result<Option<TopicDescription>, RDKafkaErrorCode> {
    let name = CString::new(topic).map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
    known(described_topic(client, broker, &name, limit))
}

/// Asks a group's coordinator what the principal may do with the group. `None` where it does not
/// know the request. Blocks, at most for `limit` and a second.
///
/// # Errors
///
/// The code that the broker or the client gave.
pub(super) fn group_rights<C: ClientContext>(
    client: &Client<C>,
    group: &str,
    limit: Duration,
) -> Result<Option<Rights>, RDKafkaErrorCode> {
    let name = CString::new(group).map_err(|_| RDKafkaErrorCode::InvalidGroupId)?;
    Ok(known(described_group(client, &name, limit))?.flatten())
}

/// Asks a group's coordinator whether a member owns a partition. `None` while the group shares anew,
/// and where the coordinator does not know the request. Blocks.
///
/// # Errors
///
/// The code that the broker or the client gave.
pub(super) fn is_owned<C: ClientContext>(
    client: &Client<C>,
    group: &str,
    (topic, partition): (&str, i32),
    limit: Duration,
) -> Result<Option<bool>, RDKafkaErrorCode> {
    let name = CString::new(group).map_err(|_| RDKafkaErrorCode::InvalidGroupId)?;
    let topic = CString::new(topic).map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
    let asked = ask_for_group(client, &name, limit);
    Ok(known(asked.and_then(|answer| read_owner(&answer, (&topic, partition))))?.flatten())
}

/// Gives a client the token that it logs in with by OAUTHBEARER, until it gets another. Connections
/// that wait for one are made now. The time of its end is in milliseconds since 1970.
///
/// # Errors
///
/// The client's code: the token is over, or has a character that none may have, or the client does
/// not log in by OAUTHBEARER. librdkafka's own words hold the token and are left where they are.
pub(super) fn set_token(
    client: &NativeClient,
    token: &str,
    until_ms: i64,
) -> Result<(), RDKafkaErrorCode> {
    let token = CString::new(token).map_err(|_| RDKafkaErrorCode::InvalidArgument)?;
    let mut reason: [c_char; REASON_BYTES] = [0; REASON_BYTES];
    // SAFETY: the handle is alive as long as the client, which we borrow. Both texts are C strings and
    // outlive the call, which copies them; there are no extensions; `reason` has the length that
    // is told.
    let code = unsafe {
        native::rd_kafka_oauthbearer_set_token(
            client.ptr(),
            token.as_ptr(),
            until_ms,
            TOKEN_HOLDER.as_ptr(),
            std::ptr::null_mut(),
            0,
            reason.as_mut_ptr(),
            reason.len(),
        )
    };
    ok(code)
}

/// Says why a client gets no other token: it is among the client's errors from now on.
pub(super) fn set_no_token(client: &NativeClient, reason: &str) {
    // What stands behind a zero byte is left out.
    let reason = reason.split('\0').next().unwrap_or_default();
    let Ok(reason) = CString::new(reason) else { return };
    // SAFETY: the handle is alive as long as the client, which we borrow; the text is a C string and
    // outlives the call, which copies it. A client that does not log in by OAUTHBEARER refuses it,
    // which changes nothing.
    unsafe {
        native::rd_kafka_oauthbearer_set_token_failure(client.ptr(), reason.as_ptr());
    }
}

/// A request that nobody knows is no fault.
fn known<T>(asked: Result<T, RDKafkaErrorCode>) -> Result<Option<T>, RDKafkaErrorCode> {
    match asked {
        Ok(told) => Ok(Some(told)),
        Err(
            RDKafkaErrorCode::UnsupportedFeature
            | RDKafkaErrorCode::UnsupportedVersion
            | RDKafkaErrorCode::NotImplemented,
        ) => Ok(None),
        Err(code) => Err(code),
    }
}

fn described_topic<C: ClientContext>(
    client: &Client<C>,
    broker: i32,
    name: &CStr,
    limit: Duration,
) -> Result<TopicDescription, RDKafkaErrorCode> {
    let handle = client.native_ptr();
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
    let options =
        options(client, native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, limit)?;
    // SAFETY: the options are alive, and `reason` has the length that is told.
    let set = unsafe {
        native::rd_kafka_AdminOptions_set_broker(
            options.as_ptr(),
            broker,
            reason.as_mut_ptr(),
            reason.len(),
        )
    };
    ok(set)?;
    let queue = queue(client)?;
    // SAFETY: all four are alive; the call copies what it needs and answers on our queue alone.
    unsafe {
        native::rd_kafka_DescribeTopics(handle, topics.as_ptr(), options.as_ptr(), queue.as_ptr());
    }
    read_topic(&answer(&queue, limit)?)
}

fn described_group<C: ClientContext>(
    client: &Client<C>,
    name: &CStr,
    limit: Duration,
) -> Result<Option<Rights>, RDKafkaErrorCode> {
    read_group(&ask_for_group(client, name, limit)?)
}

fn ask_for_group<C: ClientContext>(
    client: &Client<C>,
    name: &CStr,
    limit: Duration,
) -> Result<Owned<native::rd_kafka_event_t>, RDKafkaErrorCode> {
    let mut names = [name.as_ptr()];
    let operation = native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS;
    let options = options(client, operation, limit)?;
    let queue = queue(client)?;
    // SAFETY: `names` holds one C string and outlives the call, which copies it; the rest is alive,
    // and the answer comes on our queue alone.
    unsafe {
        native::rd_kafka_DescribeConsumerGroups(
            client.native_ptr(),
            names.as_mut_ptr(),
            names.len(),
            options.as_ptr(),
            queue.as_ptr(),
        );
    }
    answer(&queue, limit)
}

/// Options of a request that also asks for rights.
fn options<C: ClientContext>(
    client: &Client<C>,
    operation: native::rd_kafka_admin_op_t,
    limit: Duration,
) -> Result<Owned<native::rd_kafka_AdminOptions_t>, RDKafkaErrorCode> {
    let mut reason: [c_char; REASON_BYTES] = [0; REASON_BYTES];
    // SAFETY: the client's handle is alive as long as the client, which we borrow; the options are
    // ours.
    let options = unsafe {
        Owned::new(
            native::rd_kafka_AdminOptions_new(client.native_ptr(), operation),
            native::rd_kafka_AdminOptions_destroy,
        )
    }
    .ok_or(RDKafkaErrorCode::Fail)?;
    // SAFETY: the options are alive, and `reason` has the length that is told.
    let set = unsafe {
        native::rd_kafka_AdminOptions_set_request_timeout(
            options.as_ptr(),
            milliseconds(limit),
            reason.as_mut_ptr(),
            reason.len(),
        )
    };
    ok(set)?;
    // SAFETY: the options are alive. What comes back is null, or an error that is ours to free.
    let refused = unsafe {
        Owned::new(
            native::rd_kafka_AdminOptions_set_include_authorized_operations(options.as_ptr(), 1),
            native::rd_kafka_error_destroy,
        )
    };
    match refused {
        None => Ok(options),
        Some(_) => Err(RDKafkaErrorCode::UnsupportedFeature),
    }
}

fn queue<C: ClientContext>(
    client: &Client<C>,
) -> Result<Owned<native::rd_kafka_queue_t>, RDKafkaErrorCode> {
    // SAFETY: the client's handle is alive; the queue is ours.
    let queue = unsafe {
        Owned::new(native::rd_kafka_queue_new(client.native_ptr()), native::rd_kafka_queue_destroy)
    };
    queue.ok_or(RDKafkaErrorCode::Fail)
}

fn answer(
    queue: &Owned<native::rd_kafka_queue_t>,
    limit: Duration,
) -> Result<Owned<native::rd_kafka_event_t>, RDKafkaErrorCode> {
    let wait_ms = milliseconds(limit.saturating_add(GRACE));
    // SAFETY: `poll` gives an event that is ours, or null after the wait. A queue may be destroyed
    // while an answer is still on its way.
    let answer = unsafe {
        Owned::new(
            native::rd_kafka_queue_poll(queue.as_ptr(), wait_ms),
            native::rd_kafka_event_destroy,
        )
    };
    let answer = answer.ok_or(RDKafkaErrorCode::OperationTimedOut)?;
    // SAFETY: the event is alive.
    ok(unsafe { native::rd_kafka_event_error(answer.as_ptr()) })?;
    Ok(answer)
}

fn read_topic(
    answer: &Owned<native::rd_kafka_event_t>,
) -> Result<TopicDescription, RDKafkaErrorCode> {
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
    let mut told = 0;
    // SAFETY: as above; `told` is ours to be written, and counts the elements that come back.
    let rights = unsafe {
        let listed = native::rd_kafka_TopicDescription_authorized_operations(topic, &raw mut told);
        rights(listed, told)
    };
    // SAFETY: as above; the id belongs to the description.
    let id = unsafe { native::rd_kafka_TopicDescription_topic_id(topic) };
    if id.is_null() {
        return Ok(TopicDescription { id: None, rights });
    }
    // SAFETY: `id` is not null and belongs to the event; the text is kept inside of it.
    let text = unsafe { native::rd_kafka_Uuid_base64str(id) };
    if text.is_null() {
        return Ok(TopicDescription { id: None, rights });
    }
    // SAFETY: `text` is a C string that lives as long as the event; it is copied here.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    // librdkafka writes the standard alphabet of base64, Kafka's tools the one for URLs.
    let id = text.replace('+', "-").replace('/', "_");
    Ok(TopicDescription { id: Some(id).filter(|id| id != NO_ID), rights })
}

fn read_group(
    answer: &Owned<native::rd_kafka_event_t>,
) -> Result<Option<Rights>, RDKafkaErrorCode> {
    let group = group_in(answer)?;
    let mut told = 0;
    // SAFETY: `group` belongs to the event, which is alive; `told` is ours to be written, and counts
    // the elements that come back.
    Ok(unsafe {
        let listed =
            native::rd_kafka_ConsumerGroupDescription_authorized_operations(group, &raw mut told);
        rights(listed, told)
    })
}

/// Whether a member of the group owns the partition; `None` while the group shares anew.
fn read_owner(
    answer: &Owned<native::rd_kafka_event_t>,
    (topic, partition): (&CStr, i32),
) -> Result<Option<bool>, RDKafkaErrorCode> {
    let group = group_in(answer)?;
    // SAFETY: `group` belongs to the event, which is alive.
    let (state, members) = unsafe {
        (
            native::rd_kafka_ConsumerGroupDescription_state(group),
            native::rd_kafka_ConsumerGroupDescription_member_count(group),
        )
    };
    if state != native::rd_kafka_consumer_group_state_t::RD_KAFKA_CONSUMER_GROUP_STATE_STABLE {
        return Ok(None);
    }
    let owned = (0..members).any(|place| {
        // SAFETY: `place` is below the count. What comes back belongs to the event; a member has an
        // assignment and that a list, and `find` only reads it.
        unsafe {
            let member = native::rd_kafka_ConsumerGroupDescription_member(group, place);
            let share = native::rd_kafka_MemberDescription_assignment(member);
            let list = native::rd_kafka_MemberAssignment_partitions(share);
            let found = native::rd_kafka_topic_partition_list_find(
                list.cast_mut(),
                topic.as_ptr(),
                partition,
            );
            !found.is_null()
        }
    });
    Ok(Some(owned))
}

/// The one group that was asked for. It belongs to the event.
fn group_in(
    answer: &Owned<native::rd_kafka_event_t>,
) -> Result<*const native::rd_kafka_ConsumerGroupDescription_t, RDKafkaErrorCode> {
    // SAFETY: the event is alive; null comes back where it answers something else.
    let result = unsafe { native::rd_kafka_event_DescribeConsumerGroups_result(answer.as_ptr()) };
    if result.is_null() {
        return Err(RDKafkaErrorCode::Fail);
    }
    let mut count = 0;
    // SAFETY: `result` is not null and belongs to the event; `count` is ours to be written.
    let groups =
        unsafe { native::rd_kafka_DescribeConsumerGroups_result_groups(result, &raw mut count) };
    if groups.is_null() || count == 0 {
        return Err(RDKafkaErrorCode::Fail);
    }
    // SAFETY: the array is not null and has at least one element, which belongs to the event.
    let group = unsafe { *groups };
    // SAFETY: `group` belongs to the event, which is alive. The code of a null error is "none".
    ok(unsafe {
        native::rd_kafka_error_code(native::rd_kafka_ConsumerGroupDescription_error(group))
    })?;
    Ok(group)
}

/// The operations of a list that matter to us. An empty list says nothing: whoever is told of a thing
/// may at least describe it, and librdkafka's mock answers without any.
///
/// # Safety
///
/// `listed` is null, or points to `count` elements that are alive.
unsafe fn rights(listed: *const native::rd_kafka_AclOperation_t, count: usize) -> Option<Rights> {
    use native::rd_kafka_AclOperation_t as Native;
    if listed.is_null() || count == 0 {
        return None;
    }
    // SAFETY: the caller promises it.
    let listed = unsafe { std::slice::from_raw_parts(listed, count) };
    let known = [
        (Native::RD_KAFKA_ACL_OPERATION_READ, Operation::Read),
        (Native::RD_KAFKA_ACL_OPERATION_WRITE, Operation::Write),
        (Native::RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS, Operation::DescribeConfigs),
    ];
    let held = known.into_iter().filter(|(native, _)| listed.contains(native));
    Some(held.map(|(_, operation)| operation).collect())
}

fn ok(code: native::rd_kafka_resp_err_t) -> Result<(), RDKafkaErrorCode> {
    let code = RDKafkaErrorCode::from(code);
    if code == RDKafkaErrorCode::NoError { Ok(()) } else { Err(code) }
}

fn milliseconds(limit: Duration) -> i32 {
    i32::try_from(limit.as_millis()).unwrap_or(i32::MAX)
}
