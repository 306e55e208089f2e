//! `docs/faults.md` and the tests of faults on real Kafka name each other.

#[cfg(test)]
mod faults {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    const PAPER: &str = "docs/faults.md";
    const TESTS: &str = "tests/real_kafka";

    fn text(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()))
    }

    /// The test functions in the files of a folder, and in those below it.
    fn tests_in(folder: &Path) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                names.extend(tests_in(&path));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = text(&path);
                let marked = text.split("#[test]\nfn ").skip(1);
                names.extend(marked.map(|rest| rest.split('(').next().unwrap().to_owned()));
            }
        }
        names
    }

    /// Names of tests in the table: each stands in backquotes in the last column.
    fn tests_named() -> BTreeSet<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let paper = text(&root.join(PAPER));
        let rows = paper.lines().filter(|line| line.starts_with("| ") && line.ends_with("` |"));
        let last = rows.map(|row| row.trim_end_matches(" |").rsplit(" | ").next().unwrap());
        let names = last.flat_map(|cell| cell.split(", "));
        names.map(|name| name.trim_matches('`').to_owned()).collect()
    }

    #[test]
    fn every_fault_of_the_table_has_a_test_and_every_test_of_a_fault_stands_in_it() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (all, named) = (tests_in(&root.join(TESTS)), tests_named());
        assert!(named.len() > 20, "the table is read: {named:?}");
        let missing: Vec<_> = named.difference(&all).collect();
        assert!(missing.is_empty(), "{PAPER} names tests that are not in {TESTS}: {missing:?}");
        let of_faults = tests_in(&root.join(TESTS).join("faults"));
        let untold: Vec<_> = of_faults.difference(&named).collect();
        assert!(untold.is_empty(), "tests that {PAPER} does not name: {untold:?}");
    }
}
