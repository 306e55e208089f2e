//! Files that a configuration stands on besides itself: secrets, certificates, keys. They change
//! while a process runs: certificates are renewed, passwords replaced.

use std::collections::BTreeMap;
use std::hash::DefaultHasher;
use std::hash::Hasher;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::config::ClusterConfig;
use crate::config::Environment;
use crate::config::PropertyValue;

/// What the names of properties end with whose values are files that librdkafka reads.
const NAMES_A_FILE: [&str; 2] = [".location", ".file"];

/// What a file held: its digest, or why it could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Digest(Result<u64, String>);

impl Digest {
    pub(super) fn of<T: AsRef<[u8]>>(held: Result<T, &io::Error>) -> Self {
        Self(held.map_err(ToString::to_string).map(|bytes| {
            let mut hasher = DefaultHasher::new();
            hasher.write(bytes.as_ref());
            hasher.finish()
        }))
    }
}

/// The files of clusters, as they were when they were looked at last.
#[derive(Debug, Clone, Default)]
pub struct Files {
    seen: BTreeMap<(String, PathBuf), Digest>,
}

/// A file that holds something else than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The cluster whose properties name it.
    pub cluster: String,
    /// The file.
    pub file: PathBuf,
    /// Why it can't be read, where it can't.
    pub unreadable: Option<String>,
}

impl Files {
    /// The files that the properties of clusters name, as they are now. What is no file, such as a
    /// folder of certificates, is not among them.
    #[must_use]
    pub fn of<'a>(
        clusters: impl IntoIterator<Item = &'a ClusterConfig>,
        environment: &dyn Environment,
    ) -> Self {
        let mut seen = BTreeMap::new();
        for cluster in clusters {
            for file in files_of(cluster) {
                let digest = digest(&file, environment);
                if digest.0.is_ok() {
                    seen.insert((cluster.name.clone(), file), digest);
                }
            }
        }
        Self { seen }
    }

    /// Looks at all of them again; a change is told once.
    pub fn look(&mut self, environment: &dyn Environment) -> Vec<Change> {
        let mut changes = Vec::new();
        for ((cluster, file), seen) in &mut self.seen {
            let now = digest(file, environment);
            if *seen != now {
                let (cluster, file) = (cluster.clone(), file.clone());
                changes.push(Change { cluster, file, unreadable: now.0.clone().err() });
                *seen = now;
            }
        }
        changes
    }
}

fn digest(file: &Path, environment: &dyn Environment) -> Digest {
    Digest::of(environment.bytes(file).as_ref())
}

fn files_of(cluster: &ClusterConfig) -> Vec<PathBuf> {
    let file = |(name, value): (&String, &PropertyValue)| match value {
        PropertyValue::FromFile(_, file) => Some(file.clone()),
        PropertyValue::Plain(value) if NAMES_A_FILE.iter().any(|end| name.ends_with(end)) => {
            Some(PathBuf::from(value))
        }
        PropertyValue::Plain(_) | PropertyValue::Secret(_) => None,
    };
    cluster.kafka.iter().filter_map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::testing::Given;

    const FILE: &str = "clusters: { a: { bootstrap_servers: 'a:1', kafka: { ssl.ca.location: /ca, \
                        sasl.password: { file: /password }, sasl.username: { env: USER }, \
                        ssl.key.location: /folder, client.id: /ca } } }";

    #[test]
    fn a_file_that_changes_or_goes_is_named_once_and_others_are_not() {
        let given = |files: &[(&str, &str)]| Given::new(&[("USER", "x")], files);
        let begun = given(&[("/ca", "1"), ("/password", "2")]);
        let config = Config::parse("file", FILE, &begun).unwrap();
        let mut files = Files::of(config.clusters.values(), &begun);
        assert_eq!(files.look(&begun), []);
        let renewed = given(&[("/ca", "1"), ("/password", "3")]);
        let change = |file: &str, unreadable: Option<&str>| Change {
            cluster: "a".to_owned(),
            file: PathBuf::from(file),
            unreadable: unreadable.map(str::to_owned),
        };
        assert_eq!(files.look(&renewed), [change("/password", None)]);
        assert_eq!(files.look(&renewed), []);
        let gone = given(&[("/password", "3")]);
        assert_eq!(files.look(&gone), [change("/ca", Some("entity not found"))]);
        assert_eq!(files.look(&gone), []);
        assert_eq!(files.look(&renewed), [change("/ca", None)]);
    }
}
