//! The keys that a configuration file can have. The reader knows no others, and a test holds the
//! annotated file against these tables.

/// Keys at the top of the file.
pub const TOP: &[&str] = &["instance", "http", "clusters", "links"];

/// Keys of what is served.
pub const HTTP: &[&str] = &["listen", "insecure", "logins", "tls"];

/// Keys of what is presented over TLS.
pub const TLS: &[&str] = &["certificate", "key"];

/// Keys of one login.
pub const LOGIN: &[&str] = &["name", "role", "secret"];

/// Keys of what is served for one cluster.
pub const CLUSTER_HTTP: &[&str] = &["listen", "insecure"];

/// Keys of one cluster.
pub const CLUSTER: &[&str] = &[
    "bootstrap_servers",
    "schemas_topic",
    "state_topic",
    "dialect",
    "default_compatibility",
    "create_topics",
    "write_rate_max",
    "http",
    "registry_urls",
    "kafka",
];

/// Keys of one link.
pub const LINK: &[&str] = &[
    "name",
    "source",
    "target",
    "context",
    "subjects",
    "subject_format",
    "subject_renames",
    "fence",
    "references",
    "drift",
    "adopt",
    "max_delete_share",
    "allow_deletes_until",
];

/// What to say about a key that is not in its table: the nearest one, or all of them.
pub(super) fn suggestion(unknown: &str, known: &[&str]) -> String {
    let nearest = known.iter().min_by_key(|key| distance(unknown, key));
    match nearest {
        Some(key) if distance(unknown, key) <= TYPOS_MAX || related(unknown, key) => {
            format!("did you mean {key}?")
        }
        Some(_) | None => format!("known here: {}", known.join(", ")),
    }
}

/// So many letters wrong, and it was probably another word that was meant.
const TYPOS_MAX: usize = 3;

fn related(unknown: &str, key: &str) -> bool {
    unknown.len() >= TYPOS_MAX && (key.contains(unknown) || unknown.contains(key))
}

/// Letters to add, drop or change until one word is the other (Levenshtein); case, `-` and `.` are
/// no difference to a reader.
fn distance(a: &str, b: &str) -> usize {
    let plain = |word: &str| word.to_lowercase().replace(['-', '.'], "_");
    let (a, b) = (plain(a), plain(b));
    let mut above: Vec<usize> = (0..=b.chars().count()).collect();
    for (row, from) in a.chars().enumerate() {
        let mut left = row.saturating_add(1);
        let mut current = vec![left];
        for (to, corner) in b.chars().zip(above.windows(2)) {
            let &[diagonal, over] = corner else { continue };
            let changed = diagonal.saturating_add(usize::from(from != to));
            left = changed.min(left.saturating_add(1)).min(over.saturating_add(1));
            current.push(left);
        }
        above = current;
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(unknown: &str, answer: &str) {
        assert_eq!(suggestion(unknown, LINK), answer, "{unknown}");
    }

    #[test]
    fn a_key_with_a_typo_is_answered_with_the_nearest() {
        check("subject", "did you mean subjects?");
        check("refrences", "did you mean references?");
        check("max-delete-share", "did you mean max_delete_share?");
        check("allow_deletes", "did you mean allow_deletes_until?");
        check("Fence", "did you mean fence?");
    }

    #[test]
    fn a_key_that_is_like_no_other_is_answered_with_all() {
        assert!(suggestion("compression", LINK).starts_with("known here: name, source, target,"));
    }

    #[test]
    fn distance_counts_letters() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("fence", "fence"), 0);
    }
}
