//! The grammar of subjects, of contexts and of the filter: what is read can be spelled and read
//! again, and a place in the target leads back to where it came from.
//!
//! Run it with `cargo +nightly fuzz run subject`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schema_mirror::core::filter::SubjectFilter;
use schema_mirror::core::naming::Naming;
use schema_mirror::core::rules::Compatibility;
use schema_mirror::core::rules::DeleteLimit;
use schema_mirror::core::rules::Dialect;
use schema_mirror::core::rules::DriftPolicy;
use schema_mirror::core::rules::Fence;
use schema_mirror::core::rules::Placement;
use schema_mirror::core::rules::References;
use schema_mirror::core::rules::Rules;
use schema_mirror::core::subject::ContextName;
use schema_mirror::core::subject::Subject;

fuzz_target!(|input: (String, String, String, Vec<String>, Vec<String>)| {
    let (spelled, outer, inner, patterns, others) = input;
    let subject = Subject::parse(&spelled);
    assert_eq!(subject.to_string(), subject.spelled(), "shown as it is spelled");
    if subject.defect().is_none() {
        assert_eq!(Subject::parse(&subject.spelled()), subject, "a sound subject reads back");
    }
    let Ok(outer) = context(&outer) else { return };
    if let Ok(inner) = context(&inner) {
        joining_can_be_undone(&outer, &inner);
    }
    let filter = match SubjectFilter::parse(&patterns) {
        Ok(filter) => filter,
        Err(faults) => {
            let named = |fault: &str| fault.is_empty() || patterns.iter().any(|p| p == fault);
            assert!(!faults.is_empty(), "a refusal has a reason");
            assert!(faults.iter().all(|fault| named(&fault.pattern) && !fault.reason.is_empty()));
            return;
        }
    };
    let subjects = some_subjects(&subject, &outer);
    a_filter_reads_back(&filter, &subjects);
    for placement in [Placement::Into(outer.clone()), Placement::Same] {
        let rules = rules(placement, filter.clone());
        subjects.iter().for_each(|subject| a_place_leads_back(&rules, subject));
        if let Ok(other) = SubjectFilter::parse(&others) {
            scopes_that_share_overlap(&rules, other, &subjects);
        }
    }
});

/// A context's name, which stays itself when it is read again.
fn context(given: &str) -> Result<ContextName, ()> {
    let name = ContextName::new(given).map_err(|fault| assert_eq!(fault.given, given))?;
    assert!(name.as_str().starts_with('.') && !name.as_str().contains(':'), "{name}");
    assert_eq!(ContextName::new(name.as_str()), Ok(name.clone()), "a context reads back");
    Ok(name)
}

fn joining_can_be_undone(outer: &ContextName, inner: &ContextName) {
    let joined = outer.join(inner);
    assert_eq!(outer.unjoin(&joined), Some(inner.clone()), "{outer} + {inner}");
    if let Some(behind) = outer.unjoin(inner) {
        assert_eq!(outer.join(&behind), *inner, "{behind} stands behind {outer}");
    }
}

/// The subject by its own name, in the given context, and both contexts themselves.
fn some_subjects(subject: &Subject, context: &ContextName) -> Vec<Subject> {
    let mut subjects = vec![
        subject.clone(),
        Subject::new(&ContextName::default_context(), &subject.name),
        Subject::new(context, &subject.name),
        Subject::of_context(&subject.context),
        Subject::of_context(context),
    ];
    // Of those that cannot hold schemas only contexts are asked for.
    subjects.retain(|subject| {
        let is_setting = subject.is_context() && !subject.context.is_wildcard();
        subject.defect().is_none() || is_setting
    });
    subjects
}

fn a_filter_reads_back(filter: &SubjectFilter, subjects: &[Subject]) {
    let again = SubjectFilter::parse(&filter.spelled()).expect("what was spelled is read again");
    assert_eq!(again.spelled(), filter.spelled());
    assert!(filter.may_overlap(&again), "a filter overlaps with itself: {filter}");
    for subject in subjects {
        assert_eq!(again.selects(subject), filter.selects(subject), "{filter} {subject}");
        if filter.selects(subject) {
            assert!(filter.touches(&subject.context), "{filter} touches what it selects: {subject}");
        }
        if filter.selects_whole(&subject.context) {
            assert!(filter.selects(subject), "{filter} selects the whole of {subject}'s context");
        }
    }
}

fn rules(placement: Placement, filter: SubjectFilter) -> Rules {
    Rules {
        name: "fuzzed".to_owned(),
        placement,
        naming: Naming::default(),
        filter,
        fence: Fence::Readonly,
        references: References::Hold,
        drift: DriftPolicy::Repair,
        default_compatibility: Compatibility::Backward,
        source_dialect: Dialect::Auto,
        target_dialect: Dialect::Auto,
        delete_limit: DeleteLimit::default(),
    }
}

fn a_place_leads_back(rules: &Rules, subject: &Subject) {
    if let Some(placed) = rules.place(subject) {
        assert_eq!(rules.unplace(&placed).as_ref(), Some(subject), "{subject} stands at {placed}");
        assert!(
            rules.owns(&placed) || !rules.filter.selects(subject),
            "what is chosen is owned where it is put: {placed}"
        );
    }
    if let Some(origin) = rules.unplace(subject) {
        assert_eq!(rules.place(&origin).as_ref(), Some(subject), "{subject} comes from {origin}");
    }
    if rules.owns(subject) {
        assert!(rules.scope().contains(subject), "the claim covers what is owned: {subject}");
    }
}

fn scopes_that_share_overlap(rules: &Rules, filter: SubjectFilter, subjects: &[Subject]) {
    let other = Rules { filter, ..rules.clone() };
    let (own, theirs) = (rules.scope(), other.scope());
    assert_eq!(own.overlaps(&theirs), theirs.overlaps(&own), "overlap holds both ways");
    for subject in subjects.iter().filter(|subject| own.contains(subject)) {
        let both = theirs.contains(subject);
        assert!(!both || own.overlaps(&theirs), "{own} and {theirs} share {subject}");
    }
}
