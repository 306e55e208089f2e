//! A scenario as text: links, then what happens and what has to be true, step by step.
//!
//! ```text
//! link into .source subjects orders* fence import      (default: from `source` to `target`)
//! link b-to-a B>A into .b
//! only live | only reconcile | unsettled
//! target            records that someone else appended, indented below
//! start             links begin (default: before the first record of a source)
//! source            …
//! compact source | expire source | restart | released | fence again | hours 2
//! fence again .source   the mode of that context was asked for by name
//! expect target     its compacted state; `opened .source` stands for CONTEXT, MODE and CONFIG
//! written           what the links appended since the last look, in order (reconciling only)
//! incidents | held | remarks | halt …
//! purge             the first link is purged, and ends; `purge 3`: all but its first 3 removals are lost
//! stays             what that left, each with a part of its reason
//! ```

use std::collections::BTreeSet;

use schema_mirror::core::dialect::Dialect;
use schema_mirror::core::filter::SubjectFilter;
use schema_mirror::core::format::SubjectFormat;
use schema_mirror::core::link::History;
use schema_mirror::core::link::Permissions;
use schema_mirror::core::link::SourceClaim;
use schema_mirror::core::link::brake::Suspicion;
use schema_mirror::core::naming::Naming;
use schema_mirror::core::renames::RenameList;
use schema_mirror::core::rules::Compatibility;
use schema_mirror::core::rules::DeleteLimit;
use schema_mirror::core::rules::DriftPolicy;
use schema_mirror::core::rules::Fence;
use schema_mirror::core::rules::Placement;
use schema_mirror::core::rules::References;
use schema_mirror::core::rules::Rules;
use schema_mirror::core::rules::Scope;
use schema_mirror::core::subject::ContextName;

/// A link as a scenario defines it.
#[derive(Debug, Clone)]
pub(crate) struct LinkSpec {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) rules: Rules,
    pub(crate) history: History,
    pub(crate) permissions: Permissions,
}

/// One step of a scenario.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Append(String, Vec<String>),
    Start,
    Restart,
    Compact {
        cluster: String,
        expire: bool,
    },
    Released,
    /// Every fence that was lifted, or that of a context which is asked for by name.
    FenceAgain(Option<ContextName>),
    Hours(u64),
    Suspect(Suspicion),
    Expect(String, Vec<String>),
    Written(Vec<String>),
    Incidents(Vec<String>),
    Held(Vec<String>),
    Remarks(Vec<String>),
    Halt(String),
    /// The first link is purged, up to so many removals.
    Purge(usize),
    Stays(Vec<String>),
}

/// A scenario.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    pub(crate) links: Vec<LinkSpec>,
    pub(crate) steps: Vec<Step>,
    pub(crate) only_live: bool,
    pub(crate) only_reconcile: bool,
    /// The links do not come to rest: what they set aside differs from the source for good.
    pub(crate) unsettled: bool,
}

impl Script {
    pub(crate) fn parse(text: &str) -> Self {
        let mut script = Self::default();
        let mut lines = text.lines().filter(|line| !line.trim().is_empty()).peekable();
        let margin = text.lines().find(|line| !line.trim().is_empty()).map_or(0, indent);
        while let Some(head) = lines.next() {
            assert_eq!(indent(head), margin, "a section begins at the margin: {head:?}");
            let mut body = Vec::new();
            while let Some(line) = lines.next_if(|line| indent(line) > margin) {
                body.push(line.trim().to_owned());
            }
            script.section(head.trim(), body);
        }
        if script.links.is_empty() {
            script.links.push(link("into .source"));
        }
        script.start_before_sources();
        script
    }

    fn section(&mut self, head: &str, body: Vec<String>) {
        let (word, rest) = head.split_once(' ').unwrap_or((head, ""));
        let step = match (word, rest) {
            ("link", _) => return self.links.push(link(rest)),
            ("only", "live") => return self.only_live = true,
            ("only", _) => return self.only_reconcile = true,
            ("unsettled", _) => return self.unsettled = true,
            ("start", _) => Step::Start,
            ("restart", _) => Step::Restart,
            ("compact", _) => Step::Compact { cluster: rest.to_owned(), expire: false },
            ("expire", _) => Step::Compact { cluster: rest.to_owned(), expire: true },
            ("released", _) => Step::Released,
            ("fence", _) => {
                let context = rest.strip_prefix("again ");
                Step::FenceAgain(context.map(|name| ContextName::new(name).unwrap()))
            }
            ("hours", _) => Step::Hours(rest.parse().unwrap()),
            ("recreated", _) => {
                Step::Suspect(Suspicion::Recreated { was: "t1".into(), is: "t2".into() })
            }
            ("truncated", _) => Step::Suspect(Suspicion::Truncated { was: 0, is: 5 }),
            ("expect", _) => Step::Expect(rest.to_owned(), opened(body)),
            ("written", _) => Step::Written(body),
            ("incidents", _) => Step::Incidents(body),
            ("held", _) => Step::Held(body),
            ("remarks", _) => Step::Remarks(body),
            ("halt", _) => Step::Halt(rest.to_owned()),
            ("purge", most) => Step::Purge(most.parse().unwrap_or(usize::MAX)),
            ("stays", _) => Step::Stays(body),
            (cluster, "") => Step::Append(cluster.to_owned(), body),
            _ => panic!("no section {head:?}"),
        };
        self.steps.push(step);
    }

