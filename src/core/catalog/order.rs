//! The orders in which Java's collections give names.

use std::cmp::Ordering;

/// Buckets that a new `ConcurrentHashMap` begins with.
const BUCKETS: usize = 16;

/// As `String.compareTo`: by UTF-16 units.
pub(super) fn compare(one: &str, other: &str) -> Ordering {
    if one.is_ascii() && other.is_ascii() {
        return one.cmp(other);
    }
    one.encode_utf16().cmp(other.encode_utf16())
}

/// What a registry keeps by name in a `ConcurrentHashMap` it lists in the order of the names' hashes.
/// Names of one bucket come in the order they are given here.
pub(super) fn in_hash_order<T>(mut items: Vec<T>, name: impl Fn(&T) -> String) -> Vec<T> {
    let mut buckets = BUCKETS;
    // It doubles as soon as it is three quarters full.
    while items.len() >= buckets.saturating_sub(buckets / 4) {
        buckets = buckets.saturating_mul(2);
    }
    let mask = u32::try_from(buckets.saturating_sub(1)).unwrap_or(u32::MAX);
    items.sort_by_cached_key(|item| {
        let hash = hash(&name(item));
        (hash ^ (hash >> 16)) & mask
    });
    items
}

/// `String.hashCode`.
fn hash(name: &str) -> u32 {
    name.encode_utf16().fold(0, |hash: u32, unit| hash.wrapping_mul(31).wrapping_add(unit.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_as_a_registry_was_seen_to_list_them() {
        let registered = "one two three four five six seven eight nine ten eleven twelve thirteen \
                          fourteen";
        let names = registered.split(' ').map(|name| format!("hash-{name}")).collect();
        // Answered by 7.9.5 to /schemas/ids/{id}/subjects.
        let listed =
            "six nine twelve one four eleven thirteen fourteen eight two three seven five ten";
        let ordered = in_hash_order(names, Clone::clone);
        let ordered: Vec<&str> =
            ordered.iter().map(|name| name.strip_prefix("hash-").unwrap()).collect();
        assert_eq!(ordered.join(" "), listed);
    }

    #[test]
    fn names_compare_by_their_utf16_units() {
        assert_eq!(compare("a", "b"), Ordering::Less);
        assert_eq!(compare("\u{ff5e}", "\u{1f600}"), Ordering::Greater);
    }
}
