//! The least that a principal has to be granted. The README's commands say the same; a test holds
//! them together.

use super::Side;
use crate::service::definition::LinkDefinition;
use crate::service::ports::Operation;
use crate::service::ports::Resource;
use crate::service::state::group_of;
use crate::service::state::group_prefix;

/// What a principal is called in a command where only the brokers know it.
const SOMEBODY: &str = "User:PRINCIPAL";

/// One right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Need {
    pub(super) operation: Operation,
    pub(super) resource: Resource,
    /// What is done without where it is missing; `None` where nothing works then.
    pub(super) without: Option<&'static str>,
}

const UNSEEN: &str = "settings that could lose schemas are not seen";
const UNSEEN_STATE: &str = "settings that could lose claims and checkpoints are not seen";
const REWRITTEN: &str = "copies that the source's registry rewrote are not recognised";

/// What a link does at a cluster whose topics are there.
pub(super) fn needs(side: Side, link: &LinkDefinition) -> Vec<Need> {
    let topic = |operation, topic: &str, without| Need {
        operation,
        resource: Resource::Topic(topic.to_owned()),
        without,
    };
    match side {
        Side::Source => vec![
            topic(Operation::Read, &link.source_topic, None),
            topic(Operation::DescribeConfigs, &link.source_topic, Some(UNSEEN)),
            topic(Operation::Read, &link.source_state_topic, Some(REWRITTEN)),
        ],
        Side::Target => vec![
            topic(Operation::Read, &link.target_topic, None),
            topic(Operation::Write, &link.target_topic, None),
            topic(Operation::Read, &link.state_topic, None),
            topic(Operation::Write, &link.state_topic, None),
            Need {
                operation: Operation::Read,
                resource: Resource::Group(group_of(&link.state_topic, &link.rules.scope())),
                without: None,
            },
            topic(Operation::DescribeConfigs, &link.target_topic, Some(UNSEEN)),
            topic(Operation::DescribeConfigs, &link.state_topic, Some(UNSEEN_STATE)),
        ],
    }
}

/// A right in words.
pub(super) fn named(operation: Operation, resource: &Resource) -> String {
    match resource {
        Resource::Topic(topic) => format!("{} on topic {topic}", operation.word()),
        Resource::Group(group) => format!("{} on group {group}", operation.word()),
    }
}

/// The command that grants a right, to all groups of the state topic where it is on one of them.
pub(super) fn grant_command(
    bootstrap: &str,
    principal: Option<&str>,
    operation: Operation,
    resource: &Resource,
    link: &LinkDefinition,
) -> String {
    let principal = principal.unwrap_or(SOMEBODY);
    let on = match resource {
        Resource::Topic(topic) => format!("--topic {topic}"),
        Resource::Group(_) => {
            let prefix = group_prefix(&link.state_topic);
            format!("--group {prefix} --resource-pattern-type prefixed")
        }
    };
    format!(
        "kafka-acls.sh --bootstrap-server {bootstrap} --add --allow-principal {principal} \
         --operation {} {on}",
        operation.word()
    )
}
