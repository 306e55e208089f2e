//! What two registries hold of the subjects of a link, beside each other.
//!
//! This is what readers of both would see, not what the link decided: it knows nothing of loops,
//! held keys or brakes.

use std::collections::BTreeMap;

use super::Catalog;
use crate::core::rules::Rules;
use crate::core::subject::ContextName;
use crate::core::subject::Subject;
use crate::core::value::Mode;
use crate::core::view::SubjectView;

/// How the two sides of a subject compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sameness {
    /// The same versions with the same ids, texts and deletions.
    Same,
    /// The target has nothing of it.
    Missing,
    /// The source has nothing of it, or the link does not choose it.
    Extra,
    /// Both have it, not the same of it.
    Different,
}

/// A version as it is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Its number.
    pub version: u32,
    /// Its schema id.
    pub id: i32,
    /// Whether it is deleted softly.
    pub deleted: bool,
}

/// A subject on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// In the source; `None` where the target's subject stands for none of its.
    pub source: Option<Subject>,
    /// In the target, there or not.
    pub target: Subject,
    /// Its versions in the source.
    pub in_source: Vec<Listed>,
    /// Its versions in the target.
    pub in_target: Vec<Listed>,
    /// How they compare.
    pub sameness: Sameness,
}

/// A context on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextBeside {
    /// In the source; `None` where the target's stands for none of its.
    pub source: Option<ContextName>,
    /// In the target.
    pub target: ContextName,
    /// Subjects in the source that the link chooses.
    pub in_source: usize,
    /// Subjects in the target that the link owns.
    pub in_target: usize,
    /// Who may write there, if the target is known.
    pub mode: Option<Mode>,
}

/// All subjects of a link on both sides, by their names in the target, and their contexts. A side that
/// is not known holds nothing. Subjects of the source with one name there are each put beside it.
#[must_use]
pub fn beside(
    source: Option<&Catalog>,
    target: Option<&Catalog>,
    rules: &Rules,
) -> (Vec<Beside>, Vec<ContextBeside>) {
    // By what they are called in the target, which a list of rules may do to several alike.
    let mut subjects: BTreeMap<Subject, Vec<Subject>> = BTreeMap::new();
    let mut left: BTreeMap<Subject, Subject> = BTreeMap::new();
    for (subject, _) in source.into_iter().flat_map(standing) {
        let Some(place) = rules.place(&subject) else { continue };
        if rules.filter.selects(&subject) {
            subjects.entry(place).or_default().push(subject);
        } else {
            left.insert(place, subject);
        }
    }
    for (place, _) in target.into_iter().flat_map(standing) {
        if rules.owns(&place) {
            // One that is followed, a left-over, or someone else's.
            subjects
                .entry(place.clone())
                .or_insert_with(|| left.remove(&place).into_iter().collect());
        }
    }
    let mut all: Vec<Beside> = Vec::new();
    for (place, sources) in subjects {
        if sources.is_empty() {
            all.push(compared(source, target, None, place.clone()));
        }
        let compared = |subject| compared(source, target, Some(subject), place.clone());
        all.extend(sources.into_iter().map(compared));
    }
    let contexts = contexts(&all, target);
    (all, contexts)
}

/// Subjects with a version, the deleted ones among them.
fn standing(catalog: &Catalog) -> impl Iterator<Item = (Subject, &SubjectView)> {
    catalog.view.contexts().flat_map(|(context, view)| {
        let standing = view.subjects().filter(|(_, held)| !held.versions().is_empty());
        standing.map(move |(name, held)| (Subject::new(context, name), held))
    })
}

fn held<'a>(catalog: &'a Catalog, subject: &Subject) -> &'a [crate::core::view::VersionView] {
    catalog.view.subject(subject).map(SubjectView::versions).unwrap_or_default()
}

fn compared(
    source: Option<&Catalog>,
    target: Option<&Catalog>,
    subject: Option<Subject>,
    place: Subject,
) -> Beside {
    let ours = source.zip(subject.as_ref()).map(|(source, subject)| held(source, subject));
    let theirs = target.map(|target| held(target, &place)).unwrap_or_default();
    let ours = ours.unwrap_or_default();
    let listed = |held: &[crate::core::view::VersionView]| {
        let list = held.iter().map(|one| Listed {
            version: one.version.get(),
            id: one.id,
            deleted: one.deleted,
        });
        list.collect()
    };
    let is_same = ours.len() == theirs.len()
        && ours.iter().zip(theirs).all(|(one, other)| {
            one.version == other.version
                && one.id == other.id
                && one.deleted == other.deleted
                && one.content.text == other.content.text
        });
    let sameness = match (ours.is_empty(), theirs.is_empty()) {
        (true, false) => Sameness::Extra,
        (false, true) => Sameness::Missing,
        (false, false) | (true, true) if is_same => Sameness::Same,
        (false, false) | (true, true) => Sameness::Different,
    };
    Beside {
        source: subject,
        in_source: listed(ours),
        in_target: listed(theirs),
        target: place,
        sameness,
    }
}