    fn start_before_sources(&mut self) {
        if self.steps.iter().any(|step| matches!(step, Step::Start)) {
            return;
        }
        let reads = |cluster: &String| self.links.iter().any(|link| link.from == *cluster);
        let first = self
            .steps
            .iter()
            .position(|step| matches!(step, Step::Append(cluster, _) if reads(cluster)))
            .unwrap_or(self.steps.len());
        self.steps.insert(first, Step::Start);
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn opened(lines: Vec<String>) -> Vec<String> {
    let mut all = Vec::new();
    for line in lines {
        match line.strip_prefix("opened ") {
            None => all.push(line),
            Some(rest) => {
                let (context, level) = rest.split_once(' ').unwrap_or((rest, "BACKWARD"));
                all.push(format!("CONTEXT {context}"));
                all.push(format!("MODE :{context}: READONLY"));
                all.push(format!("CONFIG :{context}: {level}"));
            }
        }
    }
    all.sort();
    all
}

fn link(words: &str) -> LinkSpec {
    let mut spec = LinkSpec {
        from: "source".to_owned(),
        to: "target".to_owned(),
        rules: rules(),
        history: History::default(),
        permissions: Permissions::default(),
    };
    let mut words = words.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let mut argument = || words.next().unwrap();
        match word {
            "into" => {
                spec.rules.placement = Placement::Into(ContextName::new(argument()).unwrap());
            }
            "same" => spec.rules.placement = Placement::Same,
            "subjects" => {
                let patterns: Vec<&str> = argument().split(',').collect();
                spec.rules.filter = SubjectFilter::parse(&patterns).unwrap();
            }
            "format" => {
                spec.rules.naming = Naming::Format(SubjectFormat::parse(argument()).unwrap());
            }
            "renames" => spec.rules.naming = Naming::List(renames(argument())),
            "fence" => {
                spec.rules.fence = match argument() {
                    "readonly" => Fence::Readonly,
                    "import" => Fence::Import,
                    _ => Fence::None,
                }
            }
            "hold" => spec.rules.references = References::Hold,
            "report" => spec.rules.drift = DriftPolicy::Report,
            "default" => {
                spec.rules.default_compatibility = Compatibility::parse(argument()).unwrap();
            }
            "karapace" => spec.rules.source_dialect = Dialect::Karapace,
            "confluent" => spec.rules.source_dialect = Dialect::Confluent7,
            "redpanda" => spec.rules.source_dialect = Dialect::Redpanda,
            "to" => spec.rules.target_dialect = dialect(argument()),
            "share" => spec.rules.delete_limit.share_max = argument().parse().unwrap(),
            "adopt" => spec.permissions.adopt = true,
            "claimed" => spec.history.claimed = true,
            "unfenced" => spec.history.unfenced = true,
            "former" => {
                let patterns = argument().split(',').map(str::to_owned).collect();
                spec.history.former.push(Scope { patterns, below: None });
                spec.history.unfenced = true;
            }
            "claims" => spec.history.source_claims.push(claim(argument())),
            route if route.contains('>') => {
                let (from, to) = route.split_once('>').unwrap();
                (spec.from, spec.to) = (from.to_owned(), to.to_owned());
            }
            name => spec.rules.name = name.to_owned(),
        }
    }
    spec
}

/// `prod-(.*)=$1,(.*)=dr-$1`: rules of a list.
fn renames(text: &str) -> RenameList {
    let rules: Vec<(&str, &str)> =
        text.split(',').map(|rule| rule.split_once('=').unwrap()).collect();
    RenameList::parse(&rules).unwrap()
}

fn dialect(word: &str) -> Dialect {
    Dialect::ALL.into_iter().find(|dialect| dialect.as_str() == word).unwrap()
}

/// `:.x:*<B,C`: what another link copied there came through clusters B and C.
fn claim(text: &str) -> SourceClaim {
    let (pattern, origins) = text.split_once('<').unwrap();
    SourceClaim {
        scope: Scope { patterns: vec![pattern.to_owned()], below: None },
        origins: origins.split(',').map(str::to_owned).collect::<BTreeSet<_>>(),
    }
}

/// A link of the default context into `.source`, as its configuration's defaults make it.
pub(crate) fn rules() -> Rules {
    Rules {
        name: "link".to_owned(),
        placement: Placement::Into(ContextName::new(".source").unwrap()),
        filter: SubjectFilter::default_context(),
        naming: Naming::default(),
        fence: Fence::Readonly,
        references: References::Follow,
        drift: DriftPolicy::Repair,
        default_compatibility: Compatibility::Backward,
        source_dialect: Dialect::Auto,
        target_dialect: Dialect::Auto,
        delete_limit: DeleteLimit::default(),
    }
}
