//! What the README grants, read from its own commands, and given with Kafka's own tool.

use crate::secured::{Passage, secured};

const README: &str = include_str!("../../../README.md");
const SECTION: &str = "### What to grant\n";
const TOOL: &str = "org.apache.kafka.tools.AclCommand";

/// What the comment above a command says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Always,
    Optional,
}

/// One operation on one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    /// On the cluster that is read; on the one that is written otherwise.
    pub(crate) at_source: bool,
    pub(crate) need: Need,
    pub(crate) operation: String,
    /// `topic` or `group`.
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    is_prefix: bool,
}

/// Every grant of the README, in its order.
pub(crate) fn grants() -> Vec<Grant> {
    let (_, section) = README.split_once(SECTION).expect("a section on what to grant");
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```\n").skip(1).step_by(2);
    let mut found = Vec::new();
    for block in blocks {
        let mut need = Need::Always;
        for line in block.replace("\\\n", " ").lines() {
            match line.strip_prefix("# ") {
                Some(comment) if comment.starts_with("optional") => need = Need::Optional,
                Some(_) => {}
                None => {
                    found.extend(in_command(line, need));
                    need = Need::Always;
                }
            }
        }
    }
    assert!(!found.is_empty(), "the README grants something");
    found
}

/// The grants of one command.
fn in_command(line: &str, need: Need) -> Vec<Grant> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let values = |flag: &str| {
        let pairs = words.windows(2).filter(|pair| pair[0] == flag);
        pairs.map(|pair| pair[1].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(words[0], "kafka-acls.sh", "{line}");
    assert_eq!(values("--allow-principal"), ["User:mirror"], "{line}");
    let at_source = match values("--bootstrap-server").as_slice() {
        [broker] if broker == "broker:9092" => true,
        [broker] if broker == "broker2:9092" => false,
        other => panic!("{other:?} in {line}"),
    };
    let is_prefix = values("--resource-pattern-type") == ["prefixed"];
    let things = [("topic", values("--topic")), ("group", values("--group"))];
    let mut found = Vec::new();
    for (kind, names) in things {
        for name in names {
            found.extend(values("--operation").into_iter().map(|operation| Grant {
                at_source,
                need,
                operation,
                kind,
                name: name.clone(),
                is_prefix,
            }));
        }
    }
    assert!(!found.is_empty(), "{line} grants something");
    found
}

impl Grant {
    /// What it is about where the topics are those of a test.
    pub(crate) fn name_in(&self, passage: &Passage) -> String {
        match (self.name.as_str(), self.at_source) {
            ("_schemas", true) => passage.source_topic(),
            ("_schema_mirror", true) => passage.source_state_topic(),
            ("_schemas", false) => passage.target_topic(),
            ("_schema_mirror", false) => passage.state_topic(),
            ("schema_mirror-", false) => format!("{}-", passage.state_topic()),
            other => panic!("the README grants something on {other:?}"),
        }
    }

    /// The README's command for it alone, where the broker, the user and the topics are a test's.
    pub(crate) fn command(&self, passage: &Passage, bootstrap: &str, user: &str) -> String {
        let Self { operation, kind, .. } = self;
        let name = self.name_in(passage);
        let pattern = if self.is_prefix { " --resource-pattern-type prefixed" } else { "" };
        format!(
            "kafka-acls.sh --bootstrap-server {bootstrap} --add --allow-principal User:{user} \
             --operation {operation} --{kind} {name}{pattern}"
        )
    }

    /// Grants it to users.
    pub(crate) fn give(&self, passage: &Passage, users: &[&str]) {
        self.change(&["--add"], passage, users);
    }

    /// Takes it from a user.
    pub(crate) fn take(&self, passage: &Passage, user: &str) {
        self.change(&["--remove", "--force"], passage, &[user]);
    }

    fn change(&self, how: &[&str], passage: &Passage, users: &[&str]) {
        let mut arguments: Vec<String> = how.iter().map(|&word| word.to_owned()).collect();
        arguments.extend(["--operation".to_owned(), self.operation.clone()]);
        arguments.extend([format!("--{}", self.kind), self.name_in(passage)]);
        if self.is_prefix {
            arguments.extend(["--resource-pattern-type", "prefixed"].map(str::to_owned));
        }
        for user in users {
            arguments.extend(["--allow-principal".to_owned(), format!("User:{user}")]);
        }
        secured().broker.run_tool(TOOL, &arguments);
    }
}