fn contexts(all: &[Beside], target: Option<&Catalog>) -> Vec<ContextBeside> {
    let mut found: BTreeMap<&ContextName, ContextBeside> = BTreeMap::new();
    for one in all {
        let context = &one.target.context;
        let counted = found.entry(context).or_insert_with(|| ContextBeside {
            source: None,
            target: context.clone(),
            in_source: 0,
            in_target: 0,
            mode: target.and_then(|target| {
                target.mode(&Subject::of_context(context), super::Holding::InScope)
            }),
        });
        if counted.source.is_none() {
            counted.source = one.source.as_ref().map(|subject| subject.context.clone());
        }
        counted.in_source =
            counted.in_source.saturating_add(usize::from(!one.in_source.is_empty()));
        counted.in_target =
            counted.in_target.saturating_add(usize::from(!one.in_target.is_empty()));
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::dialect::Dialect;
    use crate::core::naming::Naming;
    use crate::core::record::Record;
    use crate::core::renames::RenameList;
    use crate::core::rules::Compatibility;

    /// A registry that holds these versions, each as `orders 1 7 int` or `orders 1 7 int deleted`.
    fn registry(versions: &[&str]) -> Catalog {
        let mut catalog = Catalog::new(Dialect::Auto, Compatibility::Backward);
        for (offset, version) in versions.iter().enumerate() {
            let words: Vec<&str> = version.split(' ').collect();
            let key = format!(
                r#"{{"keytype":"SCHEMA","subject":"{}","version":{},"magic":1}}"#,
                words[0], words[1]
            );
            let value = format!(
                r#"{{"subject":"{}","version":{},"id":{},"schema":"\"{}\"","deleted":{}}}"#,
                words[0],
                words[1],
                words[2],
                words[3],
                words.len() == 5
            );
            catalog.take(&Record {
                offset: i64::try_from(offset).unwrap(),
                key: Some(key.into()),
                value: Some(value.into()),
                ..Record::default()
            });
        }
        catalog
    }

    /// Compares; what is expected is `source|target|word`, without a source where there is none.
    #[track_caller]
    fn check(subjects: &[&str], source: &[&str], target: &[&str], expected: &[&str]) {
        let (all, _) = beside(
            Some(&registry(source)),
            Some(&registry(target)),
            &Rules::of_test("s", subjects),
        );
        let told: Vec<String> = all
            .iter()
            .map(|one| {
                let source = one.source.as_ref().map(Subject::spelled).unwrap_or_default();
                format!("{source}|{}|{:?}", one.target.spelled(), one.sameness)
            })
            .collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn a_subject_is_the_same_when_ids_texts_and_deletions_are() {
        check(&["*"], &["a 1 7 int"], &[":.s:a 1 7 int"], &["a|:.s:a|Same"]);
        for other in [":.s:a 1 8 int", ":.s:a 1 7 long", ":.s:a 1 7 int deleted", ":.s:a 2 7 int"] {
            check(&["*"], &["a 1 7 int"], &[other], &["a|:.s:a|Different"]);
        }
    }

    #[test]
    fn what_one_side_lacks_is_missing_or_extra() {
        check(&["*"], &["a 1 7 int"], &[], &["a|:.s:a|Missing"]);
        check(&["*"], &[], &[":.s:a 1 7 int"], &["|:.s:a|Extra"]);
        check(&["*"], &["a 1 7 int"], &[":.s:b 1 7 int"], &["a|:.s:a|Missing", "|:.s:b|Extra"]);
    }

    #[test]
    fn a_subject_that_is_not_chosen_counts_where_it_was_followed_to() {
        let source = ["a 1 7 int", "b 1 8 long"];
        check(&["a"], &source, &[":.s:a 1 7 int"], &["a|:.s:a|Same"]);
        let both = [":.s:a 1 7 int", ":.s:b 1 8 long"];
        check(&["a"], &source, &both, &["a|:.s:a|Same", "b|:.s:b|Same"]);
    }

    #[test]
    fn a_renamed_subject_stands_beside_what_it_is_called() {
        let rules = |subjects: &[&str]| Rules {
            naming: Naming::List(RenameList::parse(&[("p-(.*)", "$1"), ("q-(.*)", "$1")]).unwrap()),
            ..Rules::of_test("s", subjects)
        };
        let source = registry(&["p-a 1 7 int", "q-a 1 8 long", "b 1 9 int"]);
        let target = registry(&[":.s:a 1 7 int", ":.s:b 1 9 int", ":.s:c 1 3 int"]);
        let told = |subjects: &[&str]| -> Vec<String> {
            let (all, _) = beside(Some(&source), Some(&target), &rules(subjects));
            let line = |one: &Beside| {
                let source = one.source.as_ref().map(Subject::spelled).unwrap_or_default();
                format!("{source}|{}|{:?}", one.target.spelled(), one.sameness)
            };
            all.iter().map(line).collect()
        };
        let both = ["p-a|:.s:a|Same", "q-a|:.s:a|Different", "b|:.s:b|Same", "|:.s:c|Extra"];
        assert_eq!(told(&["*"]), both);
        let followed = ["p-a|:.s:a|Same", "b|:.s:b|Same", "|:.s:c|Extra"];
        assert_eq!(told(&["p-a"]), followed);
    }

    #[test]
    fn subjects_of_others_are_no_business_of_the_link() {
        check(&["*"], &[":.t:a 1 7 int"], &["a 1 7 int", ":.u:a 1 7 int"], &[]);
    }

    #[test]
    fn contexts_are_counted_on_both_sides() {
        let (source, target) =
            (registry(&["a 1 7 int", "b 1 8 int"]), registry(&[":.s:a 1 7 int"]));
        let (_, contexts) = beside(Some(&source), Some(&target), &Rules::of_test("s", &["*"]));
        let counts: Vec<_> = contexts
            .iter()
            .map(|one| (one.target.as_str(), one.in_source, one.in_target))
            .collect();
        assert_eq!(counts, [(".s", 2, 1)]);
    }
}
